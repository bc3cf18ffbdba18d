import os
from asyncio import CancelledError

cimport cython
from cpython.mem cimport PyMem_Free, PyMem_Malloc
from libc.errno cimport EAGAIN, ECONNABORTED, EINTR, EMFILE, ENFILE, ENOBUFS, ENOMEM, errno
from libc.stdint cimport uint8_t, uint16_t

from hyperws._core.admission cimport NO_ROOM, describe_peer
from hyperws._core.connection cimport (
    ACCEPT_PAUSE, ACCEPTS, LAST_ACCEPTS, Connection, Driver,
)
from hyperws._core.http cimport RequestParser
from hyperws._core.http_session cimport HttpSession

cdef extern from "<unistd.h>" nogil:
    int close(int fd)

cdef extern from "<sys/socket.h>" nogil:
    enum:
        SHUT_WR
    ssize_t recv(int fd, void *data, size_t size, int flags)
    int shutdown(int fd, int how)

cdef extern from "<netinet/in.h>" nogil:
    enum:
        AF_INET, AF_INET6
    struct sockaddr_in:
        uint16_t sin_port
        uint8_t sin_addr[4]
    struct sockaddr_in6:
        uint16_t sin6_port
        uint8_t sin6_addr[16]
    uint16_t ntohs(uint16_t)

cdef extern from "<arpa/inet.h>" nogil:
    const char *inet_ntop(int family, const void *address, char *text, socklen_t size)


cdef class Listener:
    def __cinit__(self, int fd):
        self.fd = fd


@cython.final
cdef class Reactor(Driver):
    def __cinit__(self, *args):
        self.poller = -1    # before anything can fail, as __dealloc__ closes it

    def __init__(self, loop, limits, app, size_t http_buffer_size, size_t ws_buffer_size):
        super().__init__(loop, limits, app)
        self.http_size = http_buffer_size
        self.websocket_size = ws_buffer_size
        self.parser = RequestParser(
            self.bounds.max_head_size, self.bounds.max_headers, self.bounds.max_body_size
        )
        self.incoming = <uint8_t *> PyMem_Malloc(max(http_buffer_size, ws_buffer_size))
        if self.incoming is NULL:
            raise MemoryError
        self.listeners = []
        self.ended = []
        self.poller = hw_poller_open()
        if self.poller < 0:
            raise OSError(-self.poller, os.strerror(-self.poller))

    def __dealloc__(self):
        PyMem_Free(self.incoming)
        if self.poller >= 0:
            close(self.poller)

    def start(self, sockets):
        for socket in sockets:
            listener = Listener(socket.fileno())
            self.listeners.append(listener)
            self.watch_listener(listener, True)
        self.loop.add_reader(self.poller, self.serve_batch)

    def stop_listening(self):
        cdef Listener listener
        cdef int _
        self.now = self.loop.time()
        for listener in self.listeners:
            for _ in range(LAST_ACCEPTS):
                if self.accept(listener) < ACCEPTS:
                    break
            self.watch_listener(listener, False)
        self.ended.extend(self.listeners)
        self.listeners.clear()

    def close(self):
        super().close()
        self.ended.clear()      # what has ended since the last batch holds this driver
        self.loop.remove_reader(self.poller)
        close(self.poller)
        self.poller = -1

    def serve_batch(self):
        """Serve the sockets that are ready: what the event loop calls when the poller is readable."""
        cdef int i, count
        cdef void *tag
        cdef Connection connection
        count = hw_poller_wait(self.poller, self.events, BATCH)
        if count < 0:
            if count == -EINTR:
                return
            raise OSError(-count, os.strerror(-count))
        self.now = self.loop.time()
        try:
            for i in range(count):
                # a tag is a Listener of `listeners` or a Connection of `connections`, or else of `ended`
                tag = hw_event_tag(&self.events[i])
                if type(<object> tag) is Listener:
                    self.accept(<Listener> tag)
                    continue
                connection = <Connection> tag
                try:
                    self.serve(connection, hw_event_ready(&self.events[i]))
                except (Exception, CancelledError) as error:
                    self.fault(connection, error)
            if self.dirty:
                self.flush()
        finally:
            self.ended.clear()

    cdef int serve(self, Connection connection, int ready) except -1:
        if ready & HW_WRITE:
            connection.writable()
        if ready & HW_READ and not connection.gone:
            if not connection.paused:
                return self.read(connection)
            connection.hung_up()
            if not connection.gone:
                # what it sent before is still to be read; the poller would tell of its end again and again
                hw_poller_change(self.poller, connection.fd, connection.watched, 0, <void *> connection)
                connection.watched = 0
        return 0

    cdef int read(self, Connection connection) except -1:
        cdef size_t size = self.websocket_size
        cdef ssize_t got
        if type(connection.session) is HttpSession:
            size = self.http_size
        got = recv(connection.fd, self.incoming, size, 0)
        if got > 0:
            return connection.received(self.incoming, got)
        if got == 0:
            return connection.end_of_input()
        if errno != EAGAIN and errno != EINTR:
            return connection.lost()
        return 0

    cdef int accept(self, Listener listener) except -1:
        """Take connections that wait. Returns how many it took, or turned away."""
        cdef sockaddr_storage address
        cdef socklen_t size
        cdef int i, fd
        cdef Connection connection
        for i in range(ACCEPTS):
            if not listener.watched:
                return i
            size = sizeof(address)
            fd = hw_accept(listener.fd, &address, &size)
            if fd < 0:
                if fd in (-EMFILE, -ENFILE, -ENOBUFS, -ENOMEM):
                    self.watch_listener(listener, False)
                    self.loop.call_later(ACCEPT_PAUSE, self.accept_again, listener)
                    self.app.out_of_descriptors()
                elif fd in (-ECONNABORTED, -EINTR):
                    continue
                return i
            counted, host, port = peer_of(&address)
            if not self.admission.admits(counted):
                hw_send(fd, <const uint8_t *> NO_ROOM, len(NO_ROOM))
                close(fd)
                continue
            connection = Connection(self, host, port, counted)
            connection.fd = fd
            connection.use(HttpSession(connection, self.parser))
            self.add(connection)
            try:
                self.watch(connection)
            except OSError as error:
                self.fault(connection, error)
        return ACCEPTS

    def accept_again(self, Listener listener):
        if listener in self.listeners:
            self.watch_listener(listener, True)

    cdef int watch_listener(self, Listener listener, bint watched) except -1:
        if listener.watched != watched:
            listener.watched = watched
            error = hw_poller_change(
                self.poller, listener.fd, 0 if watched else HW_READ, HW_READ if watched else 0,
                <void *> listener,
            )
            if error:
                raise OSError(-error, os.strerror(-error))
        return 0

    cdef Py_ssize_t transmit(self, Connection connection, const uint8_t *data, size_t size) except -2:
        cdef ssize_t taken = hw_send(connection.fd, data, size)
        if taken < 0 and (errno == EAGAIN or errno == EINTR):
            return 0
        return taken

    cdef Py_ssize_t transmit_file(self, Connection connection, size_t size) except -2:
        cdef ssize_t taken = hw_sendfile(connection.fd, connection.file.fileno(), connection.file_at, size)
        if taken == 0:
            raise EOFError(f"{connection.file.name!r} became shorter while it was sent")
        if taken == -EAGAIN or taken == -EINTR:
            return 0
        return max(taken, <ssize_t> -1)

    cdef size_t held(self, Connection connection) except? 0:
        return hw_held(connection.fd)

    cdef int watch(self, Connection connection) except -1:
        cdef int wanted = HW_IDLE
        if not connection.paused:
            wanted |= HW_READ
        if connection.blocked:
            wanted |= HW_WRITE
        if wanted != connection.watched:
            error = hw_poller_change(
                self.poller, connection.fd, connection.watched, wanted, <void *> connection
            )
            if error:
                raise OSError(-error, os.strerror(-error))
            connection.watched = wanted
        return 0

    cdef int end_output(self, Connection connection) except -1:
        shutdown(connection.fd, SHUT_WR)
        return 0

    cdef int disconnect(self, Connection connection) except -1:
        self.ended.append(connection)
        if connection.watched:
            hw_poller_change(self.poller, connection.fd, connection.watched, 0, <void *> connection)
        close(connection.fd)
        connection.fd = -1
        return 0


cdef tuple peer_of(const sockaddr_storage *address):
    """What `describe_peer` tells of an accepted socket's peer."""
    cdef char text[64]
    cdef const sockaddr_in *four = <const sockaddr_in *> address
    cdef const sockaddr_in6 *six = <const sockaddr_in6 *> address
    if address.ss_family == AF_INET:
        inet_ntop(AF_INET, &four.sin_addr, text, sizeof(text))
        return describe_peer((text.decode("ascii"), ntohs(four.sin_port)))
    if address.ss_family == AF_INET6:
        inet_ntop(AF_INET6, &six.sin6_addr, text, sizeof(text))
        return describe_peer((text.decode("ascii"), ntohs(six.sin6_port)))
    return describe_peer(None)
