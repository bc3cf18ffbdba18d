/* Readiness of many sockets behind one descriptor: epoll on Linux, kqueue on macOS and the BSDs.
 * The poller's own descriptor is readable while any socket in it is ready, so that it nests in another loop.
 *
 * hw_poller_open returns a descriptor, or a negative errno.
 * hw_poller_change tells the poller that the interest in `fd` is now `after` and was `before` (0: not in
 * it); returns 0 or a negative errno. Take a socket out (after = 0) before it is closed.
 * hw_poller_wait writes at most `capacity` events to `events`, without waiting; returns their number or a
 * negative errno. A socket that failed or was hung up counts as readable.
 * hw_accept takes one connection off a listening socket, non-blocking and closed on exec; it returns its
 * descriptor or a negative errno. hw_send is send, which never raises SIGPIPE on such a socket.
 * hw_sendfile sends up to `count` (at least 1) bytes of an open file, from `offset` on, without waiting for
 * the socket. It returns how many the socket took, 0 where the file has nothing there, or a negative errno. It
 * never raises SIGPIPE on such a socket either, and leaves the file's own position as it is.
 * hw_held tells how many bytes a socket took to send and its peer has not acknowledged, 0 where the system
 * does not tell.
 */
#ifndef HYPERWS_POLLER_H
#define HYPERWS_POLLER_H

#include <stdint.h>
#include <sys/types.h>
#include <sys/socket.h>

enum { HW_READ = 1, HW_WRITE = 2, HW_IDLE = 4 }; /* HW_IDLE: kept in the poller, only errors are told */

#if defined(__linux__) && !defined(HW_POLLER_KQUEUE)
#include <sys/epoll.h>

typedef struct epoll_event hw_event;

static inline void *hw_event_tag(const hw_event *event) {
    return event->data.ptr;
}

static inline int hw_event_ready(const hw_event *event) {
    return (event->events & (EPOLLIN | EPOLLHUP | EPOLLERR) ? HW_READ : 0) |
           (event->events & EPOLLOUT ? HW_WRITE : 0);
}
#else
#include <sys/event.h>
#include <sys/time.h>

typedef struct kevent hw_event;

static inline void *hw_event_tag(const hw_event *event) {
    return (void *)event->udata;
}

static inline int hw_event_ready(const hw_event *event) {
    return event->filter == EVFILT_WRITE ? HW_WRITE : HW_READ;
}
#endif

#ifndef MSG_NOSIGNAL
#define MSG_NOSIGNAL 0 /* hw_accept has set SO_NOSIGPIPE */
#endif

static inline ssize_t hw_send(int fd, const void *data, size_t size) {
    return send(fd, data, size, MSG_NOSIGNAL);
}

ssize_t hw_sendfile(int fd, int file, int64_t offset, size_t count);
size_t hw_held(int fd);
int hw_poller_open(void);
int hw_poller_change(int poller, int fd, int before, int after, void *tag);
int hw_poller_wait(int poller, hw_event *events, int capacity);
int hw_accept(int listener, struct sockaddr_storage *address, socklen_t *size);

#endif
