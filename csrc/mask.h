/* Masking and unmasking of payloads (RFC 6455, section 5.3): the same operation, done in place.
 *
 * hw_mask XORs the `size` bytes at `data` with the 4-byte `key` repeated; `data[0]` meets
 * key[offset % 4], so that a payload can be done in pieces.
 * hw_mask_use chooses the code that hw_mask runs: it returns 1, or 0 where this CPU or build lacks it.
 * hw_mask_init chooses the fastest there is; call it once before the first hw_mask.
 */
#ifndef HYPERWS_MASK_H
#define HYPERWS_MASK_H

#include <stddef.h>
#include <stdint.h>

enum hw_mask_code { HW_MASK_SCALAR, HW_MASK_SSE2, HW_MASK_AVX2, HW_MASK_NEON, HW_MASK_CODES };

typedef void hw_mask_function(uint8_t *data, size_t size, const uint8_t *key, size_t offset);

extern hw_mask_function *hw_mask;

int hw_mask_use(enum hw_mask_code code);
void hw_mask_init(void);

#endif
