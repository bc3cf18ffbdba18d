#include "utf8.h"

#include <string.h>

/* The number of leading ASCII bytes, rounded down to a multiple of 8. */
static inline size_t ascii_run(const uint8_t *data, size_t size) {
    size_t i = 0;
    for (; size - i >= 8; i += 8) {
        uint64_t chunk;
        memcpy(&chunk, data + i, 8);
        if (chunk & UINT64_C(0x8080808080808080)) {
            break;
        }
    }
    return i;
}

size_t hw_utf8_feed(struct hw_utf8 *text, const uint8_t *data, size_t size) {
    for (size_t i = 0; i < size; i++) {
        uint8_t byte = data[i];
        if (text->missing) {
            if (byte < text->low || byte > text->high) {
                return i;
            }
            text->missing--;
            text->low = 0x80;
            text->high = 0xBF;
        } else if (byte < 0x80) {
            i += ascii_run(data + i + 1, size - i - 1);
        } else if (byte < 0xC2 || byte > 0xF4) {
            return i; /* a continuation byte, an overlong lead byte, or one above U+10FFFF */
        } else {
            text->missing = byte < 0xE0 ? 1 : byte < 0xF0 ? 2 : 3;
            text->low = byte == 0xE0 ? 0xA0 : byte == 0xF0 ? 0x90 : 0x80;  /* overlong */
            text->high = byte == 0xED ? 0x9F : byte == 0xF4 ? 0x8F : 0xBF; /* surrogate, too high */
        }
    }
    return size;
}
