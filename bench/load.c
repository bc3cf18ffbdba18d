/* load - WebSocket load for an echo server on 127.0.0.1. One thread, one epoll.
 *
 * Echo (the default): --connections N connections each keep --in-flight K binary messages of --size S bytes under way:
 * one goes out for each one that comes back, and all replies found by one read are answered with one send. After
 * --warmup W seconds the figures of --seconds T seconds are taken.
 *
 * Open loop: with --rate R, message k of all leaves R messages a second after message k - 1, over the connections in turn,
 * whatever has come back. Its round-trip time counts from when it was due, so what waits behind a slow reply is late
 * too.
 *
 * Churn: --churn C connections in all, N at a time: connect, --messages M one after the other, disconnect;
 * --reset-percent P of them disconnect by RST, the others by the closing handshake. What is counted are connections,
 * and the round-trip time is from connect to the last echo.
 *
 * Stdout: "start" and "stop" lines when the measured window opens and closes, then one JSON line. With --server-pid
 * P[,Q...] the CPU time of those processes (all their threads) is read at the same two moments. A reply that is not the expected
 * echo ends the program with exit status 1 and a sentence; a connection that is lost counts as an error.
 * After "stop" the connections are held, and no longer served, until stdin ends.
 *
 * Both streams of a connection are predictable - frame number n of connection i carries the stamp of (i, n) and then
 * a fixed pattern - so a connection needs counters only, and no buffers. */
#define _GNU_SOURCE
#include <stdbool.h>

#include "load.h"

enum {
    SAMPLE_EVERY = 8,    /* messages of one connection per round-trip sample, at least */
    RESPONSE_MAX = 1024,
    BURST_MAX = 64,      /* messages that one send of an open loop may hold */
    CONNECTION_SHIFT = 40, /* a stamp: the connection's number above its message's number */
};

static const uint8_t mask[MASK_SIZE] = {0x9D, 0x3A, 0x5E, 0xC7};

static struct {
    long port, connections, in_flight, size, churn, messages, reset_percent;
    double rate, warmup, seconds;
    const char *path;
} options = {.connections = 100, .in_flight = 1, .size = 32, .messages = 1, .warmup = 0.5, .seconds = 3, .path = "/"};

enum phase { CONNECTING, UPGRADING, OPEN, CLOSING };

struct connection {
    int fd;
    enum phase phase;
    bool blocked;           /* waits for room to send */
    uint64_t number;        /* 0, 1, 2 ... over all connections ever opened */
    uint64_t sent, received; /* whole messages */
    size_t sent_part, received_part; /* bytes of the next one */
    uint64_t sample, sampled_at;     /* message whose round trip is being timed; sampled_at is 0 if none is */
    uint64_t samples;
    size_t response_size;
    char response[RESPONSE_MAX + 1]; /* the handshake's, while it is partial */
};

static struct connection *connections;
static uint64_t schedule; /* of an open loop: when its first message is due */
static uint64_t scheduled; /* messages that were due */
static uint64_t opened, settled; /* settled: opened or lost in echo, finished or lost in churn */
static size_t stamp_size; /* a stamp, or as much of it as a message holds */
static char request[512];
static int request_size;

static uint8_t *requests; /* in_flight whole masked frames, their stamps filled in before each send */
static uint64_t mask_twice;
static size_t request_prefix, request_frame; /* prefix: head and mask */
static uint8_t reply[HEAD_MAX + sizeof(uint64_t)]; /* how each echo must begin: head and stamp */
static size_t reply_head, reply_frame;

/* ---- frames ---- */

static uint64_t stamp_of(const struct connection *c, uint64_t message)
{
    return c->number << CONNECTION_SHIFT | message;
}

static void prepare_frames(void)
{
    size_t size = (size_t)options.size, in_flight = (size_t)options.in_flight;
    uint8_t first[HEAD_MAX + MASK_SIZE];
    request_prefix = put_frame_head(first, FIN_BIT | OPCODE_BINARY, MASK_BIT, size);
    memcpy(first + request_prefix, mask, MASK_SIZE);
    memcpy(&mask_twice, (uint8_t[]){mask[0], mask[1], mask[2], mask[3], mask[0], mask[1], mask[2], mask[3]}, 8);
    request_prefix += MASK_SIZE;
    request_frame = request_prefix + size;
    if ((requests = malloc(in_flight * request_frame)) == NULL)
        die("out of memory");
    for (uint8_t *frame = requests; frame < requests + in_flight * request_frame; frame += request_frame) {
        memcpy(frame, first, request_prefix);
        for (size_t i = 0; i < size; i++)
            frame[request_prefix + i] = (uint8_t)i ^ mask[i % MASK_SIZE];
    }

    reply_head = put_frame_head(reply, FIN_BIT | OPCODE_BINARY, 0, size);
    reply_frame = reply_head + size;
    stamp_size = size < sizeof(uint64_t) ? size : sizeof(uint64_t);
}

/* Checks the bytes [at, end) of the reply stream; returns how many messages they complete. */
static uint64_t take_replies(struct connection *c, const uint8_t *at, const uint8_t *end)
{
    uint64_t before = c->received;
    size_t prefix = reply_head + stamp_size;
    while (at < end) {
        size_t left = reply_frame - c->received_part, take = (size_t)(end - at) < left ? (size_t)(end - at) : left;
        if (c->received_part < prefix) {
            size_t known = prefix - c->received_part;
            uint64_t stamp = stamp_of(c, c->received);
            memcpy(reply + reply_head, &stamp, stamp_size);
            if (memcmp(at, reply + c->received_part, take < known ? take : known) != 0)
                die("connection %llu: reply %llu is not the echo of its message (wrong opcode, length or payload)",
                    (unsigned long long)c->number, (unsigned long long)c->received);
        }
        at += take;
        c->received_part += take;
        if (c->received_part == reply_frame) {
            c->received_part = 0;
            c->received++;
        }
    }
    if (c->received > c->sent)
        die("connection %llu: more replies than messages", (unsigned long long)c->number);
    return c->received - before;
}

/* ---- connections ---- */

static void open_connection(struct connection *c)
{
    *c = (struct connection){.number = opened++};
    c->fd = begin_connecting(new_socket(c->number), options.port);
    c->sampled_at = nanoseconds(CLOCK_MONOTONIC); /* churn times all of it from here */
    watch(c->fd, c, EPOLL_CTL_ADD, EPOLLOUT);
}

/* After a connection has opened (echo) or ended (churn): let its successor begin. */
static void settle(struct connection *c)
{
    settled++;
    if (options.churn > 0 && opened < (uint64_t)options.churn)
        open_connection(c);
    else if (options.churn == 0 && opened < (uint64_t)options.connections)
        open_connection(&connections[opened]);
}

static void lose(struct connection *c)
{
    bool was_opening = c->phase <= UPGRADING;
    close(c->fd);
    lost++;
    if (options.churn > 0 || was_opening)
        settle(c);
}

static void reset(struct connection *c)
{
    struct linger now = {.l_onoff = 1, .l_linger = 0};
    setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    close(c->fd);
    settle(c);
}

static void begin_close(struct connection *c)
{
    uint8_t frame[] = {FIN_BIT | OPCODE_CLOSE, MASK_BIT | 2, mask[0], mask[1], mask[2], mask[3],
                       1000 >> 8 ^ mask[0], (1000 & 0xFF) ^ mask[1]};
    c->phase = CLOSING;
    if (send(c->fd, frame, sizeof frame, MSG_NOSIGNAL) != sizeof frame)
        lose(c);
}

static uint64_t due_at(uint64_t message)
{
    return schedule + (uint64_t)((double)message / options.rate * 1e9);
}

/* How many messages this connection may have sent by now. */
static uint64_t allowed(const struct connection *c)
{
    if (options.rate == 0)
        return c->received + (uint64_t)options.in_flight;
    uint64_t due = (scheduled + (uint64_t)options.connections - 1 - c->number) / (uint64_t)options.connections;
    return due < c->sent + (uint64_t)options.in_flight ? due : c->sent + (uint64_t)options.in_flight;
}

/* Sends what is allowed, if anything. */
static void send_messages(struct connection *c)
{
    uint64_t count = allowed(c) - c->sent;
    if (count == 0)
        return;
    for (uint64_t i = 0; i < count; i++) {
        uint64_t masked = stamp_of(c, c->sent + i) ^ mask_twice;
        memcpy(requests + i * request_frame + request_prefix, &masked, stamp_size);
    }
    if (options.rate == 0 && c->sampled_at == 0 && c->sent >= c->sample + SAMPLE_EVERY) {
        c->sample = c->sent + c->samples++ % count; /* each place within a burst has its turn */
        c->sampled_at = nanoseconds(CLOCK_MONOTONIC);
    }
    ssize_t size = send(c->fd, requests + c->sent_part, count * request_frame - c->sent_part, MSG_NOSIGNAL);
    if (size < 0 && errno != EAGAIN) {
        lose(c);
        return;
    }
    size_t done = c->sent_part + (size < 0 ? 0 : (size_t)size);
    c->sent += done / request_frame;
    c->sent_part = done % request_frame;
    bool blocked = done < count * request_frame;
    if (blocked != c->blocked)
        watch(c->fd, c, EPOLL_CTL_MOD, blocked ? EPOLLIN | EPOLLOUT : EPOLLIN);
    c->blocked = blocked;
}

static void send_request(struct connection *c)
{
    if (connecting_error(c->fd) != 0 || send(c->fd, request, (size_t)request_size, MSG_NOSIGNAL) != request_size) {
        lose(c);
        return;
    }
    c->phase = UPGRADING;
    watch(c->fd, c, EPOLL_CTL_MOD, EPOLLIN);
}

static void read_response(struct connection *c)
{
    ssize_t got = recv(c->fd, c->response + c->response_size, RESPONSE_MAX - c->response_size, 0);
    if (got <= 0) {
        if (got == 0 || errno != EAGAIN)
            lose(c);
        return;
    }
    c->response_size += (size_t)got;
    c->response[c->response_size] = '\0';
    char *blank = strstr(c->response, "\r\n\r\n");
    if (blank == NULL && c->response_size < RESPONSE_MAX)
        return;
    if (strncmp(c->response, "HTTP/1.1 101 ", 13) != 0 || strstr(c->response, HANDSHAKE_ACCEPT) == NULL)
        die("the server refuses the handshake: %.*s", (int)strcspn(c->response, "\r\n"), c->response);
    if (blank == NULL || blank[4] != '\0')
        die("the server's handshake is too long, or it speaks first");
    c->phase = OPEN;
    if (options.churn > 0)
        send_messages(c);
    else
        settle(c);
}

/* Of churn: the connection has all its echoes. */
static void finish(struct connection *c)
{
    messages++;
    record(nanoseconds(CLOCK_MONOTONIC) - c->sampled_at);
    if ((long)(c->number * (uint64_t)options.reset_percent % 100) < options.reset_percent)
        reset(c);
    else
        begin_close(c);
}

static void read_replies(struct connection *c)
{
    static uint8_t buffer[READ_SIZE];
    ssize_t got = recv(c->fd, buffer, READ_SIZE, 0);
    if (got <= 0) {
        if (got == 0 || errno != EAGAIN)
            lose(c);
        return;
    }
    uint64_t count = take_replies(c, buffer, buffer + got);
    if (options.churn > 0) {
        if (c->received == (uint64_t)options.messages)
            finish(c);
        else if (count > 0)
            send_messages(c);
        return;
    }
    messages += count;
    for (uint64_t i = c->received - count; options.rate > 0 && i < c->received; i++)
        record(nanoseconds(CLOCK_MONOTONIC) - due_at(i * (uint64_t)options.connections + c->number));
    if (c->sampled_at != 0 && c->received > c->sample) {
        record(nanoseconds(CLOCK_MONOTONIC) - c->sampled_at);
        c->sampled_at = 0;
    }
    if (count > 0)
        send_messages(c);
}

/* The server answers a close frame with its own, or just goes. */
static void read_close(struct connection *c)
{
    uint8_t frame[HEAD_MAX];
    ssize_t got = recv(c->fd, frame, sizeof frame, 0);
    if (got < 0 && errno == EAGAIN)
        return;
    if (got > 0 && frame[0] != (FIN_BIT | OPCODE_CLOSE))
        die("connection %llu: a close frame is answered with something else", (unsigned long long)c->number);
    close(c->fd);
    settle(c);
}

static void serve(struct connection *c, uint32_t events)
{
    if (c->phase == CONNECTING)
        send_request(c);
    else if (c->phase == UPGRADING)
        read_response(c);
    else if (c->phase == CLOSING)
        read_close(c);
    else if (events & ~(uint32_t)EPOLLOUT)
        read_replies(c);
    else
        send_messages(c);
}

static void serve_events(void)
{
    struct epoll_event events[EVENTS];
    int count = look_for_events(events);
    for (int i = 0; i < count; i++)
        serve(events[i].data.ptr, events[i].events);
}

static uint64_t serve_batch(void)
{
    serve_events();
    return nanoseconds(CLOCK_MONOTONIC);
}

/* In an open loop: sends what is due before it looks for replies. */
static uint64_t serve_schedule(void)
{
    uint64_t now = nanoseconds(CLOCK_MONOTONIC);
    while (due_at(scheduled) <= now) {
        struct connection *c = &connections[scheduled++ % (uint64_t)options.connections];
        if (!c->blocked)
            send_messages(c);
    }
    serve_events();
    return now;
}

/* ---- the two runs ---- */

static void run_echo(void)
{
    for (long i = 0; i < options.connections && i < OPENING_MAX; i++)
        open_connection(&connections[i]);
    while (settled < (uint64_t)options.connections)
        serve_batch();
    if (lost > 0)
        die("%llu of %ld connections could not be opened", (unsigned long long)lost, options.connections);
    uint64_t (*serve_more)(void) = options.rate > 0 ? serve_schedule : serve_batch;
    schedule = nanoseconds(CLOCK_MONOTONIC);
    for (long i = 0; i < options.connections; i++) {
        connections[i].sampled_at = 0;
        send_messages(&connections[i]);
    }

    struct reading start = open_window(serve_more, options.warmup);
    close_window(serve_more, options.seconds, start, "rtt");
    hold();
}

static void run_churn(void)
{
    struct reading start = take_reading("start");
    for (long i = 0; i < options.connections && i < options.churn; i++)
        open_connection(&connections[i]);
    while (settled < (uint64_t)options.churn)
        serve_batch();
    print_figures(start, take_reading("stop"), "rtt");
}

static void read_options(int argc, char **argv)
{
    const struct setting table[] = {
        {"port", .whole = &options.port, .least = 1, .most = UINT16_MAX},
        {"path", .text = &options.path},
        {"connections", .whole = &options.connections, .least = 1, .most = 100000},
        {"in-flight", .whole = &options.in_flight, .least = 0, .most = 1024},
        {"rate", .fraction = &options.rate, .least = 1, .most = 1e7},
        {"size", .whole = &options.size, .most = 1 << 24},
        {"warmup", .fraction = &options.warmup, .most = WINDOW_MAX},
        {"seconds", .fraction = &options.seconds, .least = 0.01, .most = WINDOW_MAX},
        {"churn", .whole = &options.churn, .least = 1, .most = 1000000},
        {"messages", .whole = &options.messages, .least = 1, .most = 1000000},
        {"reset-percent", .whole = &options.reset_percent, .most = 100},
        {"server-pid", .text = &server_pids},
        {NULL},
    };
    parse_options(argc, argv, table);
    if (options.port == 0)
        die("--port is needed");
    if (options.churn > 0)
        options.in_flight = 1;
    if (options.rate > 0)
        options.in_flight = BURST_MAX;
}

int main(int argc, char **argv)
{
    read_options(argc, argv);
    prepare_frames();
    request_size = put_handshake(request, sizeof request, options.path, options.port);
    if ((connections = calloc((size_t)options.connections, sizeof *connections)) == NULL)
        die("out of memory");
    epoll = epoll_create1(EPOLL_CLOEXEC);
    if (options.churn > 0) {
        give_up_after(GRACE_SECONDS + (unsigned)options.churn / 100);
        run_churn();
    } else {
        give_up_after(GRACE_SECONDS + (unsigned)(options.warmup + options.seconds));
        run_echo();
    }
    puts("}");
    free(connections);
    free(requests);
    return 0;
}
