/* wire.h - what the load generator and the bare server share: WebSocket frame heads, and giving up with a sentence.
 * Include after defining _GNU_SOURCE. */
#ifndef BENCH_WIRE_H
#define BENCH_WIRE_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    OPCODE_TEXT = 0x1,
    OPCODE_BINARY = 0x2,
    OPCODE_CLOSE = 0x8,
    OPCODE_PING = 0x9,
    OPCODE_PONG = 0xA,
    FIN_BIT = 0x80,
    MASK_BIT = 0x80,
    MASK_SIZE = 4,
    HEAD_MAX = 10, /* without the mask */
};

static inline _Noreturn void die(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    exit(1);
}

/* Writes a frame head without its mask to out, which has room for HEAD_MAX bytes; returns its size.
 * first is FIN, RSV and opcode; mask_bit is MASK_BIT or 0. */
static inline size_t put_frame_head(uint8_t *out, uint8_t first, uint8_t mask_bit, uint64_t length)
{
    size_t extended = length < 126 ? 0 : length <= UINT16_MAX ? 2 : 8;
    out[0] = first;
    out[1] = mask_bit | (extended == 0 ? (uint8_t)length : extended == 2 ? 126 : 127);
    for (size_t i = 0; i < extended; i++)
        out[2 + i] = (uint8_t)(length >> 8 * (extended - 1 - i));
    return 2 + extended;
}

#endif
