#include "chunked.h"

#include <string.h>

#include "characters.h"

/* What the next byte is. From EXTENSION on it is one of the extras. */
enum {
    SIZE, /* a digit, or what ends the digits */
    SIZE_LF,
    DATA,
    DATA_CR,
    DATA_LF,
    DONE,
    EXTENSION, /* the first byte of its name */
    EXTENSION_NAME,
    VALUE, /* its first byte */
    VALUE_TOKEN,
    QUOTED,
    QUOTED_PAIR, /* its second byte */
    QUOTED_END,  /* behind the closing quote */
    FIELD,       /* the first byte of its name, or the CR of the empty line */
    FIELD_NAME,
    FIELD_VALUE,
    FIELD_LF,
    END_LF,
};

/* The value of a hexadecimal digit, -1 of any other byte. */
static int digit_value(uint8_t byte) {
    if (byte >= '0' && byte <= '9') {
        return byte - '0';
    }
    uint8_t lower = byte | 0x20;
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

/* The state after the byte behind a size or an extension, which starts an extension or ends the line. */
static int after_extension(uint8_t byte) {
    return byte == ';' ? EXTENSION : byte == '\r' ? SIZE_LF : HW_CHUNKED_EXTENSION;
}

static int after_size_byte(struct hw_chunked *body, uint8_t byte) {
    int value = digit_value(byte);
    if (value < 0 && body->digits) {
        return after_extension(byte);
    }
    if (value < 0 || body->digits == HW_CHUNKED_DIGITS) {
        return HW_CHUNKED_SIZE;
    }
    body->digits++;
    body->left = body->left << 4 | (uint64_t)value; /* 0 before the first digit */
    return SIZE;
}

static int after_line_feed(struct hw_chunked *body) {
    switch (body->state) {
    case SIZE_LF:
        body->digits = 0;
        body->extras -= body->left < body->extras ? (uint16_t)body->left : body->extras;
        return body->left ? DATA : FIELD;
    case DATA_LF: return SIZE;
    case FIELD_LF: return FIELD;
    case END_LF: return DONE;
    case DATA_CR: return HW_CHUNKED_DATA_END;
    default: return HW_CHUNKED_LINE_END;
    }
}

/* The state after a byte that is no payload, or an error. */
static int after(struct hw_chunked *body, uint8_t byte) {
    if (body->state >= EXTENSION && ++body->extras > HW_CHUNKED_EXTRAS) {
        return HW_CHUNKED_TOO_MANY_EXTRAS;
    }
    if (byte == '\n') {
        return after_line_feed(body);
    }
    bool in_token = hw_kinds[byte] & HW_TOKEN, in_value = hw_kinds[byte] & HW_VALUE;
    switch (body->state) {
    case SIZE: return after_size_byte(body, byte);
    case DATA_CR: return byte == '\r' ? DATA_LF : HW_CHUNKED_DATA_END;
    case DATA_LF: return HW_CHUNKED_DATA_END;
    case EXTENSION: return in_token ? EXTENSION_NAME : HW_CHUNKED_EXTENSION;
    case EXTENSION_NAME: return in_token ? EXTENSION_NAME : byte == '=' ? VALUE : after_extension(byte);
    case VALUE: return in_token ? VALUE_TOKEN : byte == '"' ? QUOTED : HW_CHUNKED_EXTENSION;
    case VALUE_TOKEN: return in_token ? VALUE_TOKEN : after_extension(byte);
    case QUOTED:
        if (byte == '"') {
            return QUOTED_END;
        }
        return byte == '\\' ? QUOTED_PAIR : in_value ? QUOTED : HW_CHUNKED_EXTENSION;
    case QUOTED_PAIR: return in_value ? QUOTED : HW_CHUNKED_EXTENSION;
    case QUOTED_END: return after_extension(byte);
    case FIELD: return in_token ? FIELD_NAME : byte == '\r' ? END_LF : HW_CHUNKED_FIELD;
    case FIELD_NAME: return in_token ? FIELD_NAME : byte == ':' ? FIELD_VALUE : HW_CHUNKED_FIELD;
    case FIELD_VALUE: return in_value ? FIELD_VALUE : byte == '\r' ? FIELD_LF : HW_CHUNKED_FIELD;
    default: return HW_CHUNKED_LINE_END; /* a CR without LF */
    }
}

ptrdiff_t hw_chunked_decode(struct hw_chunked *body, uint8_t *data, size_t size, size_t *payload) {
    size_t at = 0;
    *payload = 0;
    while (at < size && body->state != DONE) {
        if (body->state == DATA) {
            size_t piece = body->left < size - at ? (size_t)body->left : size - at;
            if (at != *payload) {
                memmove(data + *payload, data + at, piece);
            }
            *payload += piece;
            at += piece;
            body->left -= piece;
            body->state = body->left ? DATA : DATA_CR;
        } else {
            int state = after(body, data[at++]);
            if (state < 0) {
                return state;
            }
            body->state = (uint8_t)state;
        }
    }
    return (ptrdiff_t)at;
}

bool hw_chunked_done(const struct hw_chunked *body) {
    return body->state == DONE;
}

const char *hw_chunked_error_text(int error) {
    switch (error) {
    case HW_CHUNKED_SIZE: return "a chunk does not start with a size of 1 to 15 hexadecimal digits";
    case HW_CHUNKED_EXTENSION: return "a chunk's size is not followed by ;name, ;name=value or CRLF";
    case HW_CHUNKED_LINE_END: return "a line of the chunked body does not end in CRLF";
    case HW_CHUNKED_DATA_END: return "a chunk's data does not end in CRLF where its size says";
    case HW_CHUNKED_FIELD: return "a trailer field is not a name, a colon and a value without controls";
    case HW_CHUNKED_TOO_MANY_EXTRAS: return "the body has too many chunk extensions or trailer fields";
    default: return "unknown chunked body error";
    }
}
