/* Bodies in the chunked transfer coding (RFC 9112, section 7.1), strictly: every line ends in CRLF, and no
 * white space stands around a chunk's size or in its extensions.
 *
 * hw_chunked_decode takes the next `size` bytes of a body, in any pieces, and moves the payload among them to
 * the front of `data`, `*payload` bytes of it; it overwrites what lies behind. It returns how many bytes
 * belong to the body, fewer than `size` only where the body ended, or a negative HW_CHUNKED_ error, after
 * which the body can't be read further. Extensions and trailer fields are checked and dropped.
 * It never allocates; `size` is at most PTRDIFF_MAX. A zeroed hw_chunked is the start of a body.
 */
#ifndef HYPERWS_CHUNKED_H
#define HYPERWS_CHUNKED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HW_CHUNKED_DIGITS 15   /* of a chunk's size, leading zeros counted */
#define HW_CHUNKED_EXTRAS 8192 /* bytes of extensions and trailer that no payload made up for */

enum hw_chunked_error {
    HW_CHUNKED_SIZE = -1,
    HW_CHUNKED_EXTENSION = -2,
    HW_CHUNKED_LINE_END = -3,
    HW_CHUNKED_DATA_END = -4,
    HW_CHUNKED_FIELD = -5,
    HW_CHUNKED_TOO_MANY_EXTRAS = -6,
};

struct hw_chunked {
    uint64_t left;   /* payload bytes that the current chunk still has */
    uint16_t extras; /* bytes of extensions and trailer; each byte of payload makes up for an earlier one */
    uint8_t digits;  /* of the size that is being read */
    uint8_t state;
};

ptrdiff_t hw_chunked_decode(struct hw_chunked *body, uint8_t *data, size_t size, size_t *payload);

/* Whether the body has ended. */
bool hw_chunked_done(const struct hw_chunked *body);

/* A sentence for a hw_chunked_error. */
const char *hw_chunked_error_text(int error);

#endif
