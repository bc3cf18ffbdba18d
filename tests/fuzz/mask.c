/* Every code of hw_mask against a loop over bytes, in place, at any alignment, in two pieces, and back.
 *
 * Input: the key, the offset, the alignment, a cut, then the payload.
 */
#include <assert.h>
#include "input.h"
#include "mask.h"

enum { KEY = 4, HEADER = KEY + 3, LINE = 64 };

static void check(const uint8_t *key, size_t offset, size_t shift, size_t cut, const uint8_t *data, size_t size) {
    /* the memory ends where the payload does */
    void *memory;
    assert(posix_memalign(&memory, LINE, shift + size) == 0);
    uint8_t *payload = (uint8_t *)memory + shift;
    memset(memory, 0xAA, shift);
    memcpy(payload, data, size);
    hw_mask(payload, cut, key, offset);
    hw_mask(payload + cut, size - cut, key, offset + cut);
    for (size_t i = 0; i < size; i++) {
        assert(payload[i] == (data[i] ^ key[(offset + i) % 4]));
    }
    hw_mask(payload, size, key, offset);
    assert(memcmp(payload, data, size) == 0);
    for (size_t i = 0; i < shift; i++) {
        assert(((uint8_t *)memory)[i] == 0xAA);
    }
    free(memory);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size <= HEADER) {
        return 0;
    }
    size_t cut;
    size -= HEADER;
    read_cuts(data + KEY + 2, size, &cut, 1);
    uint8_t *key = copy(data, KEY);
    for (int code = 0; code < HW_MASK_CODES; code++) {
        if (hw_mask_use((enum hw_mask_code)code)) {
            check(key, data[KEY], data[KEY + 1] % LINE, cut, data + HEADER, size);
        }
    }
    free(key);
    return 0;
}
