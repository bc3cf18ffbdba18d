/* bare_broadcast - publishes to WebSockets with nothing around it: the limit that the others are measured against.
 *
 *     bare_broadcast PORT          listens on 127.0.0.1
 *
 * The frames of one request are joined once, and each subscriber gets them in one send. They always fit: the load asks
 * for more only when all subscribers have them. */
#define _GNU_SOURCE
#include "bare.h"

enum { MESSAGE = 100, READ_SIZE = 4096, SUBSCRIBERS_MAX = 100000, BURST_MAX = 1024 };

struct connection {
    int fd;
    bool open, control;
    long place; /* among the subscribers */
};

static struct connection *subscribers[SUBSCRIBERS_MAX];
static long count;
static uint8_t frames[BURST_MAX * (HEAD_MAX + MESSAGE)];

static void drop(void *connection)
{
    struct connection *c = connection;
    if (c->open && !c->control) {
        subscribers[c->place] = subscribers[--count];
        subscribers[c->place]->place = c->place;
    }
    close(c->fd);
    free(c);
}

static void publish(unsigned long long first, long burst)
{
    uint8_t *end = frames;
    for (long i = 0; i < burst; i++) {
        end += put_frame_head(end, FIN_BIT | OPCODE_TEXT, 0, MESSAGE);
        end += sprintf((char *)end, "%0*llu", MESSAGE, first + (unsigned long long)i);
    }
    for (long i = 0; i < count; i++)
        if (send(subscribers[i]->fd, frames, (size_t)(end - frames), MSG_NOSIGNAL) < 0 && errno == EAGAIN)
            die("a subscriber does not take its messages");
}

/* A masked text of two numbers, whole and by itself, as the load sends it. */
static bool obey(uint8_t *at, size_t size)
{
    enum { START = 2 + MASK_SIZE };
    unsigned long long first;
    long burst;
    if (size < START || at[0] != (FIN_BIT | OPCODE_TEXT) || at[1] != (MASK_BIT | (size - START)))
        return false;
    for (size_t i = START; i < size; i++)
        at[i] ^= at[2 + (i - START) % MASK_SIZE];
    if (sscanf((char *)at + START, "%llu %ld", &first, &burst) != 2 || burst > BURST_MAX)
        return false;
    publish(first, burst);
    return true;
}

static bool open_websocket(struct connection *c, uint8_t *head, size_t size)
{
    static const char control[] = "GET /control ";
    if (count == SUBSCRIBERS_MAX || !answer_handshake(c->fd, head, head + size))
        return false;
    c->open = true;
    c->control = memcmp(head, control, sizeof control - 1) == 0;
    if (!c->control) {
        c->place = count;
        subscribers[count++] = c;
    }
    return true;
}

static bool serve_ready(void *connection)
{
    struct connection *c = connection;
    uint8_t data[READ_SIZE + 1] = {0};
    ssize_t got = recv(c->fd, data, READ_SIZE, 0);
    if (got <= 0)
        return got < 0 && errno == EAGAIN;
    if (!c->open)
        return open_websocket(c, data, (size_t)got);
    return c->control && obey(data, (size_t)got);
}

int main(int argc, char **argv)
{
    if (argc != 2)
        die("usage: bare_broadcast PORT");
    serve(argv[1], sizeof(struct connection), serve_ready, drop);
}
