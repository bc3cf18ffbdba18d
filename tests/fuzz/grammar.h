/* What a byte of an HTTP message may be part of, said otherwise than in csrc/characters.h. */
#ifndef HYPERWS_FUZZ_GRAMMAR_H
#define HYPERWS_FUZZ_GRAMMAR_H

#include <stdint.h>
#include <string.h>

static inline int is_token(uint8_t byte) {
    return (byte >= 'A' && byte <= 'Z') || (byte >= 'a' && byte <= 'z') || (byte >= '0' && byte <= '9') ||
           (byte && strchr("!#$%&'*+-.^_`|~", byte));
}

static inline int is_value(uint8_t byte) {
    return byte == '\t' || (byte >= ' ' && byte != 0x7F);
}

#endif
