#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* accept4, pthread_sigmask */
#endif
#include "poller.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* What sendfile(2) is where the system has none, or not for this kind of file. */
static ssize_t send_piece(int fd, int file, int64_t offset, size_t count) {
    char piece[32768];
    ssize_t size = pread(file, piece, count < sizeof piece ? count : sizeof piece, (off_t)offset);
    ssize_t taken = size > 0 ? hw_send(fd, piece, (size_t)size) : size;
    return taken < 0 ? -errno : taken;
}

#if defined(__linux__)
#include <signal.h>
#include <sys/sendfile.h>
#include <time.h>

ssize_t hw_sendfile(int fd, int file, int64_t offset, size_t count) {
    off_t position = (off_t)offset;
    sigset_t pipe, before, pending;
    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &pipe, &before); /* there is no MSG_NOSIGNAL for sendfile */
    sigpending(&pending);
    ssize_t taken = sendfile(fd, file, &position, count);
    int error = errno;
    if (taken < 0 && error == EPIPE && !sigismember(&pending, SIGPIPE)) {
        sigtimedwait(&pipe, NULL, &(struct timespec){0, 0});
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (taken < 0 && (error == EINVAL || error == ENOSYS)) {
        return send_piece(fd, file, offset, count);
    }
    return taken < 0 ? -error : taken;
}
#elif defined(__APPLE__)

ssize_t hw_sendfile(int fd, int file, int64_t offset, size_t count) {
    off_t taken = (off_t)count;
    if (sendfile(file, fd, (off_t)offset, &taken, NULL, 0) == 0) {
        return (ssize_t)taken;
    }
    if (errno == EAGAIN || errno == EINTR) {
        return taken > 0 ? (ssize_t)taken : -errno;
    }
    return errno == EINVAL || errno == ENOTSUP ? send_piece(fd, file, offset, count) : -errno;
}
#else

ssize_t hw_sendfile(int fd, int file, int64_t offset, size_t count) {
    return send_piece(fd, file, offset, count);
}
#endif

#if defined(__linux__)
#include <linux/sockios.h>

size_t hw_held(int fd) {
    int size;
    return ioctl(fd, SIOCOUTQ, &size) == 0 && size > 0 ? (size_t)size : 0;
}
#elif defined(SO_NWRITE)

size_t hw_held(int fd) {
    int size;
    socklen_t length = sizeof size;
    return getsockopt(fd, SOL_SOCKET, SO_NWRITE, &size, &length) == 0 && size > 0 ? (size_t)size : 0;
}
#else

size_t hw_held(int fd) {
    (void)fd;
    return 0;
}
#endif

#if defined(__linux__) && !defined(HW_POLLER_KQUEUE)

int hw_poller_open(void) {
    int poller = epoll_create1(EPOLL_CLOEXEC);
    return poller < 0 ? -errno : poller;
}

int hw_poller_change(int poller, int fd, int before, int after, void *tag) {
    struct epoll_event event = {0};
    event.events = (after & HW_READ ? EPOLLIN : 0u) | (after & HW_WRITE ? EPOLLOUT : 0u);
    event.data.ptr = tag;
    int operation = !before ? EPOLL_CTL_ADD : !after ? EPOLL_CTL_DEL : EPOLL_CTL_MOD;
    return epoll_ctl(poller, operation, fd, &event) < 0 ? -errno : 0;
}

int hw_poller_wait(int poller, hw_event *events, int capacity) {
    int count = epoll_wait(poller, events, capacity, 0);
    return count < 0 ? -errno : count;
}

int hw_accept(int listener, struct sockaddr_storage *address, socklen_t *size) {
    int fd = accept4(listener, (struct sockaddr *)address, size, SOCK_NONBLOCK | SOCK_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

#else

int hw_poller_open(void) {
    int poller = kqueue();
    if (poller < 0) {
        return -errno;
    }
    if (fcntl(poller, F_SETFD, FD_CLOEXEC) < 0) {
        int error = errno;
        close(poller);
        return -error;
    }
    return poller;
}

int hw_poller_change(int poller, int fd, int before, int after, void *tag) {
    static const struct { int interest; short filter; } filters[] = {
        {HW_READ, EVFILT_READ}, {HW_WRITE, EVFILT_WRITE},
    };
    struct kevent changes[2];
    int count = 0;
    for (int i = 0; i < 2; i++) {
        int was = before & filters[i].interest, is = after & filters[i].interest;
        if (was != is) {
            EV_SET(&changes[count], fd, filters[i].filter, is ? EV_ADD : EV_DELETE, 0, 0, tag);
            count++;
        }
    }
    return count && kevent(poller, changes, count, NULL, 0, NULL) < 0 ? -errno : 0;
}

int hw_poller_wait(int poller, hw_event *events, int capacity) {
    const struct timespec now = {0, 0};
    int count = kevent(poller, NULL, 0, events, capacity, &now);
    return count < 0 ? -errno : count;
}

int hw_accept(int listener, struct sockaddr_storage *address, socklen_t *size) {
    int fd = accept(listener, (struct sockaddr *)address, size);
    if (fd < 0) {
        return -errno;
    }
    int failed = fcntl(fd, F_SETFL, O_NONBLOCK) < 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) < 0;
#ifdef SO_NOSIGPIPE
    failed = failed || setsockopt(fd, SOL_SOCKET, SO_NOSIGPIPE, &(int){1}, sizeof(int)) < 0;
#endif
    if (failed) {
        int error = errno;
        close(fd);
        return -error;
    }
    return fd;
}

#endif
