/* slow_load - WebSockets on one feed of 127.0.0.1, of which some stop reading. One thread, one epoll.
 *
 *     slow_load --port P [--connections N --stalled M --size S --warmup W --seconds T --server-pid PID]
 *
 * N clients on /stream get messages of S bytes. M of them read nothing from their handshake until the window closes:
 * their sockets hold little, with segments as on an ordinary network. Then they read on for LATE_SECONDS.
 *
 * Stdout: "open" when all connections are there; the program then waits for a line on stdin. "start" and "stop" when
 * the measured window opens and closes, then one JSON line, whose figures are those of the clients that always read;
 * none of them may miss a message. `stalled` has for each of the others what it read then: how many messages that were
 * older than the newest when the window closed, how many it missed and the first of those (0 for none), how much newer
 * the next one was (-1 for none), and whether the server had ended the connection. */
#define _GNU_SOURCE
#include "feed.h"
#include "websockets.h"

enum { LATE_SECONDS = 2, SEGMENT = 1460, HELD = 4096, MESSAGE_LEAST = 100, MESSAGE_MOST = 1024 };

static struct {
    long port, connections, stalled, size;
    double warmup, seconds;
} options = {.connections = 1000, .size = 1024, .warmup = 1, .seconds = 8};

struct client {
    struct websocket ws;
    struct partial partial;
    uint64_t number; /* of the last message, 0 before the first */
    uint64_t older, missed, first_missed, next; /* of one that had stalled */
    bool ended;
};

static struct client *clients; /* the first ones are those that stall */
static long opened, settled;
static uint64_t newest; /* within the window */
static bool closed;     /* the window is */
static uint8_t head[HEAD_MAX];
static size_t head_size;

static bool stalls(const struct client *c)
{
    return c - clients < options.stalled;
}

/* ---- messages ---- */

static void take_late(struct client *c, uint64_t number)
{
    uint64_t missed = number - c->number - 1;
    if (c->missed == 0 && missed > 0)
        c->first_missed = c->number + 1;
    c->missed += missed;
    if (number < newest)
        c->older++;
    else if (c->next == 0)
        c->next = number;
}

static size_t take(void *client, const uint8_t *at, size_t size, uint64_t now)
{
    struct client *c = client;
    size_t payload = (size_t)options.size;
    if (size < head_size + payload)
        return 0;
    if (memcmp(at, head, head_size) != 0)
        refuse("not a message by itself", at, size);
    struct message message = parse_message(at + head_size, payload);
    if (message.number <= c->number || (message.number != c->number + 1 && !stalls(c)))
        die("message %llu comes after %llu", (unsigned long long)message.number, (unsigned long long)c->number);
    if (stalls(c)) {
        take_late(c, message.number);
    } else if (!closed) {
        messages++;
        newest = message.number;
        record(now - message.sent);
    }
    c->number = message.number;
    return head_size + payload;
}

static void read_messages(struct client *c)
{
    size_t received;
    if (read_whole(c->ws.fd, &c->partial, take, c, &received) >= 0)
        return;
    if (!stalls(c))
        die("the server ends the connection of a client that reads");
    c->ended = true;
    watch(c->ws.fd, c, EPOLL_CTL_DEL, 0);
}

/* ---- connections ---- */

static void open_next(void)
{
    int segment = SEGMENT, held = HELD, fd = new_socket((uint64_t)opened);
    struct client *c = &clients[opened++];
    if (stalls(c)) {
        setsockopt(fd, IPPROTO_TCP, TCP_MAXSEG, &segment, sizeof segment);
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &held, sizeof held);
    }
    begin_opening(&c->ws, fd, options.port);
}

static void open_further(struct client *c)
{
    continue_opening(&c->ws, "/stream", options.port);
    if (!c->ws.open)
        return;
    settled++;
    if (stalls(c))
        watch(c->ws.fd, c, EPOLL_CTL_DEL, 0);
    if (opened < options.connections)
        open_next();
}

static uint64_t serve_batch(void)
{
    struct epoll_event events[EVENTS];
    int count = epoll_wait(epoll, events, EVENTS, 10);
    for (int i = 0; i < count; i++) {
        struct client *c = events[i].data.ptr;
        (c->ws.open ? read_messages : open_further)(c);
    }
    return nanoseconds(CLOCK_MONOTONIC);
}

/* ---- the run ---- */

static void open_all(void)
{
    for (long i = 0; i < options.connections && i < OPENING_MAX; i++)
        open_next();
    while (settled < options.connections)
        serve_batch();
}

static void read_on(void)
{
    closed = true;
    for (long i = 0; i < options.stalled; i++)
        watch(clients[i].ws.fd, &clients[i], EPOLL_CTL_ADD, EPOLLIN);
    serve_for(serve_batch, LATE_SECONDS);
}

static void print_stalled(void)
{
    const char *separator = ", \"stalled\": [";
    for (struct client *c = clients; c < clients + options.stalled; c++, separator = ", ")
        printf("%s{\"older\": %llu, \"missed\": %llu, \"first_missed\": %llu, \"newer\": %lld, \"ended\": %s}",
               separator, (unsigned long long)c->older, (unsigned long long)c->missed,
               (unsigned long long)c->first_missed, c->next == 0 ? -1 : (long long)(c->next - newest),
               c->ended ? "true" : "false");
    printf(options.stalled > 0 ? "]" : ", \"stalled\": []");
}

static void run(void)
{
    open_all();
    announce("open");
    if (getchar() == EOF)
        die("nobody says when to go on");
    struct reading start = open_window(serve_batch, options.warmup);
    close_window(serve_batch, options.seconds, start, "latency");
    read_on();
    print_stalled();
    puts("}");
}

static void read_options(int argc, char **argv)
{
    const struct setting table[] = {
        {"port", .whole = &options.port, .least = 1, .most = UINT16_MAX},
        {"connections", .whole = &options.connections, .least = 1, .most = 100000},
        {"stalled", .whole = &options.stalled, .most = 100000},
        {"size", .whole = &options.size, .least = MESSAGE_LEAST, .most = MESSAGE_MOST},
        {"warmup", .fraction = &options.warmup, .most = WINDOW_MAX},
        {"seconds", .fraction = &options.seconds, .least = 0.01, .most = WINDOW_MAX},
        {"server-pid", .text = &server_pids},
        {NULL},
    };
    parse_options(argc, argv, table);
    if (options.port == 0)
        die("--port is needed");
    if (options.stalled >= options.connections)
        die("--stalled must be less than --connections");
}

int main(int argc, char **argv)
{
    read_options(argc, argv);
    if ((clients = calloc((size_t)options.connections, sizeof *clients)) == NULL)
        die("out of memory");
    head_size = put_frame_head(head, FIN_BIT | OPCODE_TEXT, 0, (uint64_t)options.size);
    epoll = epoll_create1(EPOLL_CLOEXEC);
    give_up_after(GRACE_SECONDS + (unsigned)(options.warmup + options.seconds));
    run();
    free(clients);
    return 0;
}
