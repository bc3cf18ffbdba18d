from asyncio import CancelledError

from hyperws.errors import BadRequest, ConnectionClosed

from libc.math cimport INFINITY
from libc.stdint cimport int64_t, uint8_t

from hyperws._core.body cimport BodyReader
from hyperws._core.bounds cimport Bounds
from hyperws._core.buffer cimport (
    Buffer, buffer_append, buffer_consume, buffer_free, buffer_size, buffer_start,
)
from hyperws._core.connection cimport Connection, Session
from hyperws._core.deflate cimport Inflater
from hyperws._core.event_writer cimport CHUNKED_EVENTS, COMMENT, PLAIN_EVENTS, EventWriter
from hyperws._core.http cimport Request, RequestParser
from hyperws._core.inbox cimport Inbox
from hyperws._core.message_writer cimport MessageWriter
from hyperws._core.poll cimport Poll
from hyperws._core.topics cimport Topics
from hyperws._core.websocket_session cimport WebSocketSession

cdef size_t BODY_PART = 16384       # bytes of a body that have `handshake_timeout` to come
cdef size_t UNWANTED = 256 * 1024   # bytes of a body that are still read once its request is answered


cdef class HttpSession(Session):
    """Reads requests and hands each to `app.request(session, request)`, the next after `done()`."""

    def __init__(self, Connection connection, RequestParser parser):
        self.connection = connection
        self.parser = parser
        self.since = connection.driver.now

    def __dealloc__(self):
        buffer_free(&self.pending)

    cdef size_t feed(self, uint8_t *data, size_t size) except? 0:
        cdef size_t taken
        if self.unreadable:
            return size
        if buffer_size(&self.pending):
            buffer_append(&self.pending, data, size)
            if not self.is_waiting():
                self.take_pending()
        else:
            if self.served and not self.answering:
                self.since = self.connection.driver.now     # a new request begins
            taken = self.consume(data, size)
            if self.connection.session is not self:
                return taken
            buffer_append(&self.pending, data + taken, size - taken)
            if not self.answering:
                self.connection.rearm()
        if self.is_waiting() and buffer_size(&self.pending) > self.parser.max_head_size:
            self.connection.pause_reading()     # a peer that sends ahead waits its turn
        if self.inbox is not None:
            self.inbox.wake_in_place()
        return size

    def resume(self):
        """Go on with the requests that came while another was being answered."""
        self.resuming = False
        if self.connection.gone:
            return
        self.connection.driver.now = self.connection.driver.loop.time()
        try:
            self.take_pending()
            if self.connection.session is not self or (self.is_waiting() and self.body is None):
                return
            if self.connection.input_ended:
                self.connection.end_of_input()
            elif self.inbox is None or not self.inbox.full:
                self.connection.resume_reading()
        except (Exception, CancelledError) as error:
            self.connection.driver.fault(self.connection, error)

    cdef int take_pending(self) except -1:
        cdef Buffer data = self.pending
        self.pending = Buffer(NULL, 0, 0, 0)
        try:
            buffer_consume(&data, self.consume(buffer_start(&data), buffer_size(&data)))
        finally:
            if self.connection.session is self:
                self.pending = data
            else:
                self.connection.put_back(&data)     # the first frames came with the handshake
                self.connection.resume_reading()
        return 0

    cdef bint is_waiting(self):
        """Whether the next request has to wait: for the answer to another, or until the peer takes some."""
        return self.answering or self.resuming or (
            self.connection.blocked and buffer_size(&self.pending) > 0
        )

    cdef int go_on(self) except -1:
        """Let the requests that are pending have their turn."""
        if not self.is_waiting():
            self.resuming = True
            self.connection.driver.loop.call_soon(self.resume)
        return 0

    cdef size_t consume(self, uint8_t *data, size_t size) except? 0:
        """Take requests from `data` until one must be answered first. Returns how many bytes they were."""
        cdef size_t taken = 0
        cdef Request request
        while taken < size and not (
            self.connection.discarding or self.connection.gone or self.connection.session is not self
        ):
            if self.unreadable:
                return size
            if self.body is not None:
                taken += self.take_body(data + taken, size - taken)
                continue
            if self.answering or self.connection.blocked:
                break       # who asks and never reads must not fill the memory
            try:
                request = self.take_head(data + taken, size - taken, &taken)
                if request is None:
                    break
                taken += self.take_early_body(request, data + taken, size - taken)
            except BadRequest as error:
                self.refuse(error)
                return size
            self.dispatch(request)
        return taken

    cdef int refuse(self, object error) except -1:
        self.answering = self.unreadable = True
        self.connection.driver.app.bad_request(self, error)
        return 0

    cdef Request take_head(self, uint8_t *data, size_t size, size_t *taken):
        """The request that `data` starts with, or None. Adds to `taken` what need not be seen again."""
        cdef size_t skipped = 0
        cdef size_t end
        if not self.scan:
            # empty lines before a request are passed over (RFC 9112, section 2.2)
            while size - skipped >= 2 and data[skipped] == c"\r" and data[skipped + 1] == c"\n":
                skipped += 2
            taken[0] += skipped
            if size - skipped == 0 or (size - skipped == 1 and data[skipped] == c"\r"):
                return None
        end = self.parser.find_end(data + skipped, size - skipped, &self.scan)
        if not end:
            return None
        self.scan = 0
        taken[0] += end
        return self.parser.parse(data + skipped, end)

    cdef size_t take_early_body(self, Request request, uint8_t *data, size_t size) except? 0:
        """Take what of a request's body came with its head. Returns how many bytes that were."""
        cdef size_t taken, payload = 0
        cdef BodyReader body
        if request.wants_websocket or (not request.content_length and not request.chunked):
            request.body = b""      # what follows a handshake is no body: one that has a body is refused
            return 0
        length = None if request.chunked else request.content_length
        body = BodyReader(length, self.parser.max_body_size)
        taken = body.take(data, size, &payload)
        if body.done:
            request.body = data[:payload]
            return taken
        self.body = body
        self.body_part = payload
        self.inbox = Inbox(self.connection)
        if payload:
            self.inbox.put(data[:payload])
        self.continue_due = request.expects_continue and size == 0
        self.since = self.connection.driver.now
        return taken

    cdef int dispatch(self, Request request) except -1:
        """Hand a request to the application."""
        cdef Connection connection = self.connection
        self.answering = True
        self.bytes_sent = 0
        connection.starting = True      # a handler may run at once, and lose the connection
        try:
            connection.driver.app.request(self, request)
        finally:
            connection.starting = False
            if connection.gone:
                connection.settle()
        return connection.rearm()

    # ---------------------------------------------------------------------------- the body

    cdef size_t take_body(self, uint8_t *data, size_t size) except? 0:
        """Take what is the body's. Returns how many bytes that were."""
        cdef size_t payload = 0
        cdef size_t taken
        self.continue_due = False
        try:
            taken = self.body.take(data, size, &payload)
        except BadRequest as error:
            self.give_up_body(error)
            return size
        self.body_part += payload
        if self.answered:
            if self.body_part > UNWANTED:
                self.body = None
                self.connection.finish_politely()
                return size
        else:
            if payload:
                self.inbox.put(data[:payload])
            if self.body_part >= BODY_PART:
                self.body_part = 0
                self.since = self.connection.driver.now
        if self.body.done:
            self.body_ended()
        return taken

    cdef int body_ended(self) except -1:
        self.body = None
        self.inbox.close(ConnectionClosed(1000))
        if self.answered:
            self.answered = False
            return self.next_request()
        return self.connection.rearm()

    cdef int give_up_body(self, object error) except -1:
        """No more of the body can be read, nor anything behind it."""
        self.body = None
        self.unreadable = True
        self.inbox.fail(error)
        if self.answered:
            return self.connection.finish_politely()
        return self.connection.rearm()

    def read_body(self):
        """An asynchronous iterator of the pieces of the body that come too late to be in `request.body`."""
        if self.continue_due and not self.bytes_sent:
            self.continue_due = False
            self.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        return self.inbox.receive(True)

    # ------------------------------------------------------------ for the one who answers

    def write(self, bytes data not None):
        """Send bytes of a response. Returns an awaitable for when the peer has taken most of them."""
        if self.closed:
            raise self.closed_error()
        self.send_bytes(data)
        return self.connection.drain(self)

    cdef int send_bytes(self, bytes data) except -1:
        self.quiet = False
        self.bytes_sent += len(data)
        return self.connection.write(data, len(data))

    def write_file(self, bytes head not None, object file not None, int64_t offset, int64_t count):
        """Send a response's head and, as its body, a part of an open raw file; it is closed in any case.

        Returns an awaitable for when the peer has taken most of it.
        """
        try:
            drained = self.write(head)
        except BaseException:
            file.close()
            raise
        self.bytes_sent += count
        self.connection.write_file(file, offset, count)
        return drained

    @property
    def may_keep_alive(self):
        """Whether another request can follow, as far as the body of this one tells."""
        return not self.unreadable and not self.continue_due

    def done(self, bint keep_alive):
        """The response is complete."""
        if self.connection.gone or self.connection.session is not self:
            return
        self.leave_all()
        self.streaming = False
        self.polling = None
        self.since = self.connection.driver.loop.time()
        if (
            not keep_alive or self.unreadable or self.continue_due
            or (self.connection.input_ended and not buffer_size(&self.pending))
        ):
            self.connection.finish_politely()
        elif self.body is None:
            self.next_request()
        else:
            self.answered = True
            self.body_part = 0
            self.connection.resume_reading()    # the handler may have left too much in its queue
            self.connection.rearm()

    cdef int next_request(self) except -1:
        """The last request is dealt with: go on to the next."""
        self.inbox = None
        self.answering = False
        self.served = True
        self.connection.rearm()
        if buffer_size(&self.pending):
            return self.go_on()
        if not self.connection.input_ended:
            self.connection.resume_reading()
        return 0

    def go_away(self):
        """The server stops: close, unless a request is being answered."""
        if self.polling is not None:
            self.polling.end()
        if self.streaming:
            self.end_stream()
        elif not self.answering or self.answered:
            self.connection.finish()

    def abort(self):
        """Close at once, without an end to the response."""
        self.connection.abort()

    def read_no_more(self):
        """What follows this request is not to be trusted to be another one."""
        self.unreadable = True

    def upgrade(
        self, bytes head not None, MessageWriter writer not None, Inflater inflater=None, bint hold=False
    ):
        """Answer with `head` and go on as a WebSocket. Returns its session, which has no handler yet.

        With `hold`, nothing is read until it has one.
        """
        cdef Connection connection = self.connection
        cdef WebSocketSession session = WebSocketSession(connection, writer, inflater)
        session.task, self.task = self.task, None
        connection.use(session)
        connection.last_read = connection.driver.now    # the handshake may have had to wait
        connection.write(head, len(head))
        if buffer_size(&self.pending) or connection.input_ended:
            connection.put_back(&self.pending)
        elif hold:
            connection.pause_reading()
        return session

    @property
    def closed(self):
        """Whether nothing more can be answered."""
        return self.connection.gone or self.connection.discarding

    @property
    def input_ended(self):
        """Whether the peer sends nothing more."""
        return self.connection.gone or self.connection.input_ended

    @property
    def client(self):
        return self.connection.client

    # ------------------------------------------------------- event streams and long polls

    def stream_events(self, bint chunked):
        """The response is an event stream from here on; its head has been sent."""
        self.writer = CHUNKED_EVENTS if chunked else PLAIN_EVENTS
        self.streaming = True
        self.quiet = False
        self.ping_at = self.connection.driver.loop.time() + self.connection.driver.bounds.ping_interval
        if self.connection.input_ended:
            self.connection.abort()     # nobody listens to the rest of a stream
        else:
            self.connection.rearm()

    def send_event(self, bytes event not None):
        """Send an event, as `encode_event` has made it. Returns an awaitable as `write` does."""
        if not self.take((<EventWriter> self.writer).frame(event)):
            raise self.closed_error()
        return self.connection.drain(self)

    cdef bint take(self, object written) except -1:
        """Send an event that others get too. Returns whether it was possible."""
        cdef bytes event = written
        if self.closed or not self.streaming:
            return False
        if self.connection.unsent() > self.connection.driver.bounds.send_queue:
            self.connection.abort()
            return False
        self.send_bytes(event)
        return True

    cdef int end_stream(self) except -1:
        self.send_bytes((<EventWriter> self.writer).end)
        self.streaming = False
        return self.connection.finish()

    def poll(self, Topics topics not None, topic):
        """A Poll of the topic, which ends with the connection too."""
        self.polling = Poll(self.connection.driver.loop, topics, topic)
        if self.connection.input_ended or self.closed:
            self.polling.end()
        return self.polling

    # --------------------------------------------------------------- from the connection

    cdef int end_of_input(self) except -1:
        self.ended_at = self.connection.driver.loop.time()
        if self.streaming or self.polling is not None:
            return self.connection.abort()      # nobody waits there any more
        if self.body is not None:
            self.give_up_body(BadRequest(400, "the request ended before its body did"))
        if self.is_waiting() and not self.closed:
            self.connection.pause_reading()     # the answers may still be wanted
            return self.connection.rearm()
        return self.connection.finish()

    cdef int sent(self) except -1:
        self.since = self.connection.driver.loop.time()     # it was not for the peer to send meanwhile
        return self.go_on() if buffer_size(&self.pending) else 0

    cdef int hung_up(self) except -1:
        return self.connection.abort()          # nobody is there to take an answer

    cdef int lost(self) except -1:
        self.leave_all()
        if self.polling is not None:
            self.polling.end()
        if self.inbox is not None:
            self.inbox.fail(self.closed_error())
        return 0

    cdef double deadline(self):
        cdef Connection connection = self.connection
        cdef Bounds bounds = connection.driver.bounds
        if connection.blocked:
            return connection.last_progress + bounds.idle_timeout
        if connection.discarding:
            return max(self.since, connection.last_progress) + bounds.close_timeout
        if self.body is not None and not connection.paused:
            return max(self.since, connection.reading_since) + bounds.handshake_timeout
        if self.streaming:
            return self.ping_at
        if self.answering:
            return self.ended_at + bounds.handler_grace if self.connection.input_ended else INFINITY
        if not buffer_size(&self.pending) and self.served:
            return self.since + bounds.idle_timeout
        return self.since + bounds.handshake_timeout

    cdef int overdue(self, double now) except -1:
        cdef Connection connection = self.connection
        if self.resuming:
            return 0    # the loop is late: the request that it took too long to look at may be whole
        if connection.blocked or connection.discarding:
            return connection.abort()
        if self.body is not None and not connection.paused:
            return self.give_up_body(BadRequest(408, "the request's body took too long to come"))
        if self.streaming:
            return self.look_at_stream(now)
        if self.answering:
            if self.task is not None:
                self.task.cancel()      # its peer ended its output a long time ago
            return connection.abort()
        if not buffer_size(&self.pending):
            return connection.abort()
        return self.refuse(BadRequest(408, "the request took too long to come"))

    cdef int look_at_stream(self, double now) except -1:
        """Give a sign of life where nothing was sent: it shows to both sides, and to what is between them."""
        if self.quiet:
            self.take((<EventWriter> self.writer).frame(COMMENT))
        self.quiet = True
        self.ping_at = now + self.connection.driver.bounds.ping_interval
        return 0
