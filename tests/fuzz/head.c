/* hw_head_end in any pieces against a walk over lines, and hw_head_parse against the grammar of RFC 9112:
 * the spans, put together again with what belongs between them, are the head.
 *
 * Input: the room for headers, two cuts, then the head and what may stand behind it.
 */
#include <assert.h>
#include "grammar.h"
#include "head.h"
#include "input.h"

static int is_target(uint8_t byte) {
    return byte > ' ' && byte < 0x7F && byte != '#';
}

static int is_space(uint8_t byte) {
    return byte == ' ' || byte == '\t';
}

/* How many bytes from `data` on, before `end`, are of a kind. */
static size_t run(const uint8_t *data, const uint8_t *end, int (*kind)(uint8_t)) {
    size_t size = 0;
    while (data + size < end && kind(data[size])) {
        size++;
    }
    return size;
}

static ptrdiff_t end_oracle(const uint8_t *data, size_t size) {
    size_t line = 0;
    if (size && !is_token(data[0]) && data[0] != '\r') {
        return HW_HEAD_METHOD;
    }
    for (size_t at = 0; at < size; at++) {
        if (data[at] == '\n') {
            if (at == line || data[at - 1] != '\r') {
                return HW_HEAD_BARE_LF;
            }
            if (at == line + 1) {
                return (ptrdiff_t)at + 1;
            }
            line = at + 1;
        }
    }
    return 0;
}

static ptrdiff_t end_in_pieces(const uint8_t *data, size_t size, const size_t *cuts, size_t count) {
    size_t scan = 0;
    ptrdiff_t end = 0;
    for (size_t i = 0; i <= count && !end; i++) {
        size_t have = i < count ? cuts[i] : size;
        uint8_t *beginning = copy(data, have);
        end = hw_head_end(beginning, have, &scan);
        free(beginning);
    }
    return end;
}

/* Whether a line, without its CRLF, is a header, and if so where its parts lie. */
static int header_oracle(const uint8_t *data, size_t at, size_t end, struct hw_header *header) {
    size_t name = run(data + at, data + end, is_token);
    size_t value = at + name + 1;
    if (!name || value > end || data[value - 1] != ':' ||
        run(data + value, data + end, is_value) != end - value) {
        return 0;
    }
    value += run(data + value, data + end, is_space);
    while (end > value && is_space(data[end - 1])) {
        end--;
    }
    header->name = (struct hw_span){(uint32_t)at, (uint32_t)name};
    header->value = (struct hw_span){(uint32_t)value, (uint32_t)(end - value)};
    return 1;
}

/* Whether the first line, without its CRLF, is a request line of HTTP/1, and if so where its parts lie. */
static int request_line_oracle(const uint8_t *data, size_t end, struct hw_head *head) {
    size_t method = run(data, data + end, is_token);
    if (!method || method == end || data[method] != ' ') {
        return 0;
    }
    size_t target = run(data + method + 1, data + end, is_target), version = method + 1 + target;
    if (!target || end - version != 9 || memcmp(data + version, " HTTP/1.", 8) != 0) {
        return 0;
    }
    head->method = (struct hw_span){0, (uint32_t)method};
    head->target = (struct hw_span){(uint32_t)method + 1, (uint32_t)target};
    head->minor = data[end - 1] - '0';
    return head->minor >= 0 && head->minor <= 9;
}

static int same(struct hw_span a, struct hw_span b) {
    return a.at == b.at && a.size == b.size;
}

/* The end of the line that starts at `at`, before its CRLF. */
static size_t line_end(const uint8_t *data, size_t at) {
    while (data[at + 1] != '\n') {
        at++;
    }
    return at;
}

static void check(const uint8_t *data, size_t size, size_t capacity) {
    struct hw_header *table = malloc(capacity * sizeof *table), header;
    struct hw_head head = {.headers = table, .capacity = capacity}, expected;
    int result = hw_head_parse(data, size, &head);
    size_t end = line_end(data, 0), count = 0;
    int valid = request_line_oracle(data, end, &expected);
    for (size_t at = end + 2; valid && at + 2 < size; at = end + 2) {
        end = line_end(data, at);
        if (count == capacity) {
            assert(result == HW_HEAD_TOO_MANY);
            break;
        }
        valid = header_oracle(data, at, end, &header);
        if (valid && !result) {
            assert(same(table[count].name, header.name) && same(table[count].value, header.value));
        }
        count += (size_t)valid;
    }
    if (result == 0) {
        assert(valid && head.count == count && head.minor == expected.minor);
        assert(same(head.method, expected.method) && same(head.target, expected.target));
    } else {
        assert(result < 0 && (result == HW_HEAD_TOO_MANY) == (valid && count == capacity));
    }
    free(table);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 3) {
        return 0;
    }
    size_t capacity = data[0] % 16, cuts[2];
    data += 1;
    size -= 3;
    read_cuts(data, size, cuts, 2);
    data += 2;
    ptrdiff_t end = end_oracle(data, size);
    assert(end_in_pieces(data, size, cuts, 0) == end);
    assert(end_in_pieces(data, size, cuts, 2) == end);
    if (end > 0) {
        uint8_t *head = copy(data, (size_t)end);
        check(head, (size_t)end, capacity);
        free(head);
    }
    return 0;
}
