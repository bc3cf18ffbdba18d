from asyncio import CancelledError

from hyperws.errors import ConnectionClosed, UsageError

cimport cython
from libc.stdint cimport uint8_t, uint32_t, uint64_t

from hyperws._core.bounds cimport Bounds
from hyperws._core.connection cimport Connection, Session
from hyperws._core.deflate cimport Inflater
from hyperws._core.inbox cimport Inbox
from hyperws._core.message_writer cimport MessageWriter, checked_message, not_utf8
from hyperws._core.waiter cimport DONE, SharedOperation, Waiters, enable_send
from hyperws._core.websocket cimport (
    CLOSE, HW_CLOSE, HW_PING, HW_PONG, MESSAGE, NEED_DATA, PING, PONG, Event, FrameReader, append_frame,
    is_close_code,
)


cdef class WebSocketSession(Session):
    def __init__(self, Connection connection, MessageWriter writer not None, Inflater inflater=None):
        cdef Bounds bounds = connection.driver.bounds
        self.connection = connection
        self.reader = FrameReader(bounds.max_message_size, bounds.max_message_frames, True, inflater)
        self.writer = writer
        self.latency = -1

    def queue(self):
        """Keep messages until `receive` takes them."""
        if self.inbox is None:
            self.inbox = Inbox(self.connection)
            self.connection.resume_reading()

    def listen(self, context, callback):
        """Call `callback(context, message)` for each message as it is read."""
        self.context = context
        self.callback = callback
        self.connection.resume_reading()

    # --------------------------------------------------------------- from the connection

    cdef size_t feed(self, uint8_t *data, size_t size) except? 0:
        cdef uint8_t *at = data
        cdef const uint8_t *end = data + size
        cdef Event event
        if self.pinged_at:
            self.pinged_at = 0      # any byte is a sign of life
            self.connection.rearm()
        while True:
            event = self.reader.next(&at, end)
            if event == MESSAGE:
                self.deliver()
                if self.inbox is not None and self.inbox.full and self.state == OPEN:
                    break       # compressed, what is behind it could be a thousand times its bytes
            elif event == NEED_DATA:
                break
            else:
                self.handle(event)
        if self.inbox is not None:
            self.inbox.wake_in_place()
        return at - data

    cdef int deliver(self) except -1:
        callback, context = self.callback, self.context     # kept alive: the call may close the connection
        message = self.reader.message
        self.reader.message = None
        if self.state != OPEN:
            return 0
        if callback is None:
            return self.inbox.put(message)
        try:
            callback(context, message)
        except ConnectionClosed:
            self.start_closing(1000, "")
        except (Exception, CancelledError) as error:
            self.connection.driver.app.fault(self.connection.client, error)
            self.start_closing(1011, "")
        except BaseException:
            self.connection.abort()
            raise
        return 0

    cdef int handle(self, Event event) except -1:
        if event == PING:
            return self.answer_ping(self.reader.message)
        if event == PONG:
            return self.take_pong(self.reader.message)
        if self.inbox is not None:
            self.inbox.wake_in_place()      # the handler may still answer what came before the end
        if self.state == OPEN:
            self.send_close(self.reader.close_code, self.reader.close_reason)
        self.ended(self.reader.close_code, self.reader.close_reason)
        if event == CLOSE:
            self.connection.finish()
        else:
            self.connection.finish_politely()
        return 0

    cdef int answer_ping(self, bytes payload) except -1:
        if self.state == OPEN:
            if self.connection.blocked:
                self.late_pong = payload    # the latest is the one to answer (RFC 6455, section 5.5.3)
            else:
                self.send_frame(HW_PONG, payload, len(payload))
        return 0

    cdef int sent(self) except -1:
        if self.late_pong is not None:
            payload, self.late_pong = self.late_pong, None
            self.answer_ping(payload)
        return self.release()

    cdef int end_of_input(self) except -1:
        return self.connection.abort()

    cdef int hung_up(self) except -1:
        return 0        # the messages that came before are still received

    cdef int lost(self) except -1:
        if self.state != CLOSED:
            self.ended(self.close_code or 1006, self.close_reason or "")
        return 0

    cdef double deadline(self):
        cdef Bounds bounds = self.connection.driver.bounds
        cdef double read = self.connection.last_read
        cdef double due
        if self.state != OPEN:
            return max(self.closing_since, self.connection.last_progress) + bounds.close_timeout
        due = self.pinged_at + bounds.ping_timeout if self.pinged_at else read + bounds.ping_interval
        if self.connection.blocked:
            due = min(due, self.connection.last_progress + bounds.idle_timeout)
        return min(due, read + bounds.idle_timeout)

    cdef int overdue(self, double now) except -1:
        cdef Bounds bounds = self.connection.driver.bounds
        if self.state != OPEN:
            self.connection.abort()
        elif self.connection.blocked and now >= self.connection.last_progress + bounds.idle_timeout:
            self.cut_off()      # whatever it sends; where neither side reads, it has to begin
        elif self.connection.paused:
            # The peer may well be alive, as this side does not read. Where it is gone, sending will fail.
            self.connection.last_read = now
            self.send_ping()
            self.pinged_at = 0
            self.connection.rearm()
        elif now >= self.connection.last_read + bounds.idle_timeout:
            self.start_closing(1001, "idle for too long")
        elif self.pinged_at:
            self.start_closing(1011, "no answer to a ping")
        else:
            self.send_ping()
        return 0

    # ----------------------------------------------------------------------- the closing

    cdef int send_close(self, int code, str reason) except -1:
        cdef bytes payload = b"" if code == 1005 else code.to_bytes(2) + reason.encode()
        return self.send_frame(HW_CLOSE, payload, len(payload))

    cdef int ended(self, int code, str reason) except -1:
        """Nothing more is received: from here on every call says so, with this code."""
        self.state = CLOSED
        self.closing_since = self.connection.driver.loop.time()
        if not self.close_code:
            self.close_code = code
            self.close_reason = reason
        if self.inbox is not None:
            self.inbox.close(self.closed_error())
        self.leave_all()
        if self.pong_waiters is not None:
            self.pong_waiters.wake()
        self.callback = self.context = None
        return 0

    cdef int start_closing(self, int code, str reason) except -1:
        """Begin the closing handshake from this side; what was queued before it goes out before it."""
        if self.state == OPEN:
            self.state = CLOSING
            self.close_code = code
            self.close_reason = reason
            self.closing_since = self.connection.driver.loop.time()
            self.send_close(code, reason)
            if self.connection.gone:
                return 0
            if self.inbox is not None:
                self.inbox.close(self.closed_error())
            self.leave_all()
            self.connection.resume_reading()    # the peer's close frame may stand behind a full queue
            self.connection.rearm()
        return 0

    cdef object closed_error(self):
        return ConnectionClosed(self.close_code, self.close_reason)

    def go_away(self):
        """The server stops."""
        self.start_closing(1001, "the server is going away")

    def close(self, code, reason):
        """Start the closing handshake. Returns an awaitable for its end."""
        if type(code) is not int or not isinstance(reason, str):
            raise UsageError("close takes a number and a str, as in close(1000, 'bye')")
        if not 0 <= code < 5000 or not is_close_code(code):
            raise UsageError(f"close code {code} must not be sent: use 1000, or 3000 to 4999 of your own")
        try:
            if len(reason.encode()) > 123:
                raise UsageError("a close reason has at most 123 bytes: shorten it")
        except UnicodeEncodeError:
            raise not_utf8() from None
        self.start_closing(code, reason)
        return self.connection.wait_gone()

    # ----------------------------------------------------------------------- the sending

    cdef int send_frame(self, int opcode, const uint8_t *payload, size_t size) except -1:
        append_frame(self.connection.outgoing(), True, 0, opcode, payload, size)
        return self.connection.written()

    cdef int check_room(self) except -1:
        """Raise where nothing more may be sent; give up a peer that is too far behind."""
        if self.state != OPEN:
            raise self.closed_error()
        if self.connection.unsent() > self.connection.driver.bounds.send_queue:
            self.cut_off()
            raise self.closed_error()
        return 0

    cdef int cut_off(self) except -1:
        """Give up a peer that does not read."""
        self.ended(1013, "too slow")
        return self.connection.abort()

    cpdef object send(self, object message, object compress=None):
        """Send a message. Returns an awaitable for when the peer has taken most of what it was sent."""
        if type(message) is not bytes:
            message = checked_message(message)
        self.check_room()
        (<MessageWriter> self.writer).append(self.connection.outgoing(), message, compress)
        self.connection.written()
        if self.connection.unsent() > self.connection.driver.bounds.send_queue // 4:
            return self.connection.drain(self)
        return DONE

    cdef bint take(self, object written) except -1:
        """Send frames that others get too. Returns whether it was possible."""
        cdef bytes frames = written
        if self.state != OPEN:
            return False
        if self.connection.unsent() > self.connection.driver.bounds.send_queue:
            self.cut_off()
            return False
        self.connection.write_shared(frames, self.writer)
        return True

    def ping(self):
        """Send a ping. Returns an awaitable for its round-trip time in seconds."""
        cdef Pong operation
        self.check_room()
        self.send_ping()
        operation = Pong.__new__(Pong)
        operation.session = self
        operation.number = self.pings
        return operation

    cdef int send_ping(self) except -1:
        self.pings += 1
        self.ping_sent_at = self.connection.driver.loop.time()
        if not self.pinged_at:      # another ping is no reprieve
            self.pinged_at = self.ping_sent_at
        payload = str(self.pings).encode()
        self.send_frame(HW_PING, payload, len(payload))
        return self.connection.rearm()

    cdef int take_pong(self, bytes payload) except -1:
        """The answer to a ping, and to those before it (RFC 6455, section 5.5.3)."""
        cdef uint64_t number = int(payload) if payload.isdigit() and len(payload) < 19 else 0
        if self.pongs < number <= self.pings:
            self.pongs = <uint32_t> number
            if number == self.pings or self.latency < 0:
                self.latency = self.connection.driver.loop.time() - self.ping_sent_at
            if self.pong_waiters is not None:
                self.pong_waiters.wake()
        return 0


@cython.final
cdef class Pong(SharedOperation):
    cdef object step(self):
        cdef WebSocketSession session = self.session
        if session.pongs >= self.number:
            self.finished = True
            return session.latency
        if session.state == CLOSED:
            raise session.closed_error()
        if session.pong_waiters is None:
            session.pong_waiters = Waiters(session.connection.driver.loop)
        return self.wait(session.pong_waiters)


enable_send(Pong)
