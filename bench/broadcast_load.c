/* broadcast_load - subscribers of one topic on 127.0.0.1, and a connection that has messages published to it.
 *
 *     broadcast_load --port P [--connections N --burst B --warmup W --seconds T --server-pid PID]
 *
 * N WebSockets on "/" are the subscribers. One on "/control" asks for messages: the text "7 2" has the server publish
 * two of them in one go, numbered 7 and 8; a message is its number in 100 digits, as text. As soon as all subscribers
 * have all B messages, the load asks for the next.
 *
 * Stdout: "start" and "stop" when the measured window opens and closes, then one JSON line. `messages` counts what
 * subscribers got; the skew of a message is the time from the first subscriber that has it to the last, as the load
 * reads them. With --server-pid P[,Q...] the CPU time of those processes is read when the window opens and closes; after
 * it has closed, the connections are held until stdin ends. What is not the message that comes next ends the program with a sentence, and so does a connection that is lost. */
#define _GNU_SOURCE
#include "websockets.h"

enum { MESSAGE = 100, FRAME = 2 + MESSAGE, BURST_MAX = 1024, REQUEST_MAX = 64 };

static struct {
    long port, connections, burst;
    double warmup, seconds;
} options = {.connections = 1000, .burst = 1, .warmup = 0.5, .seconds = 3};

struct client {
    struct websocket ws;
    size_t got; /* bytes of the present burst */
};

static struct client *clients; /* the subscribers, and behind them the control connection */
static long opened, settled;
static uint64_t next_number = 1;

static uint8_t expected[BURST_MAX * FRAME]; /* the present burst */
static size_t expected_size;
static struct {
    long reached; /* subscribers that have it */
    uint64_t since;
} published[BURST_MAX];

static struct client *control(void)
{
    return &clients[options.connections];
}

/* ---- bursts ---- */

static void ask(void)
{
    uint8_t request[REQUEST_MAX] = {0}; /* the mask is zero */
    char *text = (char *)request + 2 + MASK_SIZE;
    int size = sprintf(text, "%llu %ld", (unsigned long long)next_number, options.burst);
    put_frame_head(request, FIN_BIT | OPCODE_TEXT, MASK_BIT, (uint64_t)size);

    uint8_t *end = expected;
    for (long i = 0; i < options.burst; i++) {
        end += put_frame_head(end, FIN_BIT | OPCODE_TEXT, 0, MESSAGE);
        end += sprintf((char *)end, "%0*llu", MESSAGE, (unsigned long long)next_number++);
    }
    expected_size = (size_t)(end - expected);
    memset(published, 0, sizeof published);
    for (long i = 0; i < options.connections; i++)
        clients[i].got = 0;
    size += 2 + MASK_SIZE;
    if (send(control()->ws.fd, request, (size_t)size, MSG_NOSIGNAL) != size)
        die("the control connection is lost");
}

static void reach(size_t message, uint64_t now)
{
    messages++;
    if (published[message].reached++ == 0)
        published[message].since = now;
    if (published[message].reached == options.connections)
        record(now - published[message].since);
}

static void read_messages(struct client *c)
{
    uint8_t data[sizeof expected];
    ssize_t size = recv(c->ws.fd, data, sizeof data, 0);
    if (size < 0 && errno == EAGAIN)
        return;
    if (size <= 0)
        die("the server closes a connection");
    if (c == control() || (size_t)size > expected_size - c->got)
        die("the server sends what nobody asked for");
    if (memcmp(data, expected + c->got, (size_t)size) != 0)
        die("a subscriber gets something else than message %llu (wrong opcode, length, number or order)",
            (unsigned long long)(next_number - (uint64_t)options.burst + c->got / FRAME));
    uint64_t now = nanoseconds(CLOCK_MONOTONIC);
    size_t message = c->got / FRAME;
    c->got += (size_t)size;
    for (; message < c->got / FRAME; message++)
        reach(message, now);
    if (published[options.burst - 1].reached == options.connections)
        ask();
}

/* ---- connections ---- */

static void open_next(void)
{
    begin_opening(&clients[opened].ws, new_socket((uint64_t)opened), options.port);
    opened++;
}

/* The control connection is opened last, when all others are subscribers. */
static void open_further(struct client *c)
{
    continue_opening(&c->ws, c == control() ? "/control" : "/", options.port);
    if (!c->ws.open)
        return;
    settled++;
    if (c == control())
        ask();
    else if (opened < options.connections || settled == options.connections)
        open_next();
}

static uint64_t serve_batch(void)
{
    struct epoll_event events[EVENTS];
    int count = look_for_events(events);
    for (int i = 0; i < count; i++) {
        struct client *c = events[i].data.ptr;
        (c->ws.open ? read_messages : open_further)(c);
    }
    return nanoseconds(CLOCK_MONOTONIC);
}

/* ---- the run ---- */

static void run(void)
{
    for (long i = 0; i < options.connections && i < OPENING_MAX; i++)
        open_next();
    while (!control()->ws.open)
        serve_batch();
    struct reading start = open_window(serve_batch, options.warmup);
    close_window(serve_batch, options.seconds, start, "skew");
    hold();
    puts("}");
}

static void read_options(int argc, char **argv)
{
    const struct setting table[] = {
        {"port", .whole = &options.port, .least = 1, .most = UINT16_MAX},
        {"connections", .whole = &options.connections, .least = 1, .most = 100000},
        {"burst", .whole = &options.burst, .least = 1, .most = BURST_MAX},
        {"warmup", .fraction = &options.warmup, .most = WINDOW_MAX},
        {"seconds", .fraction = &options.seconds, .least = 0.01, .most = WINDOW_MAX},
        {"server-pid", .text = &server_pids},
        {NULL},
    };
    parse_options(argc, argv, table);
    if (options.port == 0)
        die("--port is needed");
}

int main(int argc, char **argv)
{
    read_options(argc, argv);
    if ((clients = calloc((size_t)options.connections + 1, sizeof *clients)) == NULL)
        die("out of memory");
    epoll = epoll_create1(EPOLL_CLOEXEC);
    give_up_after(GRACE_SECONDS + (unsigned)(options.warmup + options.seconds));
    run();
    free(clients);
    return 0;
}
