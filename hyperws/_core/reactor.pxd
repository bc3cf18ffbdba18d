"""The driver on a poller of its own, nested in the event loop: one wake-up serves every ready socket."""

from libc.stdint cimport int64_t, uint8_t

from hyperws._core.connection cimport Connection, Driver
from hyperws._core.http cimport RequestParser

cdef extern from "poller.h":
    enum:
        HW_READ, HW_WRITE, HW_IDLE

    ctypedef struct hw_event:
        pass

    struct sockaddr_storage:
        unsigned short ss_family

    ctypedef unsigned int socklen_t

    void *hw_event_tag(const hw_event *event) noexcept
    int hw_event_ready(const hw_event *event) noexcept
    int hw_poller_open() noexcept
    int hw_poller_change(int poller, int fd, int before, int after, void *tag) noexcept
    int hw_poller_wait(int poller, hw_event *events, int capacity) noexcept
    ssize_t hw_send(int fd, const void *data, size_t size) noexcept
    ssize_t hw_sendfile(int fd, int file, int64_t offset, size_t count) noexcept
    size_t hw_held(int fd) noexcept
    int hw_accept(int listener, sockaddr_storage *address, socklen_t *size) noexcept


cdef enum:
    BATCH = 256             # events of one wake-up at most; then timers and other tasks get their turn


cdef class Listener:
    cdef int fd
    cdef bint watched


cdef class Reactor(Driver):
    cdef int poller
    cdef hw_event events[BATCH]
    cdef uint8_t *incoming         # one read's bytes, shared by all connections
    cdef size_t http_size, websocket_size
    cdef RequestParser parser
    cdef list listeners
    cdef list ended                # what has ended in this batch, which may have events of it

    cdef int serve(self, Connection connection, int ready) except -1
    cdef int read(self, Connection connection) except -1
    cdef int accept(self, Listener listener) except -1
    cdef int watch_listener(self, Listener listener, bint watched) except -1
