#include "mask.h"

#include <string.h>

#if defined(__x86_64__) || defined(_M_X64)
#define HAVE_SSE2 1
#include <immintrin.h>
#if defined(__GNUC__)
#define HAVE_AVX2 1 /* a function may be compiled for a CPU that the rest of the file is not */
#endif
#elif defined(__aarch64__) || defined(_M_ARM64)
#define HAVE_NEON 1
#include <arm_neon.h>
#endif

/* The key as one 64-bit word, turned so that its first byte in memory meets data[0]. */
static inline uint64_t key_word(const uint8_t *key, size_t offset) {
    uint8_t bytes[8];
    for (size_t i = 0; i < 8; i++) {
        bytes[i] = key[(offset + i) & 3];
    }
    uint64_t word;
    memcpy(&word, bytes, 8);
    return word;
}

/* The last `size` < 16 bytes, in words and halves of words while they last. */
static inline void mask_tail(uint8_t *data, size_t size, uint64_t word) {
    if (size & 8) {
        uint64_t chunk;
        memcpy(&chunk, data, 8);
        chunk ^= word;
        memcpy(data, &chunk, 8);
        data += 8;
    }
    uint8_t bytes[8];
    memcpy(bytes, &word, 8);
    if (size & 4) {
        uint32_t chunk, half;
        memcpy(&chunk, data, 4);
        memcpy(&half, bytes, 4);
        chunk ^= half;
        memcpy(data, &chunk, 4);
        data += 4;
    }
    for (size_t i = 0; i < (size & 3); i++) {
        data[i] ^= bytes[i];
    }
}

static void mask_scalar(uint8_t *data, size_t size, const uint8_t *key, size_t offset) {
    uint64_t word = key_word(key, offset);
    for (; size >= 8; data += 8, size -= 8) {
        uint64_t chunk;
        memcpy(&chunk, data, 8);
        chunk ^= word;
        memcpy(data, &chunk, 8);
    }
    mask_tail(data, size, word);
}

#ifdef HAVE_SSE2
static void mask_sse2(uint8_t *data, size_t size, const uint8_t *key, size_t offset) {
    uint64_t word = key_word(key, offset);
    __m128i wide = _mm_set1_epi64x((long long)word);
    for (; size >= 16; data += 16, size -= 16) {
        __m128i chunk = _mm_loadu_si128((const __m128i *)data);
        _mm_storeu_si128((__m128i *)data, _mm_xor_si128(chunk, wide));
    }
    mask_tail(data, size, word);
}
#endif

#ifdef HAVE_AVX2
__attribute__((target("avx2")))
static void mask_avx2(uint8_t *data, size_t size, const uint8_t *key, size_t offset) {
    uint64_t word = key_word(key, offset);
    __m256i wide = _mm256_set1_epi64x((long long)word);
    for (; size >= 32; data += 32, size -= 32) {
        __m256i chunk = _mm256_loadu_si256((const __m256i *)data);
        _mm256_storeu_si256((__m256i *)data, _mm256_xor_si256(chunk, wide));
    }
    if (size >= 16) {
        __m128i chunk = _mm_loadu_si128((const __m128i *)data);
        _mm_storeu_si128((__m128i *)data, _mm_xor_si128(chunk, _mm256_castsi256_si128(wide)));
        data += 16;
        size -= 16;
    }
    mask_tail(data, size, word);
}
#endif

#ifdef HAVE_NEON
static void mask_neon(uint8_t *data, size_t size, const uint8_t *key, size_t offset) {
    uint64_t word = key_word(key, offset);
    uint8x16_t wide = vreinterpretq_u8_u64(vdupq_n_u64(word));
    for (; size >= 16; data += 16, size -= 16) {
        vst1q_u8(data, veorq_u8(vld1q_u8(data), wide));
    }
    mask_tail(data, size, word);
}
#endif

hw_mask_function *hw_mask = mask_scalar;

int hw_mask_use(enum hw_mask_code code) {
    switch (code) {
    case HW_MASK_SCALAR:
        hw_mask = mask_scalar;
        return 1;
#ifdef HAVE_SSE2
    case HW_MASK_SSE2:
        hw_mask = mask_sse2;
        return 1;
#endif
#ifdef HAVE_AVX2
    case HW_MASK_AVX2:
        if (!__builtin_cpu_supports("avx2")) {
            return 0;
        }
        hw_mask = mask_avx2;
        return 1;
#endif
#ifdef HAVE_NEON
    case HW_MASK_NEON:
        hw_mask = mask_neon;
        return 1;
#endif
    default:
        return 0;
    }
}

void hw_mask_init(void) {
    for (int code = HW_MASK_CODES - 1; !hw_mask_use((enum hw_mask_code)code); code--) {
    }
}
