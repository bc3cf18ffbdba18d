/* websockets.h - how a load generator opens WebSockets. Include after defining _GNU_SOURCE. */
#ifndef BENCH_WEBSOCKETS_H
#define BENCH_WEBSOCKETS_H

#include <stdbool.h>

#include "load.h"

/* The first member of a client: epoll tells of the client by its address. */
struct websocket {
    int fd;
    bool asked, open; /* the handshake has been sent, was answered */
};

static inline void begin_opening(struct websocket *ws, int fd, long port)
{
    ws->fd = begin_connecting(fd, port);
    watch(fd, ws, EPOLL_CTL_ADD, EPOLLOUT);
}

/* Takes the next step once the socket is ready; ends the program where that is not possible. */
static inline void continue_opening(struct websocket *ws, const char *path, long port)
{
    char text[1024];
    if (!ws->asked) {
        int size = put_handshake(text, sizeof text, path, port);
        if (connecting_error(ws->fd) != 0 || send(ws->fd, text, (size_t)size, MSG_NOSIGNAL) != size)
            die("a connection could not be opened");
        ws->asked = true;
        watch(ws->fd, ws, EPOLL_CTL_MOD, EPOLLIN);
        return;
    }
    ssize_t size = recv(ws->fd, text, sizeof text - 1, 0);
    text[size > 0 ? size : 0] = '\0';
    if (strncmp(text, "HTTP/1.1 101 ", 13) != 0 || strstr(text, HANDSHAKE_ACCEPT) == NULL)
        die("the server refuses the handshake: %.*s", (int)strcspn(text, "\r\n"), text);
    if (strcmp(text + size - 4, "\r\n\r\n") != 0)
        die("the server's handshake comes in pieces or is too long, or it speaks first");
    ws->open = true;
}

#endif
