/* hw_chunked_decode in any pieces against a reader of the grammar of RFC 9112, which has the whole input.
 *
 * Input: how many bytes of extensions and trailer are allowed, four cuts, then the body and what may stand
 * behind it.
 */
#include <assert.h>
#include "chunked.h"
#include "grammar.h"
#include "input.h"

struct reader {
    const uint8_t *at, *end;
    enum { GOOD, CUT, WRONG } state; /* CUT: good so far, but there is no more of it */
    size_t extras;
    uint8_t *payload;
    size_t size; /* of the payload */
};

static void fail(struct reader *reader) {
    if (reader->state == GOOD) {
        reader->state = WRONG;
    }
}

/* The next byte, -1 if there is none. */
static int peek(struct reader *reader) {
    if (reader->state == GOOD && reader->at == reader->end) {
        reader->state = CUT;
    }
    return reader->state == GOOD ? *reader->at : -1;
}

static void expect(struct reader *reader, const char *text) {
    for (; *text; text++) {
        if (peek(reader) != *text) {
            fail(reader);
            return;
        }
        reader->at++;
    }
}

/* From `least` to `most` bytes of a kind. */
static void expect_run(struct reader *reader, int (*kind)(uint8_t), size_t least, size_t most) {
    size_t size = 0;
    while (size < most && peek(reader) >= 0 && kind(*reader->at)) {
        reader->at++;
        size++;
    }
    if (size < least) {
        fail(reader);
    }
}

static int is_digit(uint8_t byte) {
    return byte && strchr("0123456789abcdefABCDEF", byte);
}

static int is_quoted(uint8_t byte) {
    return is_value(byte) && byte != '"' && byte != '\\';
}

static void read_quoted(struct reader *reader) {
    expect(reader, "\"");
    expect_run(reader, is_quoted, 0, SIZE_MAX);
    while (peek(reader) == '\\') {
        expect(reader, "\\");
        expect_run(reader, is_value, 1, 1);
        expect_run(reader, is_quoted, 0, SIZE_MAX);
    }
    expect(reader, "\"");
}

static void read_extensions(struct reader *reader) {
    while (peek(reader) == ';') {
        expect(reader, ";");
        expect_run(reader, is_token, 1, SIZE_MAX);
        if (peek(reader) == '=') {
            expect(reader, "=");
            if (peek(reader) == '"') {
                read_quoted(reader);
            } else {
                expect_run(reader, is_token, 1, SIZE_MAX);
            }
        }
    }
}

/* Count what has been read since `begin`. */
static void add_extras(struct reader *reader, const uint8_t *begin) {
    reader->extras += (size_t)(reader->at - begin);
    if (reader->extras > HW_CHUNKED_EXTRAS) {
        reader->state = WRONG;
    }
}

/* The size of a chunk, from its line. */
static uint64_t read_size(struct reader *reader) {
    char digits[HW_CHUNKED_DIGITS + 1] = "";
    const uint8_t *begin = reader->at;
    expect_run(reader, is_digit, 1, HW_CHUNKED_DIGITS);
    memcpy(digits, begin, (size_t)(reader->at - begin));
    begin = reader->at;
    read_extensions(reader);
    expect(reader, "\r");
    if (reader->at > begin) {
        add_extras(reader, begin + 1); /* the first ';', or the CR where there is none, is free */
    }
    expect(reader, "\n");
    return strtoull(digits, NULL, 16);
}

static void read_data(struct reader *reader, uint64_t size) {
    size_t have = (size_t)(reader->end - reader->at), piece = size < have ? (size_t)size : have;
    memcpy(reader->payload + reader->size, reader->at, piece);
    reader->size += piece;
    reader->at += piece;
    reader->extras -= size < reader->extras ? (size_t)size : reader->extras;
    expect(reader, "\r\n");
}

static void read_trailer(struct reader *reader) {
    const uint8_t *begin = reader->at;
    while (peek(reader) >= 0 && peek(reader) != '\r') {
        expect_run(reader, is_token, 1, SIZE_MAX);
        expect(reader, ":");
        expect_run(reader, is_value, 0, SIZE_MAX);
        expect(reader, "\r\n");
    }
    expect(reader, "\r\n");
    add_extras(reader, begin);
}

static void read_body(struct reader *reader) {
    for (;;) {
        uint64_t size = read_size(reader);
        if (reader->state != GOOD) {
            return;
        }
        if (!size) {
            break;
        }
        read_data(reader, size);
    }
    read_trailer(reader);
}

static void check(const uint8_t *data, size_t size, struct hw_chunked body, const size_t *cuts, size_t count,
                  const struct reader *expected) {
    size_t from = 0, taken = 0, had = 0;
    ptrdiff_t got = 0;
    for (size_t i = 0; i <= count && got >= 0; i++) {
        size_t to = i < count ? cuts[i] : size, payload;
        uint8_t *piece = copy(data + from, to - from);
        got = hw_chunked_decode(&body, piece, to - from, &payload);
        assert(payload <= to - from && payload <= expected->size - had);
        assert(!payload || memcmp(piece, expected->payload + had, payload) == 0);
        free(piece);
        had += payload;
        if (got >= 0) {
            taken += (size_t)got;
            assert((size_t)got == to - from || (hw_chunked_done(&body) && (size_t)got < to - from));
            assert(body.extras <= HW_CHUNKED_EXTRAS && body.digits <= HW_CHUNKED_DIGITS);
            assert(body.left >> 4 * HW_CHUNKED_DIGITS == 0);
        }
        from = to;
    }
    assert(had == expected->size);
    assert((got < 0) == (expected->state == WRONG));
    assert(got < 0 || hw_chunked_done(&body) == (expected->state == GOOD));
    assert(got < 0 || taken == (size_t)(expected->at - data));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 5) {
        return 0;
    }
    struct hw_chunked body = {.extras = HW_CHUNKED_EXTRAS - data[0]};
    size_t cuts[4];
    size -= 5;
    read_cuts(data + 1, size, cuts, 4);
    data += 5;
    struct reader expected = {.at = data, .end = data + size, .extras = body.extras, .payload = malloc(size)};
    read_body(&expected);
    check(data, size, body, cuts, 0, &expected);
    check(data, size, body, cuts, 4, &expected);
    free(expected.payload);
    return 0;
}
