/* HTTP/1.1 request heads (RFC 9112, sections 2 to 5), strictly: every line ends in CRLF.
 *
 * hw_head_end looks for the end of a head in the `size` bytes at `data`, from `*scan` on, so that a head
 * which comes in pieces is scanned once. It returns the head's length in bytes, 0 if more are needed, or a
 * negative HW_HEAD_ error.
 * hw_head_parse reads the head of exactly `size` bytes that hw_head_end found. It returns 0 or a negative
 * HW_HEAD_ error. Spans are offsets from `data`; the caller owns the table `headers` of `capacity` entries.
 * Neither allocates; `size` is at most UINT32_MAX.
 */
#ifndef HYPERWS_HEAD_H
#define HYPERWS_HEAD_H

#include <stddef.h>
#include <stdint.h>

enum hw_head_error {
    HW_HEAD_BARE_LF = -1,
    HW_HEAD_METHOD = -2,
    HW_HEAD_TARGET = -3,
    HW_HEAD_VERSION = -4,
    HW_HEAD_UNSUPPORTED_VERSION = -5,
    HW_HEAD_NAME = -6,
    HW_HEAD_VALUE = -7,
    HW_HEAD_FOLDED = -8,
    HW_HEAD_TOO_MANY = -9,
};

struct hw_span {
    uint32_t at, size;
};

struct hw_header {
    struct hw_span name, value; /* the value without the white space around it */
};

struct hw_head {
    struct hw_span method, target;
    int minor;    /* HTTP/1.minor */
    size_t count; /* entries of `headers` that are filled */
    struct hw_header *headers;
    size_t capacity;
};

ptrdiff_t hw_head_end(const uint8_t *data, size_t size, size_t *scan);
int hw_head_parse(const uint8_t *data, size_t size, struct hw_head *head);

/* A sentence for a hw_head_error. */
const char *hw_head_error_text(int error);

#endif
