/* WebSocket frame headers (RFC 6455, section 5.2).
 *
 * hw_frame_decode reads one header from the `size` bytes at `data`. It returns the header's length in
 * bytes, 0 if the header is not complete yet, or a negative HW_FRAME_ error. It never looks at the payload.
 * hw_frame_encode writes one header of at most HW_FRAME_MAX_HEADER bytes to `out` and returns its length.
 */
#ifndef HYPERWS_FRAME_H
#define HYPERWS_FRAME_H

#include <stddef.h>
#include <stdint.h>

#define HW_FRAME_MAX_HEADER 14
#define HW_RSV1 4 /* as it stands in hw_frame.rsv */

enum hw_opcode {
    HW_CONTINUATION = 0x0,
    HW_TEXT = 0x1,
    HW_BINARY = 0x2,
    HW_CLOSE = 0x8,
    HW_PING = 0x9,
    HW_PONG = 0xA,
};

enum hw_frame_error {
    HW_FRAME_RESERVED_OPCODE = -1,
    HW_FRAME_FRAGMENTED_CONTROL = -2,
    HW_FRAME_LONG_CONTROL = -3,
    HW_FRAME_LENGTH_NOT_MINIMAL = -4,
    HW_FRAME_LENGTH_OVERFLOW = -5,
};

struct hw_frame {
    uint64_t length;  /* payload bytes, at most 2^63 - 1 */
    uint8_t key[4];   /* meaningful only if masked */
    uint8_t fin;      /* 0 or 1 */
    uint8_t rsv;      /* the three reserved bits; the caller judges them */
    uint8_t opcode;   /* one of hw_opcode */
    uint8_t masked;   /* 0 or 1; the caller judges it */
};

int hw_frame_decode(const uint8_t *data, size_t size, struct hw_frame *frame);
size_t hw_frame_encode(uint8_t *out, const struct hw_frame *frame);

/* A sentence for a hw_frame_error. */
const char *hw_frame_error_text(int error);

#endif
