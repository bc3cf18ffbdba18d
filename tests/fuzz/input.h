/* What the targets of this folder share: pieces of the input, each in memory of exactly its size, so that
 * AddressSanitizer sees a read or write of one byte too many.
 */
#ifndef HYPERWS_FUZZ_INPUT_H
#define HYPERWS_FUZZ_INPUT_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static inline uint8_t *copy(const uint8_t *data, size_t size) {
    uint8_t *result = malloc(size);
    memcpy(result, data, size);
    return result;
}

/* Where to cut `size` bytes: `count` bytes at `data` say so in parts of 255, in any order. */
static inline void read_cuts(const uint8_t *data, size_t size, size_t *cuts, size_t count) {
    for (size_t i = 0; i < count; i++) {
        size_t cut = size * data[i] / 255, at = i;
        for (; at && cuts[at - 1] > cut; at--) {
            cuts[at] = cuts[at - 1];
        }
        cuts[at] = cut;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
