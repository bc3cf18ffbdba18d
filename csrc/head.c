#include "head.h"

#include <string.h>

#include "characters.h"

ptrdiff_t hw_head_end(const uint8_t *data, size_t size, size_t *scan) {
    if (size && !(hw_kinds[data[0]] & HW_TOKEN) && data[0] != '\r') {
        return HW_HEAD_METHOD; /* not HTTP at all, a TLS hello for instance: say so before a line is full */
    }
    size_t at = *scan;
    while (at < size) {
        const uint8_t *newline = memchr(data + at, '\n', size - at);
        if (!newline) {
            break;
        }
        size_t end = (size_t)(newline - data);
        if (end == 0 || data[end - 1] != '\r') {
            return HW_HEAD_BARE_LF;
        }
        if (end == 1 || data[end - 2] == '\n') {
            return (ptrdiff_t)end + 1;
        }
        at = end + 1;
    }
    *scan = size;
    return 0;
}

/* The first position from `at` on, before `end`, whose byte is not of `kind`. */
static inline size_t span(const uint8_t *data, size_t at, size_t end, uint8_t kind) {
    while (at < end && hw_kinds[data[at]] & kind) {
        at++;
    }
    return at;
}

static struct hw_span make_span(size_t at, size_t end) {
    return (struct hw_span){(uint32_t)at, (uint32_t)(end - at)};
}

/* method SP target SP HTTP/1.digit, in the `end` bytes at `data` */
static int parse_request_line(const uint8_t *data, size_t end, struct hw_head *head) {
    size_t method = span(data, 0, end, HW_TOKEN);
    if (method == 0 || method == end || data[method] != ' ') {
        return HW_HEAD_METHOD;
    }
    size_t target = span(data, method + 1, end, HW_TARGET);
    if (target == method + 1 || target == end || data[target] != ' ') {
        return HW_HEAD_TARGET;
    }
    const uint8_t *version = data + target + 1;
    if (end - (target + 1) != 8 || memcmp(version, "HTTP/", 5) != 0 || version[6] != '.' ||
        version[5] < '0' || version[5] > '9' || version[7] < '0' || version[7] > '9') {
        return HW_HEAD_VERSION;
    }
    if (version[5] != '1') {
        return HW_HEAD_UNSUPPORTED_VERSION;
    }
    head->method = make_span(0, method);
    head->target = make_span(method + 1, target);
    head->minor = version[7] - '0';
    return 0;
}

/* name ":" OWS value OWS, from `at` up to `end` */
static int parse_header(const uint8_t *data, size_t at, size_t end, struct hw_header *header) {
    if (data[at] == ' ' || data[at] == '\t') {
        return HW_HEAD_FOLDED;
    }
    size_t name = span(data, at, end, HW_TOKEN);
    if (name == at || name == end || data[name] != ':') {
        return HW_HEAD_NAME;
    }
    size_t value = name + 1;
    if (span(data, value, end, HW_VALUE) != end) {
        return HW_HEAD_VALUE;
    }
    while (value < end && (data[value] == ' ' || data[value] == '\t')) {
        value++;
    }
    while (end > value && (data[end - 1] == ' ' || data[end - 1] == '\t')) {
        end--;
    }
    header->name = make_span(at, name);
    header->value = make_span(value, end);
    return 0;
}

int hw_head_parse(const uint8_t *data, size_t size, struct hw_head *head) {
    size_t at = 0;
    head->count = 0;
    for (;;) {
        /* hw_head_end saw a CRLF at each line's end and an empty line at the head's */
        const uint8_t *newline = memchr(data + at, '\n', size - at);
        size_t end = (size_t)(newline - data) - 1;
        int error;
        if (at == 0) {
            error = parse_request_line(data, end, head);
        } else if (end == at) {
            return 0;
        } else if (head->count == head->capacity) {
            return HW_HEAD_TOO_MANY;
        } else {
            error = parse_header(data, at, end, &head->headers[head->count++]);
        }
        if (error) {
            return error;
        }
        at = end + 2;
    }
}

const char *hw_head_error_text(int error) {
    switch (error) {
    case HW_HEAD_BARE_LF: return "a line of the head ends in LF without CR";
    case HW_HEAD_METHOD: return "the request does not start with a method and a space";
    case HW_HEAD_TARGET: return "the request target is empty or has a character that must be percent-encoded";
    case HW_HEAD_VERSION: return "the request line does not end in an HTTP version";
    case HW_HEAD_UNSUPPORTED_VERSION: return "this server speaks HTTP/1.1 and HTTP/1.0";
    case HW_HEAD_NAME: return "a header name is empty or not a token directly before its colon";
    case HW_HEAD_VALUE: return "a header value has a control character";
    case HW_HEAD_FOLDED: return "a header is continued on a second line, which is obsolete";
    case HW_HEAD_TOO_MANY: return "the request has too many headers";
    default: return "unknown request head error";
    }
}
