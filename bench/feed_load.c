/* feed_load - clients of a feed on 127.0.0.1, which all get it in one way. One thread, one epoll.
 *
 *     feed_load ws --port P [--connections N --warmup W --seconds T --interval I --server-pid PID]
 *
 * ws, sse      N WebSockets or event streams on /stream, to which the server sends every message. None may be missing.
 * longpoll     N clients ask /next on a connection of their own, and again as soon as they have the answer.
 * poll         N clients ask /latest on a connection of their own: every I milliseconds, or as soon as they are answered.
 * reconnect    As poll, with a new connection for every request.
 *
 * Stdout: "open" when all connections are there; the program then waits for a line on stdin. "start" and "stop" when
 * the measured window opens and closes, then one JSON line: `messages` counts answers, `events` those that told their
 * client something new, `missed` what the feed had between them. With --server-pid the CPU time of that process is
 * read when the window opens and closes. Whatever is not a message of the feed ends the program with a sentence. */
#define _GNU_SOURCE
#include <stdbool.h>

#include "feed.h"

enum { PAYLOAD = 100 };

enum mode { WS, SSE, LONGPOLL, POLL, RECONNECT, MODES };
static const char *const mode_names[MODES] = {"ws", "sse", "longpoll", "poll", "reconnect"};
static const char *const paths[MODES] = {"/stream", "/stream", "/next", "/latest", "/latest"};

static struct {
    enum mode mode;
    long port, connections;
    double warmup, seconds, interval;
} options = {.connections = 1000, .warmup = 0.5, .seconds = 3};

struct client {
    int fd;
    bool streaming; /* ws, sse: the head has come */
    bool asking;    /* the others: an answer is due */
    uint64_t number; /* of the last message, 0 before the first */
    struct partial partial;
};

static struct client *clients;
static uint64_t opened, settled;
static bool all_open;
static uint64_t next_due, next_client, interval; /* who asks next and when, nanoseconds between all */
static char request[512];
static int request_size;
static uint8_t prefix[HEAD_MAX + 8]; /* what is around a message of a stream */
static size_t prefix_size, suffix_size;
static const char *suffix = "";

static struct {
    uint64_t events, missed, received, sent; /* the latter two in bytes */
} counts;

static bool is_stream(void)
{
    return options.mode <= SSE;
}

/* ---- what the server sends ---- */

static void prepare(void)
{
    const char *extra = options.mode == RECONNECT ? "Connection: close\r\n" : "";
    if (options.mode == WS) {
        extra = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                "Sec-WebSocket-Key: " HANDSHAKE_KEY "\r\n";
        prefix_size = put_frame_head(prefix, FIN_BIT | OPCODE_TEXT, 0, PAYLOAD);
    } else if (options.mode == SSE) {
        prefix_size = (size_t)snprintf((char *)prefix, sizeof prefix, "%x\r\ndata: ", PAYLOAD + 8);
        suffix = "\n\n\r\n";
    }
    suffix_size = strlen(suffix);
    request_size = snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%ld\r\n%s\r\n",
                            paths[options.mode], options.port, extra);
}

/* The size of the head at `at`, 0 if it is not whole. It must be the one that was asked for. */
static size_t take_head(const uint8_t *at, size_t size, const char *status, const char *field)
{
    const uint8_t *end = memmem(at, size, "\r\n\r\n", 4);
    if (end == NULL)
        return 0;
    size_t head = (size_t)(end + 4 - at);
    if (memcmp(at, status, strlen(status)) != 0 || memmem(at, head, field, strlen(field)) == NULL)
        refuse("not the answer that was asked for", at, size);
    return head;
}

static void take_payload(struct client *c, const uint8_t *at, uint64_t now)
{
    struct message message = parse_message(at, PAYLOAD);
    messages++;
    if (message.number == c->number && !is_stream())
        return;
    if (message.number <= c->number || (is_stream() && c->number != 0 && message.number != c->number + 1))
        die("message %llu comes after message %llu", (unsigned long long)message.number, (unsigned long long)c->number);
    counts.events++;
    counts.missed += c->number == 0 ? 0 : message.number - c->number - 1;
    c->number = message.number;
    record(now - message.sent);
}

/* A head, or a message with what is around it. */
static size_t take(void *client, const uint8_t *at, size_t size, uint64_t now)
{
    struct client *c = client;
    size_t head = prefix_size;
    if (is_stream() && !c->streaming) {
        head = options.mode == WS ? take_head(at, size, "HTTP/1.1 101 ", HANDSHAKE_ACCEPT)
                                  : take_head(at, size, "HTTP/1.1 200 ", "text/event-stream");
        c->streaming = head > 0;
        return head;
    }
    if (!is_stream() && (head = take_head(at, size, "HTTP/1.1 200 ", "content-length: 100\r\n")) == 0)
        return 0;
    if (size < head + PAYLOAD + suffix_size)
        return 0;
    if (memcmp(at, prefix, prefix_size) != 0 || memcmp(at + head + PAYLOAD, suffix, suffix_size) != 0)
        refuse("not a message by itself", at, size);
    take_payload(c, at + head, now);
    return head + PAYLOAD + suffix_size;
}

/* ---- clients ---- */

static void open_client(struct client *c)
{
    c->fd = begin_connecting(new_socket(opened++), options.port);
    c->partial.size = 0;
    watch(c->fd, c, EPOLL_CTL_ADD, EPOLLOUT);
}

/* One is open or lost: let the next one begin. */
static void settle(void)
{
    settled++;
    if (opened < (uint64_t)options.connections)
        open_client(&clients[opened]);
}

static void lose(struct client *c)
{
    close(c->fd);
    c->fd = -1;
    lost++;
    if (!all_open)
        settle();
}

static void send_request(struct client *c)
{
    c->asking = true;
    counts.sent += (uint64_t)request_size;
    if (send(c->fd, request, (size_t)request_size, MSG_NOSIGNAL) != request_size)
        lose(c);
}

static void connected(struct client *c)
{
    if (connecting_error(c->fd) != 0) {
        lose(c);
        return;
    }
    watch(c->fd, c, EPOLL_CTL_MOD, EPOLLIN);
    if (options.mode != POLL)
        send_request(c);
    if (options.mode == LONGPOLL || options.mode == POLL)
        settle();
}

static void ask(struct client *c)
{
    if (options.mode == RECONNECT) {
        c->asking = true;
        open_client(c);
    } else if (c->fd >= 0) {
        send_request(c);
    }
}

/* The answer is there: ask again, unless there is a time for that. */
static void answered(struct client *c)
{
    c->asking = false;
    if (options.mode == RECONNECT)
        close(c->fd);
    if (interval == 0)
        ask(c);
}

static void ask_those_due(uint64_t now)
{
    while (interval != 0 && next_due <= now) {
        struct client *c = &clients[next_client++ % (uint64_t)options.connections];
        next_due += interval;
        if (!c->asking)
            ask(c);
    }
}

static void read_messages(struct client *c)
{
    bool was_streaming = c->streaming;
    size_t received;
    ssize_t taken = read_whole(c->fd, &c->partial, take, c, &received);
    counts.received += received;
    if (taken < 0)
        lose(c);
    else if (c->streaming && !was_streaming)
        settle();
    else if (taken > 0 && !is_stream())
        answered(c);
}

static uint64_t serve_batch(void)
{
    struct epoll_event events[EVENTS];
    int count = epoll_wait(epoll, events, EVENTS, interval != 0 ? 1 : 10);
    for (int i = 0; i < count; i++) {
        if (events[i].events & EPOLLIN || !(events[i].events & EPOLLOUT))
            read_messages(events[i].data.ptr);
        else
            connected(events[i].data.ptr);
    }
    uint64_t now = nanoseconds(CLOCK_MONOTONIC);
    ask_those_due(now);
    return now;
}

/* ---- the run ---- */

static void open_all(void)
{
    if (options.mode == RECONNECT)
        return;
    for (long i = 0; i < options.connections && i < OPENING_MAX; i++)
        open_client(&clients[i]);
    while (settled < (uint64_t)options.connections)
        serve_batch();
    if (lost > 0)
        die("%llu of %ld connections could not be opened", (unsigned long long)lost, options.connections);
}

/* Clients that poll begin one after the other, as they would by themselves. */
static void begin_asking(void)
{
    if (options.interval > 0) {
        interval = (uint64_t)(options.interval * 1e6) / (uint64_t)options.connections;
        next_due = nanoseconds(CLOCK_MONOTONIC);
    } else {
        for (long i = 0; i < options.connections; i++)
            ask(&clients[i]);
    }
}

static void run(void)
{
    open_all();
    all_open = true;
    announce("open");
    if (getchar() == EOF)
        die("nobody says when to go on");
    if (options.mode >= POLL)
        begin_asking();
    struct reading start = open_window(serve_batch, options.warmup);
    memset(&counts, 0, sizeof counts);
    close_window(serve_batch, options.seconds, start, "latency");
    printf(", \"events\": %llu, \"missed\": %llu, \"received\": %llu, \"sent\": %llu}\n",
           (unsigned long long)counts.events, (unsigned long long)counts.missed,
           (unsigned long long)counts.received, (unsigned long long)counts.sent);
}

static enum mode mode_named(const char *name)
{
    for (int mode = 0; name != NULL && mode < MODES; mode++)
        if (strcmp(name, mode_names[mode]) == 0)
            return (enum mode)mode;
    die("the first argument is one of ws, sse, longpoll, poll, reconnect");
}

static void read_options(int argc, char **argv)
{
    const struct setting table[] = {
        {"port", .whole = &options.port, .least = 1, .most = UINT16_MAX},
        {"connections", .whole = &options.connections, .least = 1, .most = 100000},
        {"warmup", .fraction = &options.warmup, .most = WINDOW_MAX},
        {"seconds", .fraction = &options.seconds, .least = 0.01, .most = WINDOW_MAX},
        {"interval", .fraction = &options.interval, .most = 60000},
        {"server-pid", .text = &server_pids},
        {NULL},
    };
    parse_options(argc, argv, table);
    options.mode = mode_named(argv[optind]);
    if (options.port == 0)
        die("--port is needed");
}

int main(int argc, char **argv)
{
    read_options(argc, argv);
    prepare();
    if ((clients = calloc((size_t)options.connections, sizeof *clients)) == NULL)
        die("out of memory");
    epoll = epoll_create1(EPOLL_CLOEXEC);
    give_up_after(GRACE_SECONDS + (unsigned)(options.warmup + options.seconds));
    run();
    free(clients);
    return 0;
}
