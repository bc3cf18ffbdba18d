/* hw_utf8_feed against a decoder that asks, byte by byte, whether any character could still come of it.
 *
 * Input: two cuts, then the text.
 */
#include <assert.h>
#include "input.h"
#include "utf8.h"

/* Whether some character of `length` bytes starts with the `size` bytes at `data`. */
static int may_start(const uint8_t *data, size_t size, size_t length) {
    static const uint32_t lead[] = {0, 0x00, 0xC0, 0xE0, 0xF0}, bits[] = {0, 7, 5, 4, 3};
    static const uint32_t first[] = {0, 0, 0x80, 0x800, 0x10000}, last[] = {0, 0x7F, 0x7FF, 0xFFFF, 0x10FFFF};
    if (data[0] >> bits[length] != lead[length] >> bits[length]) {
        return 0;
    }
    uint32_t low = data[0] & ((1u << bits[length]) - 1);
    for (size_t i = 1; i < size; i++) {
        if (data[i] >> 6 != 2) {
            return 0;
        }
        low = low << 6 | (data[i] & 0x3F);
    }
    uint32_t rest = 6 * (uint32_t)(length - size);
    uint32_t high = ((low + 1) << rest) - 1;
    low <<= rest;
    return high >= first[length] && low <= last[length] && !(low >= 0xD800 && high <= 0xDFFF);
}

/* What hw_utf8_feed returns for the whole text; `missing` is told too where all of it may stand. */
static size_t oracle(const uint8_t *data, size_t size, size_t *missing) {
    size_t start = 0;
    *missing = 0;
    for (size_t at = 0; at < size; at++) {
        size_t length = 1;
        while (length <= 4 && !may_start(data + start, at - start + 1, length)) {
            length++;
        }
        if (length > 4) {
            return at;
        }
        *missing = length - (at - start + 1);
        start = *missing ? start : at + 1;
    }
    return size;
}

static void check(const uint8_t *data, size_t size, const size_t *cuts, size_t count) {
    struct hw_utf8 text = {0};
    size_t missing, good = oracle(data, size, &missing), from = 0;
    for (size_t i = 0; i <= count; i++) {
        size_t to = i < count ? cuts[i] : size;
        uint8_t *piece = copy(data + from, to - from);
        size_t got = hw_utf8_feed(&text, piece, to - from);
        free(piece);
        if (got != to - from) {
            assert(from + got == good);
            return;
        }
        from = to;
    }
    assert(good == size);
    assert(text.missing == missing);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 2) {
        return 0;
    }
    size_t cuts[2];
    read_cuts(data, size - 2, cuts, 2);
    check(data + 2, size - 2, cuts, 0);
    check(data + 2, size - 2, cuts, 2);
    return 0;
}
