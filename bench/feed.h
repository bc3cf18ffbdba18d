/* feed.h - the messages of feed_server.py, and how a client reads them. Include after defining _GNU_SOURCE.
 *
 * All messages of a feed have one size, with their numbers in the same places, blanks before them:
 *     {"number":NNNNNNNNNN,"sent":NNNNNNNNNNNNNNNNNNNN,"text":"..."}
 * `sent` is the CLOCK_MONOTONIC of the machine in nanoseconds, so a latency is from publishing to reading. */
#ifndef BENCH_FEED_H
#define BENCH_FEED_H

#include "load.h"

enum {
    NUMBER_AT = 10, NUMBER_SIZE = 10,
    SENT_AT = NUMBER_AT + NUMBER_SIZE + 8, SENT_SIZE = 20,
    PARTIAL_MAX = 2048, /* the longest head, and a message with what is around it */
};

#define START "{\"number\":"
#define MIDDLE ",\"sent\":"

struct message {
    uint64_t number, sent;
};

static inline _Noreturn void refuse(const char *what, const uint8_t *at, size_t size)
{
    die("%s: %.*s", what, (int)(size < 200 ? size : 200), (const char *)at);
}

static inline uint64_t whole_number(const uint8_t *at, size_t size)
{
    uint64_t value = 0;
    for (size_t i = 0; i < size; i++)
        if (at[i] >= '0' && at[i] <= '9')
            value = value * 10 + (uint64_t)(at[i] - '0');
        else if (at[i] != ' ' || value != 0)
            refuse("not a number", at, size);
    return value;
}

/* These bytes as a message; it ends the program where they are none. */
static inline struct message parse_message(const uint8_t *at, size_t size)
{
    if (memcmp(at, START, NUMBER_AT) != 0 || memcmp(at + SENT_AT - 8, MIDDLE, 8) != 0 || at[size - 1] != '}')
        refuse("not a message of the feed", at, size);
    return (struct message){whole_number(at + NUMBER_AT, NUMBER_SIZE), whole_number(at + SENT_AT, SENT_SIZE)};
}

/* A message or head of which the rest has not come yet. */
struct partial {
    size_t size;
    uint8_t data[PARTIAL_MAX];
};

/* Takes what is whole at the beginning of these bytes, which were read at `now`. Returns its size, 0 if nothing is. */
typedef size_t taker(void *client, const uint8_t *at, size_t size, uint64_t now);

/* Reads once, and has everything taken that is whole. Returns how many bytes that was, -1 at the end of the connection;
 * `received` becomes how many were read. */
static inline ssize_t read_whole(int fd, struct partial *partial, taker *take, void *client, size_t *received)
{
    static uint8_t buffer[READ_SIZE];
    memcpy(buffer, partial->data, partial->size);
    ssize_t got = recv(fd, buffer + partial->size, READ_SIZE - partial->size, 0);
    *received = got < 0 ? 0 : (size_t)got;
    if (got <= 0)
        return got < 0 && errno == EAGAIN ? 0 : -1;
    uint64_t now = nanoseconds(CLOCK_MONOTONIC);
    size_t at = 0, end = partial->size + (size_t)got, taken;
    while (at < end && (taken = take(client, buffer + at, end - at, now)) > 0)
        at += taken;
    if ((partial->size = end - at) > PARTIAL_MAX)
        refuse("this does not end", buffer + at, partial->size);
    memcpy(partial->data, buffer + at, partial->size);
    return (ssize_t)at;
}

#endif
