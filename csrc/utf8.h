/* Incremental UTF-8 validation (RFC 3629: no surrogates, no overlong forms, nothing above U+10FFFF).
 *
 * hw_utf8_feed checks `size` more bytes of a text. It returns the index of the first byte that can't
 * stand where it stands, or `size` if there is none; `text` remembers a character cut at the end.
 * A zeroed hw_utf8 is the start of a text; the text may end wherever `text->missing` is 0.
 */
#ifndef HYPERWS_UTF8_H
#define HYPERWS_UTF8_H

#include <stddef.h>
#include <stdint.h>

struct hw_utf8 {
    uint8_t missing;   /* continuation bytes that the current character still needs, 0 to 3 */
    uint8_t low, high; /* the range of the next one, where missing > 0 */
};

size_t hw_utf8_feed(struct hw_utf8 *text, const uint8_t *data, size_t size);

#endif
