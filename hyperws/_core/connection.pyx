from asyncio import CancelledError

from hyperws.errors import ConnectionClosed

cimport cython
from libc.stdint cimport int64_t, uint8_t, uint64_t

from hyperws._core.admission cimport Admission, peer_name
from hyperws._core.bounds cimport Bounds
from hyperws._core.buffer cimport (
    Buffer, buffer_append, buffer_capacity, buffer_clear, buffer_consume, buffer_free, buffer_size,
    buffer_start,
)
from hyperws._core.timers cimport Timed, Timers
from hyperws._core.topics cimport LATEST, Policy, Subscriber, Writer
from hyperws._core.waiter cimport Operation, SharedOperation, Waiters, enable_send

cdef int ACCEPTS = 64
cdef int LAST_ACCEPTS = 64
cdef double ACCEPT_PAUSE = 0.25
cdef double LAST_CALL = 1.0

cdef size_t CORK_SIZE = 65536      # bytes after which a batch's output is sent before its end
cdef size_t CORK_KEPT = 4 * 65536  # the most memory that an empty cork holds on to
cdef size_t DIRECT_SIZE = 16384    # bytes that are worth giving to the socket before they are copied
cdef int64_t FILE_TURN = 1 << 20   # bytes of a file that are sent before others get their turn


cdef class Driver:
    """Keeps the connections of one server. Subclasses do the input and output."""

    def __init__(self, loop, limits, app):
        self.loop = loop
        self.bounds = Bounds(limits)
        self.app = app
        self.connections = set()
        self.timers = Timers(loop, self.connections)
        self.resumed = loop.create_future()
        self.resumed.set_result(None)
        self.admission = Admission(self.bounds)
        self.dirty = []
        self.now = loop.time()

    def __dealloc__(self):
        buffer_free(&self.cork)

    def start(self, sockets):
        """Take connections from the listening `sockets`, which stay the caller's to close."""
        raise NotImplementedError

    def stop_listening(self):
        """Take the connections that wait, and no more."""
        raise NotImplementedError

    def close(self):
        """Release what the driver holds, once there are no connections."""
        self.timers.stop()

    def wait_drained(self):
        """A future that is done as soon as every socket is closed and every handler has ended."""
        self.drained = self.loop.create_future()
        self.look_if_drained()
        return self.drained

    cdef bint is_drained(self) noexcept:
        return not self.connections

    cdef int look_if_drained(self) except -1:
        if self.drained is not None and not self.drained.done() and self.is_drained():
            self.drained.set_result(None)
        return 0

    def abort_all(self):
        """Close every socket at once."""
        cdef Connection connection
        for connection in list(self.connections):
            connection.abort()

    cdef int add(self, Connection connection) except -1:
        """Keep a connection that already has its session."""
        self.admission.admit(connection.address)
        self.connections.add(connection)
        connection.last_read = connection.reading_since = self.now
        connection.rearm()
        return 0

    cdef int retire(self, Connection connection) except -1:
        """Forget a connection whose socket is closed and whose handler has ended."""
        self.timers.disarm(connection)
        self.connections.discard(connection)
        self.admission.release(connection.address)
        retired, connection.session = connection.session, None      # they held each other
        if retired.when_retired is not None:
            retired.when_retired()
        return self.look_if_drained()

    cdef int fault(self, Connection connection, object error) except -1:
        """Something in here or in a hook of the application raised: this connection can't go on."""
        self.app.fault(connection.client, error)
        connection.abort()
        return 0

    cdef int schedule_flush(self) except -1:
        if not self.flushing:
            self.flushing = True
            self.loop.call_soon(self.end_of_turn)
        return 0

    def end_of_turn(self):
        self.flush()

    cdef int flush(self) except -1:
        """Send what connections were given since the last time, one send each."""
        cdef Connection connection
        self.flushing = False
        while self.dirty:
            batch = self.dirty
            self.dirty = []
            for connection in batch:
                connection.dirty = False
                try:
                    connection.flush()
                except Exception as error:
                    self.fault(connection, error)
        return 0

    cdef Py_ssize_t transmit(self, Connection connection, const uint8_t *data, size_t size) except -2:
        """Give the socket up to `size` bytes, without waiting. Returns how many it took, -1 if it failed."""
        raise NotImplementedError

    cdef Py_ssize_t transmit_file(self, Connection connection, size_t size) except -2:
        """Give the socket up to `size` bytes of `connection.file` from `file_at` on, and call `writable` once
        it takes more. Returns how many it took, -1 if it failed. Raises EOFError where the file has ended."""
        raise NotImplementedError

    cdef size_t held(self, Connection connection) except? 0:
        """Bytes that the socket took and the peer has not taken yet, as far as the system tells."""
        raise NotImplementedError

    cdef int watch(self, Connection connection) except -1:
        """Act on a change of `connection.paused` or `connection.blocked`."""
        raise NotImplementedError

    cdef int end_output(self, Connection connection) except -1:
        """Tell the peer that nothing more will come."""
        raise NotImplementedError

    cdef int disconnect(self, Connection connection) except -1:
        """Close the socket."""
        raise NotImplementedError


cdef class Session(Subscriber):
    """What a connection speaks at present."""

    cdef bint is_behind(self, Policy policy):
        if policy == LATEST:
            return self.connection.blocked
        return self.connection.unsent() > self.connection.driver.bounds.send_queue // 2

    def handler_ended(self):
        """Call this when `task` has ended."""
        self.task = None
        if self.connection.gone:
            self.connection.driver.retire(self.connection)

    def go_away(self):
        """The server stops: end what can be ended."""
        raise NotImplementedError

    cdef size_t feed(self, uint8_t *data, size_t size) except? 0:
        """Take bytes from the peer, and change them at will. Returns how many were for this session."""
        raise NotImplementedError

    cdef int end_of_input(self) except -1:
        """The peer sends no more bytes."""
        raise NotImplementedError

    cdef int hung_up(self) except -1:
        """The peer is gone, and bytes of it may not have been read yet."""
        raise NotImplementedError

    cdef int lost(self) except -1:
        """The socket was closed."""
        raise NotImplementedError

    cdef int sent(self) except -1:
        """The socket took everything, after it had been blocked."""
        return self.release()

    cdef double deadline(self):
        """When `overdue` wants to be called, if things stay as they are; INFINITY for never."""
        raise NotImplementedError

    cdef int overdue(self, double now) except -1:
        raise NotImplementedError

    cdef object closed_error(self):
        """The ConnectionClosed that a late call gets."""
        return ConnectionClosed(1006)


cdef class Connection(Timed):
    def __cinit__(self, Driver driver, str host, int port, address):
        self.driver = driver
        self.host = host
        self.port = port
        self.address = address
        self.fd = -1

    def __dealloc__(self):
        buffer_free(&self.out)
        buffer_free(&self.unread)

    @property
    def client(self):
        """The peer's address and port (str), "unix" where it came by a Unix socket."""
        return peer_name(self.host, self.port)

    cdef int use(self, Session session) except -1:
        self.session = session
        return 0

    # ----------------------------------------------------------------------- from the driver

    cdef int received(self, uint8_t *data, size_t size) except -1:
        """Hand the bytes of one read to the session; what it sends meanwhile leaves in one send."""
        cdef Driver driver = self.driver
        cdef Session session
        cdef size_t taken
        self.last_read = driver.now
        driver.corked = self
        try:
            while size and not self.discarding and not self.gone:
                session = self.session
                taken = session.feed(data, size)
                data += taken
                size -= taken
                if size and self.paused and self.session is session:
                    buffer_append(&self.unread, data, size)     # a read may hold more than the limits do
                    break
            self.flush()
        finally:
            driver.corked = None
            buffer_clear(&driver.cork)
        return 0

    # a session is kept alive by a name of its own while it runs: it may end the connection, which drops it

    cdef int end_of_input(self) except -1:
        cdef Session session = self.session
        self.input_ended = True
        if self.discarding:
            self.pause_reading()
            self.finish()       # what is still to be sent may be wanted all the same
        elif not self.gone:
            session.end_of_input()
        return 0

    cdef int writable(self) except -1:
        cdef Session session = self.session
        if self.blocked and not self.gone:
            self.blocked = False
            self.flush()
            if not self.gone and not self.blocked:
                self.driver.watch(self)
                session.sent()
                self.rearm()
        return 0

    cdef int hung_up(self) except -1:
        """The peer takes nothing any more, and what it sent last was not read for being paused."""
        cdef Session session = self.session
        if not self.gone:
            session.hung_up()
        return 0

    cdef int lost(self) except -1:
        """The socket is of no more use: close it, and tell everyone who waits."""
        cdef Driver driver = self.driver
        cdef Session session = self.session
        if self.gone:
            return 0
        self.gone = True
        self.gone_at = driver.loop.time()
        buffer_free(&self.out)
        self.shared = None
        buffer_free(&self.unread)
        self.close_file()
        if driver.corked is self:
            buffer_clear(&driver.cork)
        driver.disconnect(self)
        session.lost()
        if self.drain_waiters is not None:
            self.drain_waiters.wake()
        if self.end_waiters is not None:
            self.end_waiters.wake()
        return 0 if self.starting else self.settle()

    cdef int settle(self) except -1:
        """The socket is closed: leave the handler its time, if there is one."""
        cdef Driver driver = self.driver
        if self.session.task is None:
            driver.retire(self)
        else:
            driver.timers.arm(self, self.gone_at + driver.bounds.handler_grace)
        return 0

    cdef int expired(self, double now) except -1:
        cdef Session session = self.session
        if self.gone:
            session.task.cancel()   # it has had its grace
            return 0
        try:
            if self.blocked:
                self.look_for_progress(now)
            if session.deadline() <= now:
                session.overdue(now)
        except Exception as error:
            self.driver.fault(self, error)
        if not self.gone:
            self.rearm()
        return 0

    # ---------------------------------------------------------------------- from the session

    cdef Buffer *outgoing(self) except NULL:
        """Append here what is to be sent, then call `written`."""
        if self.shared is not None:
            data, self.shared = self.shared, None
            buffer_append(&self.out, data, len(<bytes> data))
        # a blocked connection's cork would not be sent at the end of the read (out may be empty all the same:
        # a transport that has just taken everything may say that it wants no more)
        if self.driver.corked is self and not self.blocked and not buffer_size(&self.out):
            return &self.driver.cork
        return &self.out

    cdef int written(self) except -1:
        cdef Driver driver = self.driver
        cdef size_t waiting = buffer_size(&self.out)
        if driver.corked is self and not waiting:
            if buffer_size(&driver.cork) > CORK_SIZE:
                self.flush()
        elif not self.blocked:
            if waiting > CORK_SIZE:
                self.flush()
            else:
                self.mark_dirty()
        return 0

    cdef int mark_dirty(self) except -1:
        """Have it flushed at the end of the turn."""
        cdef Driver driver = self.driver
        if not self.dirty:
            self.dirty = True
            driver.dirty.append(self)
            driver.schedule_flush()
        return 0

    cdef int write(self, const uint8_t *data, size_t size) except -1:
        if size >= DIRECT_SIZE and not self.blocked:
            self.flush()
            if not self.gone and not self.unsent():
                return self.write_directly(data, size)
        buffer_append(self.outgoing(), data, size)
        return self.written()

    cdef int write_shared(self, bytes data, Writer writer=None) except -1:
        """Send bytes that stay what they are: not copied, if nothing else is sent in this turn but what the
        same writer has made for others too."""
        if (
            not buffer_size(&self.out) and not self.blocked and self.driver.corked is not self
            and len(data) < <Py_ssize_t> DIRECT_SIZE
        ):
            if self.shared is None:
                self.shared = data
                return self.mark_dirty()
            if writer is not None and len(self.shared) < <Py_ssize_t> DIRECT_SIZE:
                joined = writer.join(self.shared, data)
                if joined is not None:
                    self.shared = joined
                    return 0
        return self.write(data, len(data))

    cdef int write_directly(self, const uint8_t *data, size_t size) except -1:
        """Give the socket what it takes of these bytes, so that only the rest has to be copied."""
        cdef Py_ssize_t taken = self.driver.transmit(self, data, size)
        if taken < 0:
            return self.lost()
        buffer_append(&self.out, data + taken, size - taken)
        # a file that is still to be sent does not wait for the socket
        return self.transmitted() if buffer_size(&self.out) or self.blocked else 0

    cdef int write_file(self, object file, int64_t offset, int64_t count) except -1:
        """Send this part of an open raw file after what is waiting already, and close the file.

        The file is the connection's from here on. Nothing must be written before all of it is sent, which
        `blocked` tells.
        """
        self.file = file
        self.file_at = offset
        self.file_left = count
        return self.close_file() if self.gone else self.flush()

    cdef uint64_t unsent(self) noexcept:
        """Bytes that the socket has not taken yet."""
        cdef uint64_t size = buffer_size(&self.out) + self.file_left
        if self.shared is not None:
            size += len(self.shared)
        if self.driver.corked is self:
            size += buffer_size(&self.driver.cork)
        return size

    cdef int flush(self) except -1:
        """Give the socket all it takes."""
        cdef Driver driver = self.driver
        cdef Buffer *source
        cdef size_t size
        cdef Py_ssize_t taken
        if self.gone:
            return 0
        if self.shared is not None and not self.blocked:
            data, self.shared = self.shared, None
            self.write_directly(data, len(<bytes> data))
            if self.gone:
                return 0
        source = self.outgoing()
        size = buffer_size(source)
        if (size or self.file_left) and not self.blocked:
            if size:
                taken = driver.transmit(self, buffer_start(source), size)
                if taken < 0:
                    return self.lost()
                if source is &self.out:
                    buffer_consume(source, taken)
                else:
                    buffer_append(&self.out, buffer_start(source) + taken, size - taken)
                    if buffer_capacity(source) > CORK_KEPT:
                        buffer_free(source)
                    else:
                        buffer_clear(source)
            if self.file_left and not self.blocked and not buffer_size(&self.out):
                self.flush_file()
                if self.gone:
                    return 0
            self.transmitted()
        if not buffer_size(&self.out) and not self.file_left:
            if self.finishing:
                return self.lost()
            if self.ending:
                self.ending = False
                driver.end_output(self)
        if self.drain_waiters is not None and self.unsent() <= driver.bounds.send_queue // 8:
            self.drain_waiters.wake()
        return 0

    cdef int transmitted(self) except -1:
        """The socket was given bytes: watch what it did not take."""
        if self.unsent():
            self.blocked = True
            self.driver.watch(self)
        if self.blocked:
            self.last_progress = self.driver.loop.time()
            self.held = self.driver.held(self)
            self.rearm()
        return 0

    cdef int flush_file(self) except -1:
        cdef Py_ssize_t taken
        try:
            taken = self.driver.transmit_file(self, min(self.file_left, FILE_TURN))
        except Exception as error:      # the bytes that were promised can't be had
            return self.driver.fault(self, error)
        if taken < 0:
            return self.lost()
        self.file_at += taken
        self.file_left -= taken
        return 0 if self.file_left else self.close_file()

    cdef int close_file(self) except -1:
        file, self.file = self.file, None
        self.file_left = 0
        if file is not None:
            file.close()
        return 0

    cdef int look_for_progress(self, double now) except -1:
        """See whether the peer has taken something since the last look.

        A socket says that it takes more only once much of what it holds is gone, for which a slow peer may
        need long.
        """
        cdef size_t held = self.driver.held(self)
        if held < self.held:
            self.last_progress = now
        self.held = held
        return 0

    cdef int pause_reading(self) except -1:
        if not self.paused:
            self.paused = True
            if not self.gone:
                self.driver.watch(self)
        return 0

    cdef int resume_reading(self) except -1:
        if self.paused and (buffer_size(&self.unread) or self.input_ended):
            if not self.resuming:
                self.resuming = True
                self.driver.loop.call_soon(self.take_unread)
        elif self.paused:
            self.paused = False
            self.reading_since = self.driver.loop.time()
            if not self.gone:
                self.driver.watch(self)
        return 0

    cdef int put_back(self, Buffer *data) except -1:
        """Take over bytes that were read too early. They have their turn when reading is resumed."""
        if self.gone:
            buffer_free(data)
            return 0
        self.pause_reading()
        self.unread = data[0]
        data[0] = Buffer(NULL)
        return 0

    def take_unread(self):
        """Go on with what came before reading was paused, then with the socket."""
        cdef Buffer rest = self.unread
        self.unread = Buffer(NULL)
        self.resuming = self.paused = False
        self.driver.now = self.reading_since = self.driver.loop.time()
        try:
            self.received(buffer_start(&rest), buffer_size(&rest))
            if self.input_ended:
                self.end_of_input()
            elif not self.gone:
                self.driver.watch(self)
        except (Exception, CancelledError) as error:
            self.driver.fault(self, error)
        finally:
            buffer_free(&rest)

    cdef int finish(self) except -1:
        """Close the socket as soon as everything is sent."""
        self.discarding = True
        self.finishing = True
        if not self.gone and not self.unsent():
            return self.lost()
        return self.rearm()

    cdef int finish_politely(self) except -1:
        """End the output as soon as everything is sent, then wait for the peer to close.

        A socket that is closed while bytes of its peer lie unread is reset, and what was just sent to the
        peer may then never be seen (RFC 9112, section 9.6).
        """
        self.discarding = True
        self.ending = True
        self.resume_reading()
        if not self.gone and not self.unsent():
            self.flush()
        return self.rearm()

    cdef int abort(self) except -1:
        return self.lost()

    cdef int rearm(self) except -1:
        """The session's deadline may have come nearer."""
        if not self.gone:
            self.driver.timers.arm(self, self.session.deadline())
        return 0

    cdef Operation drain(self, Session session):
        """Wait until the peer has taken most of what it was sent."""
        cdef Drain operation = Drain.__new__(Drain)
        operation.connection = self
        operation.session = session
        return operation

    cdef Operation wait_gone(self):
        """Wait until the socket is closed."""
        cdef End operation = End.__new__(End)
        operation.connection = self
        return operation


@cython.final
cdef class Drain(SharedOperation):
    cdef object step(self):
        cdef Connection connection = self.connection
        if connection.gone:
            raise self.session.closed_error()
        if connection.unsent() <= connection.driver.bounds.send_queue // 4:
            self.finished = True
            return None
        if connection.drain_waiters is None:
            connection.drain_waiters = Waiters(connection.driver.loop)
        return self.wait(connection.drain_waiters)


@cython.final
cdef class End(SharedOperation):
    cdef object step(self):
        cdef Connection connection = self.connection
        if connection.gone:
            self.finished = True
            return None
        if connection.end_waiters is None:
            connection.end_waiters = Waiters(connection.driver.loop)
        return self.wait(connection.end_waiters)


enable_send(Drain)
enable_send(End)
