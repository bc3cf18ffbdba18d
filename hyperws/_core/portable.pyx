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
from hyperws._core.connection cimport ACCEPT_PAUSE, Connection, Driver
from hyperws._core.http cimport RequestParser
from hyperws._core.http_session cimport HttpSession

cdef tuple EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
cdef Py_ssize_t WRITE_SIZE = 65536      # given to a transport at once, so that its own buffer stays short


@cython.final
cdef class Portable(Driver):
    def __init__(self, loop, limits, app, nodelay, backlog, tls=None):
        super().__init__(loop, limits, app)
        self.incoming = bytearray()
        self.parser = RequestParser(
            self.bounds.max_head_size, self.bounds.max_headers, self.bounds.max_body_size
        )
        self.nodelay = nodelay
        self.backlog = backlog
        self.tls = tls
        self.tasks = set()
        self.servers = []
        self.closing = {}
        self.listening = True

    async def start(self, sockets):
        for socket in sockets:
            if self.tls is not None:
                self.keep(self.accept(socket))
                continue
            if socket.family == getattr(sockets_module, "AF_UNIX", None):
                create = self.loop.create_unix_server
            else:
                create = self.loop.create_server
            self.servers.append(await create(lambda: Protocol(self), sock=socket))
            socket.listen(self.backlog)     # asyncio has set one of its own

    def stop_listening(self):
        self.listening = False
        for server in self.servers:
            server.close()
        for task in self.tasks:
            task.cancel()

    def keep(self, coroutine):
        task = self.loop.create_task(coroutine)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def accept(self, listener):
        """Take connections that are to shake hands for TLS.

        A server of the event loop's own would hide them from the limits until they have.
        """
        while True:
            try:
                socket, address = await self.loop.sock_accept(listener)
            except OSError as error:
                if error.errno in EXHAUSTED:
                    self.app.out_of_descriptors()
                    await asyncio.sleep(ACCEPT_PAUSE)
                continue
            host, _ = describe_peer(address)
            if self.admission.admits(host):
                self.admission.admit(host)
                self.keep(self.shake_hands(socket, Protocol(self, host)))
            else:
                socket.close()

    async def shake_hands(self, socket, protocol):
        try:
            await self.loop.connect_accepted_socket(
                lambda: protocol, socket, ssl=self.tls,
                ssl_handshake_timeout=finite(self.bounds.handshake_timeout),
                ssl_shutdown_timeout=finite(self.bounds.close_timeout),
            )
        except OSError:
            pass        # it speaks no TLS, or other TLS, or is gone
        finally:
            protocol.end_handshake()

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

    __slots__ = ("driver", "connection", "transport", "shaking_hands")

    def __init__(self, driver, shaking_hands=None):
        self.driver = driver
        self.connection = None
        self.transport = None
        self.shaking_hands = shaking_hands      # the address as which that counts, else None

    def end_handshake(self):
        cdef Portable driver = self.driver
        if self.shaking_hands is not None:
            driver.admission.release(self.shaking_hands)
            self.shaking_hands = None

    def connection_made(self, transport):
        cdef Portable driver = self.driver
        cdef Connection connection
        host, client = describe_peer(transport.get_extra_info("peername"))
        self.transport = transport
        if not driver.listening:
            transport.abort()
            return
        self.end_handshake()
        if not driver.admission.admits(host):
            transport.write(NO_ROOM)
            transport.close()
            return
        if not driver.nodelay and ":" in client:
            # asyncio switches it on for every transport
            transport.get_extra_info("socket").setsockopt(
                sockets_module.IPPROTO_TCP, sockets_module.TCP_NODELAY, 0
            )
        driver.now = driver.loop.time()
        connection = Connection(driver, client, host)
        connection.transport = transport
        connection.use(HttpSession(connection, driver.parser))
        transport.set_write_buffer_limits(high=WRITE_SIZE)
        self.connection = connection
        driver.add(connection)

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
