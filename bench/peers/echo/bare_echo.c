/* bare_echo - a WebSocket echo server with nothing around it: the limit that the others are measured against.
 *
 *     bare_echo PORT          listens on 127.0.0.1
 *
 * One thread, one epoll, one receive buffer for all connections. Frames are unmasked and turned into replies where
 * they lie, and all replies to one read leave in one send. A connection owns memory only while it holds a partial
 * frame or unsent bytes. Frames are echoed one by one; nothing is validated beyond what parsing needs. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "wire.h"

enum { BUFFER_SIZE = 4 << 20, EVENTS = 512, BACKLOG = 4096, KEY_MAX = 64, ACCEPT_SIZE = 28 };

struct chunk {
    uint8_t *data;
    size_t size;
};

struct connection {
    int fd;
    bool open;    /* the handshake is done */
    bool closing; /* a close frame was answered: nothing more is read */
    struct chunk partial, unsent;
};

static uint8_t buffer[BUFFER_SIZE];
static int epoll;

/* ---- the accept key ---- */

static uint32_t rotate(uint32_t value, int bits) { return value << bits | value >> (32 - bits); }

/* SHA-1 of text, which is at most 119 bytes long: two blocks are enough for a key and its suffix. */
static void sha1(const char *text, size_t size, uint8_t digest[20])
{
    uint8_t message[128] = {0};
    uint32_t state[5] = {0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476, 0xC3D2E1F0};
    size_t total = size + 9 <= 64 ? 64 : 128;
    memcpy(message, text, size);
    message[size] = 0x80;
    message[total - 2] = (uint8_t)(size * 8 >> 8);
    message[total - 1] = (uint8_t)(size * 8);

    for (const uint8_t *block = message; block < message + total; block += 64) {
        uint32_t w[80], a = state[0], b = state[1], c = state[2], d = state[3], e = state[4];
        for (int i = 0; i < 16; i++)
            w[i] = (uint32_t)block[4 * i] << 24 | block[4 * i + 1] << 16 | block[4 * i + 2] << 8 | block[4 * i + 3];
        for (int i = 16; i < 80; i++)
            w[i] = rotate(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
        for (int i = 0; i < 80; i++) {
            uint32_t f = i < 20   ? ((b & c) | (~b & d)) + 0x5A827999
                         : i < 40 ? (b ^ c ^ d) + 0x6ED9EBA1
                         : i < 60 ? ((b & c) | (b & d) | (c & d)) + 0x8F1BBCDC
                                  : (b ^ c ^ d) + 0xCA62C1D6;
            uint32_t next = rotate(a, 5) + f + e + w[i];
            e = d;
            d = c;
            c = rotate(b, 30);
            b = a;
            a = next;
        }
        state[0] += a;
        state[1] += b;
        state[2] += c;
        state[3] += d;
        state[4] += e;
    }
    for (int i = 0; i < 20; i++)
        digest[i] = (uint8_t)(state[i / 4] >> (24 - 8 * (i % 4)));
}

/* Base64 of a SHA-1 digest: 20 bytes become ACCEPT_SIZE characters, the last one padding. */
static void accept_base64(const uint8_t digest[20], char out[ACCEPT_SIZE])
{
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (int i = 0; i < ACCEPT_SIZE - 1; i++) {
        int byte = i * 6 / 8, shift = 10 - i * 6 % 8;
        uint32_t pair = (uint32_t)digest[byte] << 8 | (byte + 1 < 20 ? digest[byte + 1] : 0);
        out[i] = alphabet[pair >> shift & 63];
    }
    out[ACCEPT_SIZE - 1] = '=';
}

/* Answers the request head [head, end), which ends with an empty line. False if it is no WebSocket handshake. */
static bool answer_handshake(int fd, uint8_t *head, uint8_t *end)
{
    static const char suffix[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11", name[] = "\r\nsec-websocket-key:";
    end[-1] = '\0'; /* the last line feed, so that the head is a string */
    char *key = strcasestr((char *)head, name);
    if (key == NULL)
        return false;
    key += sizeof name - 1;
    key += strspn(key, " \t");
    size_t size = strcspn(key, " \t\r");
    if (size > KEY_MAX)
        return false;

    char joined[KEY_MAX + sizeof suffix], accept[ACCEPT_SIZE], response[256];
    uint8_t digest[20];
    memcpy(joined, key, size);
    memcpy(joined + size, suffix, sizeof suffix);
    sha1(joined, size + sizeof suffix - 1, digest);
    accept_base64(digest, accept);
    int length = snprintf(response, sizeof response,
                          "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                          "Sec-WebSocket-Accept: %.*s\r\n\r\n", ACCEPT_SIZE, accept);
    return send(fd, response, (size_t)length, MSG_NOSIGNAL) == length;
}

/* ---- frames ---- */

/* Moves [from, from + size) down to `to` (to <= from) while unmasking: every load is done before its store. */
static void unmask_down(uint8_t *to, const uint8_t *from, size_t size, const uint8_t mask[MASK_SIZE])
{
    uint64_t word, mask64;
    uint32_t mask32;
    memcpy(&mask32, mask, MASK_SIZE);
    mask64 = (uint64_t)mask32 << 32 | mask32;
    size_t i = 0;
    for (; i + 8 <= size; i += 8) {
        memcpy(&word, from + i, 8);
        word ^= mask64;
        memcpy(to + i, &word, 8);
    }
    for (; i < size; i++)
        to[i] = from[i] ^ mask[i % MASK_SIZE];
}

/* Turns the whole frames in [at, end) into replies at *out (*out <= at: a reply is shorter by its mask, so it never
 * overtakes the input) and moves *out past them. Returns where the first partial frame begins, NULL on a bad frame. */
static uint8_t *echo_frames(struct connection *c, uint8_t *at, uint8_t *end, uint8_t **out)
{
    while (end - at >= 2 + MASK_SIZE && !c->closing) {
        uint8_t first = at[0], opcode = first & 0xF, code = at[1] & 0x7F, mask[MASK_SIZE];
        size_t extended = code < 126 ? 0 : code == 126 ? 2 : 8, head = 2 + extended + MASK_SIZE;
        uint64_t length = extended ? 0 : code;
        if (!(at[1] & MASK_BIT))
            return NULL;
        if ((size_t)(end - at) < head)
            break;
        for (size_t i = 0; i < extended; i++)
            length = length << 8 | at[2 + i];
        if (length > BUFFER_SIZE - head)
            return NULL;
        if ((size_t)(end - at) - head < length)
            break;

        memcpy(mask, at + head - MASK_SIZE, MASK_SIZE); /* the reply's payload may be written over it */
        c->closing = opcode == OPCODE_CLOSE;
        *out += put_frame_head(*out, opcode == OPCODE_PING ? FIN_BIT | OPCODE_PONG : first, 0, length);
        unmask_down(*out, at + head, length, mask);
        *out += length;
        at += head + length;
    }
    return at;
}

/* ---- connections ---- */

static void keep(struct chunk *chunk, const uint8_t *data, size_t size)
{
    uint8_t *copy = NULL;
    if (size > 0) {
        if ((copy = malloc(size)) == NULL)
            die("out of memory");
        memcpy(copy, data, size);
    }
    free(chunk->data);
    *chunk = (struct chunk){copy, size};
}

static void drop(struct connection *c)
{
    close(c->fd);
    free(c->partial.data);
    free(c->unsent.data);
    free(c);
}

/* Sends [data, data + size), keeping what the socket does not take and then waiting for room instead of for input.
 * False once the connection is over. */
static bool send_or_keep(struct connection *c, const uint8_t *data, size_t size)
{
    bool was_blocked = c->unsent.size > 0;
    ssize_t sent = size > 0 ? send(c->fd, data, size, MSG_NOSIGNAL) : 0;
    if (sent < 0 && errno != EAGAIN)
        return false;
    size_t done = sent < 0 ? 0 : (size_t)sent;
    bool blocked = done < size;
    if (blocked || was_blocked)
        keep(&c->unsent, data + done, size - done);
    if (blocked != was_blocked) {
        struct epoll_event event = {.events = blocked ? EPOLLOUT : EPOLLIN, .data.ptr = c};
        epoll_ctl(epoll, EPOLL_CTL_MOD, c->fd, &event);
    }
    return blocked || !c->closing;
}

/* Reads once and answers. False once the connection is over. */
static bool serve_readable(struct connection *c)
{
    size_t held = c->partial.size;
    if (held > 0)
        memcpy(buffer, c->partial.data, held);
    ssize_t got = recv(c->fd, buffer + held, BUFFER_SIZE - held, 0);
    if (got <= 0)
        return got < 0 && errno == EAGAIN;

    uint8_t *at = buffer, *end = buffer + held + got, *out = buffer;
    if (!c->open) {
        uint8_t *blank = memmem(at, (size_t)(end - at), "\r\n\r\n", 4);
        if (blank != NULL) {
            if (!answer_handshake(c->fd, at, blank + 4))
                return false;
            c->open = true;
            at = blank + 4;
        }
    }
    if (c->open && (at = echo_frames(c, at, end, &out)) == NULL)
        return false;
    if (held > 0 || at < end)
        keep(&c->partial, at, (size_t)(end - at));
    return c->partial.size < BUFFER_SIZE && send_or_keep(c, buffer, (size_t)(out - buffer));
}

static void accept_all(int listener)
{
    int fd, on = 1;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        struct connection *c = calloc(1, sizeof *c);
        if (c == NULL)
            die("out of memory");
        c->fd = fd;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
        epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
    }
}

int main(int argc, char **argv)
{
    if (argc != 2)
        die("usage: bare_echo PORT");
    int on = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(argv[1])),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) < 0 || listen(listener, BACKLOG) < 0)
        die("cannot listen on port %s: %s", argv[1], strerror(errno));
    epoll = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event events[EVENTS], listening = {.events = EPOLLIN, .data.ptr = NULL};
    epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &listening);

    for (;;) {
        int count = epoll_wait(epoll, events, EVENTS, -1);
        for (int i = 0; i < count; i++) {
            struct connection *c = events[i].data.ptr;
            if (c == NULL)
                accept_all(listener);
            else if (!(c->unsent.size > 0 ? send_or_keep(c, c->unsent.data, c->unsent.size) : serve_readable(c)))
                drop(c);
        }
    }
}
