/* bare_echo - a WebSocket echo server with nothing around it: the limit that the others are measured against.
 *
 *     bare_echo PORT          listens on 127.0.0.1
 *
 * One thread, one epoll, one receive buffer for all connections. Frames are unmasked and turned into replies where
 * they lie, and all replies to one read leave in one send. A connection owns memory only while it holds a partial
 * frame or unsent bytes. Frames are echoed one by one; nothing is validated beyond what parsing needs. */
#define _GNU_SOURCE
#include "bare.h"

enum { BUFFER_SIZE = 4 << 20 };

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

static void drop(void *connection)
{
    struct connection *c = connection;
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

static bool serve_ready(void *connection)
{
    struct connection *c = connection;
    return c->unsent.size > 0 ? send_or_keep(c, c->unsent.data, c->unsent.size) : serve_readable(c);
}

int main(int argc, char **argv)
{
    if (argc != 2)
        die("usage: bare_echo PORT");
    serve(argv[1], sizeof(struct connection), serve_ready, drop);
}
