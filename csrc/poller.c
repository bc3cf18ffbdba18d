#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* accept4 */
#endif
#include "poller.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

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
