#include "frame.h"

#include <string.h>

int hw_frame_decode(const uint8_t *data, size_t size, struct hw_frame *frame) {
    if (size < 2) {
        return 0;
    }
    frame->fin = data[0] >> 7;
    frame->rsv = (data[0] >> 4) & 7;
    frame->opcode = data[0] & 15;
    frame->masked = data[1] >> 7;
    uint64_t length = data[1] & 127;

    /* 3-7 and 11-15 are reserved: every opcode is one of 0, 1, 2, 8, 9, 10 */
    if ((frame->opcode & 7) > 2) {
        return HW_FRAME_RESERVED_OPCODE;
    }
    if (frame->opcode >= HW_CLOSE) {
        if (!frame->fin) {
            return HW_FRAME_FRAGMENTED_CONTROL;
        }
        if (length > 125) {
            return HW_FRAME_LONG_CONTROL;
        }
    }

    size_t extended = length < 126 ? 0 : length == 126 ? 2 : 8;
    size_t header = 2 + extended + (frame->masked ? 4 : 0);
    if (extended) {
        if (size < 2 + extended) {
            return 0;
        }
        length = 0;
        for (size_t i = 2; i < 2 + extended; i++) {
            length = length << 8 | data[i];
        }
        if (length >> 63) {
            return HW_FRAME_LENGTH_OVERFLOW;
        }
        if (length < 126 || (extended == 8 && length < 65536)) {
            return HW_FRAME_LENGTH_NOT_MINIMAL;
        }
    }
    if (size < header) {
        return 0;
    }
    frame->length = length;
    if (frame->masked) {
        memcpy(frame->key, data + header - 4, 4);
    }
    return (int)header;
}

size_t hw_frame_encode(uint8_t *out, const struct hw_frame *frame) {
    uint8_t mask_bit = frame->masked ? 0x80 : 0;
    size_t extended = frame->length < 126 ? 0 : frame->length < 65536 ? 2 : 8;
    out[0] = (uint8_t)(frame->fin << 7 | frame->rsv << 4 | frame->opcode);
    out[1] = mask_bit | (uint8_t)(extended == 0 ? frame->length : extended == 2 ? 126 : 127);
    for (size_t i = 0; i < extended; i++) {
        out[2 + i] = (uint8_t)(frame->length >> 8 * (extended - 1 - i));
    }
    if (!frame->masked) {
        return 2 + extended;
    }
    memcpy(out + 2 + extended, frame->key, 4);
    return 2 + extended + 4;
}

const char *hw_frame_error_text(int error) {
    switch (error) {
    case HW_FRAME_RESERVED_OPCODE: return "reserved opcode";
    case HW_FRAME_FRAGMENTED_CONTROL: return "fragmented control frame";
    case HW_FRAME_LONG_CONTROL: return "control frame longer than 125 bytes";
    case HW_FRAME_LENGTH_NOT_MINIMAL: return "payload length not encoded in the fewest bytes";
    case HW_FRAME_LENGTH_OVERFLOW: return "payload length with its highest bit set";
    default: return "unknown frame error";
    }
}
