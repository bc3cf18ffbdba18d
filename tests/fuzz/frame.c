/* hw_frame_decode at every beginning of a header against the rules of RFC 6455, section 5.2, one by one;
 * and hw_frame_encode gives the same bytes back.
 *
 * Input: a header, and what may stand behind it.
 */
#include <assert.h>
#include "frame.h"
#include "input.h"

enum { LONGEST = HW_FRAME_MAX_HEADER + 2 };

static int bit(int error) {
    return 1 << -error;
}

/* The header's length or 0, like hw_frame_decode, or as `wrong` every error that these bytes show. */
static int oracle(const uint8_t *data, size_t size, struct hw_frame *frame, int *wrong) {
    *wrong = 0;
    if (size < 2) {
        return 0;
    }
    frame->fin = (data[0] & 0x80) != 0;
    frame->rsv = (data[0] & 0x70) / 0x10;
    frame->opcode = data[0] & 0x0F;
    frame->masked = (data[1] & 0x80) != 0;
    frame->length = data[1] & 0x7F;
    int control = frame->opcode >= 8;
    if (!strchr("\x01\x02\x08\x09\x0A", frame->opcode)) { /* strchr finds 0 too, at the end */
        *wrong |= bit(HW_FRAME_RESERVED_OPCODE);
    }
    if (control && !frame->fin) {
        *wrong |= bit(HW_FRAME_FRAGMENTED_CONTROL);
    }
    if (control && frame->length > 125) {
        *wrong |= bit(HW_FRAME_LONG_CONTROL);
    }
    size_t header = 2;
    if (frame->length >= 126) {
        size_t bytes = frame->length == 126 ? 2 : 8;
        header += bytes;
        if (size >= header) {
            frame->length = 0;
            for (size_t i = 2; i < header; i++) {
                frame->length = frame->length * 256 + data[i];
            }
            if (frame->length > INT64_MAX) {
                *wrong |= bit(HW_FRAME_LENGTH_OVERFLOW);
            } else if (frame->length <= (bytes == 2 ? 125 : 65535)) {
                *wrong |= bit(HW_FRAME_LENGTH_NOT_MINIMAL);
            }
        }
    }
    for (int i = 0; frame->masked && i < 4; i++, header++) {
        frame->key[i] = size > header ? data[header] : 0;
    }
    return size < header ? 0 : (int)header;
}

static int same(const struct hw_frame *a, const struct hw_frame *b) {
    return a->length == b->length && a->fin == b->fin && a->rsv == b->rsv && a->opcode == b->opcode &&
           a->masked == b->masked && (!a->masked || memcmp(a->key, b->key, 4) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    size = size < LONGEST ? size : LONGEST;
    int before = 0;
    for (size_t have = 0; have <= size; have++) {
        struct hw_frame frame = {0}, expected = {0};
        int wrong, header = oracle(data, have, &expected, &wrong);
        uint8_t *beginning = copy(data, have);
        int got = hw_frame_decode(beginning, have, &frame);
        free(beginning);
        if (wrong) {
            assert(got < 0 && wrong & bit(got));
        } else {
            assert(got == header);
        }
        assert(!before || got == before); /* nothing that comes later changes what was said */
        before = got;
        if (got > 0) {
            uint8_t *again = malloc((size_t)got);
            assert(same(&frame, &expected));
            assert(hw_frame_encode(again, &frame) == (size_t)got);
            assert(memcmp(again, data, (size_t)got) == 0);
            free(again);
        }
    }
    return 0;
}
