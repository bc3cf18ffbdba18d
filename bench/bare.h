/* bare.h - what the bare servers share: one thread that serves one port by one epoll, and the handshake. Include after
 * defining _GNU_SOURCE. */
#ifndef BENCH_BARE_H
#define BENCH_BARE_H

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "wire.h"

enum { BACKLOG = 4096, EVENTS = 512, KEY_MAX = 64, ACCEPT_SIZE = 28 };

static int epoll;

/* ---- sockets ---- */

/* A socket that listens on this port of 127.0.0.1. */
static inline int listen_on(const char *port)
{
    int on = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port)),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) < 0 || listen(listener, BACKLOG) < 0)
        die("cannot listen on port %s: %s", port, strerror(errno));
    return listener;
}

static inline void accept_all(int listener, size_t connection_size)
{
    int fd, on = 1;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        int *connection = calloc(1, connection_size);
        if (connection == NULL)
            die("out of memory");
        *connection = fd;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
        epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
    }
}

/* Serves 127.0.0.1 at this port for ever. A connection is a struct of `connection_size` bytes whose first member is its
 * descriptor, and which is zero otherwise. `ready` is called when the socket is, and returns false once the connection
 * is over; `drop` then closes and frees it. */
static inline _Noreturn void serve(const char *port, size_t connection_size, bool (*ready)(void *),
                                   void (*drop)(void *))
{
    int listener = listen_on(port);
    struct epoll_event events[EVENTS], listening = {.events = EPOLLIN, .data.ptr = NULL};
    epoll = epoll_create1(EPOLL_CLOEXEC);
    epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &listening);
    for (;;) {
        int count = epoll_wait(epoll, events, EVENTS, -1);
        for (int i = 0; i < count; i++) {
            void *connection = events[i].data.ptr;
            if (connection == NULL)
                accept_all(listener, connection_size);
            else if (!ready(connection))
                drop(connection);
        }
    }
}

/* ---- the handshake ---- */

static inline uint32_t rotate(uint32_t value, int bits) { return value << bits | value >> (32 - bits); }

/* SHA-1 of text, which is at most 119 bytes long: two blocks are enough for a key and its suffix. */
static inline void sha1(const char *text, size_t size, uint8_t digest[20])
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
static inline void accept_base64(const uint8_t digest[20], char out[ACCEPT_SIZE])
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
static inline bool answer_handshake(int fd, uint8_t *head, uint8_t *end)
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

#endif
