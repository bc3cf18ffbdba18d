import asyncio
import errno
import socket as sockets_module
import sys

try:
    import fcntl
    import termios
except ImportError:     # on Windows
    fcntl = termios = None

cimport cython
from libc.math cimport INFINITY
from libc.stdint cimport uint8_t
from libc.string cimport memcpy

from hyperws._core.admission cimport NO_ROOM, describe_peer
from hyperws._core.connection cimport (
    ACCEPT_PAUSE, ACCEPTS, LAST_ACCEPTS, LAST_CALL, Connection, Driver,
)
from hyperws._core.http cimport RequestParser
from hyperws._core.http_session cimport HttpSession

cdef tuple EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
cdef Py_ssize_t WRITE_SIZE = 65536      # given to a transport at once, so that its own buffer stays short


@cython.final
cdef class Portable(Driver):
    def __init__(self, loop, limits, app, nodelay, tls=None):
        super().__init__(loop, limits, app)
        self.incoming = bytearray()
        self.parser = RequestParser(
            self.bounds.max_head_size, self.bounds.max_headers, self.bounds.max_body_size
        )
        self.nodelay = nodelay
        self.tls = tls
        self.listeners = []
        self.accepting = set()
        self.starting = set()
        self.closing = {}
        self.stopping = False

    def start(self, sockets):
        for listener in sockets:
            try:
                self.loop.add_reader(listener, self.accept, listener)
            except NotImplementedError:     # Windows' own loop
                self.accepting.add(self.loop.create_task(self.accept_by_loop(listener)))
            else:
                self.listeners.append(listener)

    def stop_listening(self):
        cdef int _
        self.stopping = True
        for listener in self.listeners:
            self.loop.remove_reader(listener)
            for _ in range(LAST_ACCEPTS):
                if self.accept(listener) < ACCEPTS:
                    break
        self.listeners.clear()
        for task in self.accepting:
            task.cancel()
        self.last_call = self.loop.call_later(LAST_CALL, self.give_up_starting)

    def give_up_starting(self):
        for task in self.starting:
            task.cancel()

    def abort_all(self):
        self.give_up_starting()
        super().abort_all()

    def close(self):
        super().close()
        if self.last_call is not None:
            self.last_call.cancel()

    cdef bint is_drained(self) noexcept:
        return not self.connections and not self.starting

    def accept(self, listener):
        """Take connections that wait. Returns how many it took, or turned away."""
        cdef int i
        for i in range(ACCEPTS):
            try:
                socket, address = listener.accept()
            except OSError as error:
                if error.errno in EXHAUSTED:
                    self.loop.remove_reader(listener)
                    self.loop.call_later(ACCEPT_PAUSE, self.accept_again, listener)
                    self.app.out_of_descriptors()
                return i
            self.take(socket, address)
        return ACCEPTS

    def accept_again(self, listener):
        if listener in self.listeners:
            self.loop.add_reader(listener, self.accept, listener)

    async def accept_by_loop(self, listener):
        """Take connections on a loop that has no readers."""
        while True:
            try:
                self.take(*await self.loop.sock_accept(listener))
            except OSError as error:
                if error.errno in EXHAUSTED:
                    self.app.out_of_descriptors()
                    await asyncio.sleep(ACCEPT_PAUSE)

    def take(self, socket, address):
        counted, _, _ = describe_peer(address)
        socket.setblocking(False)
        if self.admission.admits(counted):
            task = self.loop.create_task(self.connect(socket, Protocol(self, counted)))
            self.starting.add(task)
            task.add_done_callback(self.has_started)
            return
        with socket:
            if self.tls is None:
                try:
                    socket.send(NO_ROOM)
                except OSError:
                    pass

    async def connect(self, socket, protocol):
        """Have a transport for a connection, which counts as one already: TLS may take its time."""
        try:
            if self.tls is None:
                await self.loop.connect_accepted_socket(lambda: protocol, socket)
            else:
                await self.loop.connect_accepted_socket(
                    lambda: protocol, socket, ssl=self.tls,
                    ssl_handshake_timeout=finite(self.bounds.handshake_timeout),
                    ssl_shutdown_timeout=finite(self.bounds.close_timeout),
                )
        except OSError:
            pass        # it speaks no TLS, or other TLS, or is gone
        finally:
            protocol.end_start()

    def has_started(self, task):
        self.starting.discard(task)
        self.look_if_drained()

    cdef Py_ssize_t transmit(self, Connection connection, const uint8_t *data, size_t size) except -2:
        cdef Py_ssize_t taken = 0, piece
        while taken < <Py_ssize_t> size and not connection.blocked:    # the transport may block it
            if connection.transport.is_closing():
                return -1       # it noticed that the peer is gone, and will say so only in the next turn
            piece = min(<Py_ssize_t> size - taken, WRITE_SIZE)
            connection.transport.write(data[taken:taken + piece])
            taken += piece
        return taken

    cdef Py_ssize_t transmit_file(self, Connection connection, size_t size) except -2:
        cdef Py_ssize_t taken = 0
        connection.file.seek(connection.file_at)
        while taken < <Py_ssize_t> size and not connection.blocked:    # the transport may block it
            if connection.transport.is_closing():
                return -1
            piece = connection.file.read(min(<Py_ssize_t> size - taken, WRITE_SIZE))
            if not piece:
                raise EOFError(f"{connection.file.name!r} became shorter while it was sent")
            connection.transport.write(piece)
            taken += len(piece)
        if not connection.blocked and taken < connection.file_left:
            self.loop.call_soon(self.send_more, connection)     # the transport will not ask for it
        return taken

    def send_more(self, Connection connection):
        """Go on once the transport takes more."""
        try:
            connection.writable()
        except Exception as error:
            self.fault(connection, error)

    cdef size_t held(self, Connection connection) except? 0:
        cdef size_t size = connection.transport.get_write_buffer_size()
        socket = connection.transport.get_extra_info("socket")
        if fcntl is not None and socket is not None:
            try:
                answer = fcntl.ioctl(socket.fileno(), termios.TIOCOUTQ, bytes(4))
                size += int.from_bytes(answer, sys.byteorder)
            except OSError:
                pass    # it is closed, or the system does not tell
        return size

    cdef int watch(self, Connection connection) except -1:
        if connection.paused:
            connection.transport.pause_reading()
        else:
            connection.transport.resume_reading()
        return 0

    cdef int end_output(self, Connection connection) except -1:
        if not connection.transport.can_write_eof():
            return connection.finish()      # TLS ends both ways together
        try:
            connection.transport.write_eof()
        except OSError:
            pass    # the peer is gone, and the transport will say so
        return 0

    cdef int disconnect(self, Connection connection) except -1:
        cdef object timer = None
        if connection.finishing:
            connection.transport.close()    # sends what the transport still holds
            if self.bounds.close_timeout != INFINITY:
                timer = self.loop.call_later(self.bounds.close_timeout, connection.transport.abort)
            self.closing[connection.transport] = timer
            self.admission.admit(connection.address)  # until its socket is closed it counts like any other
        else:
            connection.transport.abort()
        connection.transport = None
        return 0


class Protocol(asyncio.Protocol):
    """What a transport calls."""

    __slots__ = ("driver", "connection", "transport", "starting")

    def __init__(self, Portable driver, address):
        driver.admission.admit(address)
        self.driver = driver
        self.connection = None
        self.transport = None
        self.starting = address     # as which the connection counts until it is made

    def end_start(self):
        cdef Portable driver = self.driver
        if self.starting is not None:
            driver.admission.release(self.starting)
            self.starting = None

    def connection_made(self, transport):
        cdef Portable driver = self.driver
        cdef Connection connection
        counted, host, port = describe_peer(transport.get_extra_info("peername"))
        self.transport = transport
        if self.starting is None:
            transport.abort()       # it was given up
            return
        self.end_start()
        if not driver.nodelay and port >= 0:
            # asyncio switches it on for every transport
            transport.get_extra_info("socket").setsockopt(
                sockets_module.IPPROTO_TCP, sockets_module.TCP_NODELAY, 0
            )
        driver.now = driver.loop.time()
        connection = Connection(driver, host, port, counted)
        connection.transport = transport
        connection.use(HttpSession(connection, driver.parser))
        transport.set_write_buffer_limits(high=WRITE_SIZE)
        self.connection = connection
        driver.add(connection)
        if driver.stopping:
            connection.session.go_away()

    def data_received(self, bytes data):
        cdef Portable driver = self.driver
        cdef Connection connection = self.connection
        cdef size_t size = len(data)
        if connection is None or connection.gone:
            return
        if size > <size_t> len(driver.incoming):
            driver.incoming = bytearray(size)
        memcpy(<char *> driver.incoming, <const char *> data, size)
        driver.now = driver.loop.time()
        try:
            connection.received(<uint8_t *> <char *> driver.incoming, size)
        except (Exception, asyncio.CancelledError) as error:
            driver.fault(connection, error)
        except BaseException as error:
            driver.loop.call_soon(end_with, error)      # uvloop would keep it from ending the program

    def eof_received(self):
        cdef Connection connection = self.connection
        if connection is not None:
            try:
                connection.end_of_input()
            except Exception as error:
                self.driver.fault(connection, error)
        return self.driver.tls is None      # else the connection decides when the transport is closed

    def pause_writing(self):
        cdef Connection connection = self.connection
        connection.blocked = True

    def resume_writing(self):
        # in a turn of its own: asyncio fails over a transport that is closed in here
        self.driver.loop.call_soon(self.driver.send_more, self.connection)

    def connection_lost(self, error):
        cdef Portable driver = self.driver
        cdef Connection connection = self.connection
        if connection is not None:
            connection.lost()
        if self.transport in driver.closing:
            driver.admission.release(connection.address)
            timer = driver.closing.pop(self.transport)
            if timer is not None:
                timer.cancel()


cdef object finite(double seconds):
    """Seconds as asyncio takes them: it has no way to wait without end, so the longest that it needs to."""
    return min(seconds, 1e9)


def end_with(error):
    raise error
