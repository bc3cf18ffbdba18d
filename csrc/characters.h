/* What a byte of an HTTP message may be part of. */
#ifndef HYPERWS_CHARACTERS_H
#define HYPERWS_CHARACTERS_H

#include <stdint.h>

enum { HW_TOKEN = 1, HW_TARGET = 2, HW_VALUE = 4 };

/* RFC 9110: tchar (5.6.2), field-value (5.5: VCHAR, obs-text, SP, HTAB). A target here is any visible ASCII
 * but '#': a fragment never belongs in a request (RFC 9110, 4.2.5). */
static const uint8_t hw_kinds[256] = {
    ['\t'] = 4, [' '] = 4,
    ['!'] = 7, ['"'] = 6, ['#'] = 5, ['$'] = 7, ['%'] = 7, ['&'] = 7, ['\''] = 7, ['('] = 6, [')'] = 6,
    ['*'] = 7, ['+'] = 7, [','] = 6, ['-'] = 7, ['.'] = 7, ['/'] = 6,
    ['0'] = 7, ['1'] = 7, ['2'] = 7, ['3'] = 7, ['4'] = 7, ['5'] = 7, ['6'] = 7, ['7'] = 7, ['8'] = 7, ['9'] = 7,
    [':'] = 6, [';'] = 6, ['<'] = 6, ['='] = 6, ['>'] = 6, ['?'] = 6, ['@'] = 6,
    ['A'] = 7, ['B'] = 7, ['C'] = 7, ['D'] = 7, ['E'] = 7, ['F'] = 7, ['G'] = 7, ['H'] = 7, ['I'] = 7,
    ['J'] = 7, ['K'] = 7, ['L'] = 7, ['M'] = 7, ['N'] = 7, ['O'] = 7, ['P'] = 7, ['Q'] = 7, ['R'] = 7,
    ['S'] = 7, ['T'] = 7, ['U'] = 7, ['V'] = 7, ['W'] = 7, ['X'] = 7, ['Y'] = 7, ['Z'] = 7,
    ['['] = 6, ['\\'] = 6, [']'] = 6, ['^'] = 7, ['_'] = 7, ['`'] = 7,
    ['a'] = 7, ['b'] = 7, ['c'] = 7, ['d'] = 7, ['e'] = 7, ['f'] = 7, ['g'] = 7, ['h'] = 7, ['i'] = 7,
    ['j'] = 7, ['k'] = 7, ['l'] = 7, ['m'] = 7, ['n'] = 7, ['o'] = 7, ['p'] = 7, ['q'] = 7, ['r'] = 7,
    ['s'] = 7, ['t'] = 7, ['u'] = 7, ['v'] = 7, ['w'] = 7, ['x'] = 7, ['y'] = 7, ['z'] = 7,
    ['{'] = 6, ['|'] = 7, ['}'] = 6, ['~'] = 7,
#define HW_FOUR(byte) [byte] = 4, [byte + 1] = 4, [byte + 2] = 4, [byte + 3] = 4
#define HW_SIXTEEN(byte) HW_FOUR(byte), HW_FOUR(byte + 4), HW_FOUR(byte + 8), HW_FOUR(byte + 12)
    HW_SIXTEEN(0x80), HW_SIXTEEN(0x90), HW_SIXTEEN(0xA0), HW_SIXTEEN(0xB0),
    HW_SIXTEEN(0xC0), HW_SIXTEEN(0xD0), HW_SIXTEEN(0xE0), HW_SIXTEEN(0xF0),
#undef HW_SIXTEEN
#undef HW_FOUR
};

#endif
