/* load.h - what the load generators share: sockets from many loopback addresses, the measured window with its clocks
 * and histogram, options, and an end to waiting. Include after defining _GNU_SOURCE. */
#ifndef BENCH_LOAD_H
#define BENCH_LOAD_H

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "wire.h"

enum {
    READ_SIZE = 256 << 10,
    EVENTS = 512,
    OPENING_MAX = 64,    /* connections that open at once: kind to short backlogs */
    ADDRESSES = 29,      /* client addresses 127.0.0.2 ... 127.0.0.30: more ports than one address has */
    GRACE_SECONDS = 60,  /* what opening the connections may take beside the time asked for */
    WINDOW_MAX = 9,      /* seconds of warm-up, and of measurement: servers begin to ping after 20, the load does not */
};

#define HANDSHAKE_KEY "dGhlIHNhbXBsZSBub25jZQ==" /* RFC 6455's sample, and what it must be answered with */
#define HANDSHAKE_ACCEPT "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

static int epoll;
static const char *server_pids = ""; /* whose CPU time is read: numbers with commas between them */
static uint64_t messages, lost; /* what came and was right; connections that are gone */

/* ---- time ---- */

static inline uint64_t nanoseconds(clockid_t clock)
{
    struct timespec t;
    if (clock_gettime(clock, &t) < 0)
        die("cannot read a clock: %s", strerror(errno));
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* A histogram of nanoseconds: 32 buckets to the octave, so a percentile is right within about 3 %. */
enum { STEPS = 32, STEP_BITS = 5, BUCKETS = (64 - STEP_BITS) * STEPS };
static uint64_t histogram[BUCKETS];

static inline void record(uint64_t elapsed)
{
    uint64_t value = elapsed < STEPS ? STEPS : elapsed;
    int octave = 63 - __builtin_clzll(value) - STEP_BITS;
    histogram[octave * STEPS + (value >> octave) % STEPS]++;
}

static inline double percentile_us(double share)
{
    uint64_t total = 0, seen = 0;
    for (int i = 0; i < BUCKETS; i++)
        total += histogram[i];
    for (int i = 0; i < BUCKETS; i++)
        if ((seen += histogram[i]) > 0 && (double)seen >= share * (double)total)
            return ldexp(STEPS + i % STEPS + 0.5, i / STEPS) / 1000;
    return 0;
}

/* Tells whoever reads stdout. */
static inline void announce(const char *moment)
{
    puts(moment);
    fflush(stdout);
}

/* The measured window: every clock is read when it opens and again when it closes. */
struct reading {
    uint64_t wall, own, server, messages, lost;
};

static inline uint64_t server_nanoseconds(void)
{
    uint64_t sum = 0;
    char *end;
    for (const char *at = server_pids; *at != '\0'; at = *end == ',' ? end + 1 : end) {
        clockid_t clock;
        long pid = strtol(at, &end, 10);
        if (end == at || clock_getcpuclockid((pid_t)pid, &clock) != 0)
            die("--server-pid %s: no process with a CPU clock", at);
        sum += nanoseconds(clock);
    }
    return sum;
}

static uint64_t idle; /* nanoseconds in which this looked for events and there were none */

static inline struct reading take_reading(const char *moment)
{
    struct reading now = {.server = server_nanoseconds(), .messages = messages, .lost = lost};
    now.wall = nanoseconds(CLOCK_MONOTONIC);
    now.own = nanoseconds(CLOCK_PROCESS_CPUTIME_ID) - idle;
    announce(moment);
    return now;
}

/* Prints the figures of a window as the first members of a JSON object; `latency` names the percentiles. */
static inline void print_figures(struct reading start, struct reading stop, const char *latency)
{
    printf("{\"messages\": %llu, \"seconds\": %.6f, \"load_cpu_seconds\": %.6f, \"server_cpu_seconds\": %.6f, "
           "\"%s_p50_us\": %.1f, \"%s_p99_us\": %.1f, \"%s_p999_us\": %.1f, \"errors\": %llu",
           (unsigned long long)(stop.messages - start.messages), (double)(stop.wall - start.wall) / 1e9,
           (double)(stop.own - start.own) / 1e9, (double)(stop.server - start.server) / 1e9, latency,
           percentile_us(0.50), latency, percentile_us(0.99), latency, percentile_us(0.999), (unsigned long long)stop.lost);
}

/* Has `serve` called until so many seconds have gone; it returns what CLOCK_MONOTONIC says. */
static inline void serve_for(uint64_t (*serve)(void), double seconds)
{
    uint64_t end = nanoseconds(CLOCK_MONOTONIC) + (uint64_t)(seconds * 1e9);
    while (serve() < end)
        ;
}

/* Serves through the warm-up, and opens the window. */
static inline struct reading open_window(uint64_t (*serve)(void), double warmup)
{
    serve_for(serve, warmup);
    memset(histogram, 0, sizeof histogram);
    return take_reading("start");
}

/* Serves through the window, and prints its figures. */
static inline void close_window(uint64_t (*serve)(void), double seconds, struct reading start, const char *latency)
{
    serve_for(serve, seconds);
    print_figures(start, take_reading("stop"), latency);
}

/* Keeps the connections, while whoever started this looks at the server, until stdin ends. */
static inline void hold(void)
{
    while (getchar() != EOF)
        ;
}

/* Gives up after so many seconds, however the server behaves. */
static inline void give_up(int signal_number)
{
    static const char sentence[] = "the server is too slow or does not answer: giving up\n";
    (void)signal_number;
    _exit(write(STDERR_FILENO, sentence, sizeof sentence - 1) > 0 ? 1 : 2);
}

static inline void give_up_after(unsigned seconds)
{
    signal(SIGALRM, give_up);
    alarm(seconds);
}

/* ---- sockets ---- */

static inline void watch(int fd, void *connection, int operation, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = connection};
    if (epoll_ctl(epoll, operation, fd, &event) < 0)
        die("epoll_ctl: %s", strerror(errno));
}

/* What has happened. This never sleeps: waking it would be charged to the server, and to a slow one more often than to
 * a fast one. */
static inline int look_for_events(struct epoll_event events[EVENTS])
{
    uint64_t before = nanoseconds(CLOCK_MONOTONIC);
    int count = epoll_wait(epoll, events, EVENTS, 0);
    if (count == 0)
        idle += nanoseconds(CLOCK_MONOTONIC) - before;
    return count;
}

/* A socket for the `number`th connection of all. */
static inline int new_socket(uint64_t number)
{
    int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        die("cannot open a socket: %s", strerror(errno));
    struct sockaddr_in own = {.sin_family = AF_INET};
    own.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1 + (uint32_t)(number % ADDRESSES));
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    if (bind(fd, (struct sockaddr *)&own, sizeof own) < 0)
        die("cannot bind a loopback address: %s", strerror(errno));
    return fd;
}

/* Begins to connect it to a port of 127.0.0.1. */
static inline int begin_connecting(int fd, long port)
{
    struct sockaddr_in server = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (connect(fd, (struct sockaddr *)&server, sizeof server) < 0 && errno != EINPROGRESS)
        die("cannot connect to port %ld: %s", port, strerror(errno));
    return fd;
}

static inline int connecting_error(int fd)
{
    int error = 0;
    socklen_t size = sizeof error;
    getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
    return error;
}

/* Writes a WebSocket handshake to out; returns its size. */
static inline int put_handshake(char *out, size_t room, const char *path, long port)
{
    int size = snprintf(out, room,
                        "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%ld\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                        "Sec-WebSocket-Key: " HANDSHAKE_KEY "\r\nSec-WebSocket-Version: 13\r\n\r\n", path, port);
    if (size >= (int)room)
        die("the path is too long");
    return size;
}

/* ---- options ---- */

enum { SETTINGS_MAX = 15 };

/* An option and where its value goes: a text, or a number between two others. */
struct setting {
    const char *name;
    const char **text;
    long *whole;
    double *fraction;
    double least, most;
};

static inline double number_between(const char *name, const char *text, double least, double most)
{
    char *end;
    double value = strtod(text, &end);
    if (end == text || *end != '\0' || !(value >= least && value <= most))
        die("--%s must be between %g and %g", name, least, most);
    return value;
}

/* Reads the options in the table, which ends with one without a name. optind is then the first argument. */
static inline void parse_options(int argc, char **argv, const struct setting *table)
{
    struct option names[SETTINGS_MAX + 1] = {0};
    for (int i = 0; i < SETTINGS_MAX && table[i].name != NULL; i++)
        names[i] = (struct option){table[i].name, required_argument, NULL, i};
    int which;
    while ((which = getopt_long(argc, argv, "", names, NULL)) != -1) {
        if (which == '?')
            exit(1); /* getopt has said why */
        const struct setting *setting = &table[which];
        if (setting->text != NULL) {
            *setting->text = optarg;
            continue;
        }
        double value = number_between(setting->name, optarg, setting->least, setting->most);
        if (setting->whole != NULL)
            *setting->whole = (long)value;
        else
            *setting->fraction = value;
    }
}

#endif
