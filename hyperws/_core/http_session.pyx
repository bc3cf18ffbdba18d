from hyperws.errors import BadRequest

from libc.math cimport INFINITY
from libc.stdint cimport uint8_t

from hyperws._core.bounds cimport Bounds
from hyperws._core.buffer cimport (
    Buffer, buffer_append, buffer_consume, buffer_free, buffer_size, buffer_start,
)
from hyperws._core.connection cimport Connection, Session
from hyperws._core.deflate cimport Inflater
from hyperws._core.http cimport Request, RequestParser
from hyperws._core.message_writer cimport MessageWriter
from hyperws._core.websocket_session cimport WebSocketSession


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
        if self.answering or buffer_size(&self.pending):
            buffer_append(&self.pending, data, size)
            if not self.is_waiting():
                self.take_pending()
            elif buffer_size(&self.pending) > self.parser.max_head_size:
                self.connection.pause_reading()     # a peer that sends ahead waits its turn
            return size
        if self.served and self.request is None:
            self.since = self.connection.driver.now     # a new request begins
        taken = self.consume(data, size)
        if self.connection.session is self:
            buffer_append(&self.pending, data + taken, size - taken)
            taken = size
            if not self.answering:
                self.connection.rearm()
        return taken

    def resume(self):
        """Go on with the requests that came while another was being answered."""
        self.resuming = False
        if self.connection.gone:
            return
        self.connection.driver.now = self.connection.driver.loop.time()
        try:
            self.take_pending()
            if self.connection.session is self and self.is_waiting():
                return
            if self.input_ended:
                self.connection.end_of_input()
            elif self.connection.session is self:
                self.connection.resume_reading()
        except Exception as error:
            self.connection.driver.fault(self.connection, error)

    cdef int take_pending(self) except -1:
        cdef Buffer rest
        cdef size_t taken = self.consume(buffer_start(&self.pending), buffer_size(&self.pending))
        if taken:
            buffer_consume(&self.pending, taken)
        if self.connection.session is not self and buffer_size(&self.pending):
            rest = self.pending     # the first frames came with the handshake
            self.pending = Buffer(NULL, 0, 0, 0)
            try:
                self.connection.received(buffer_start(&rest), buffer_size(&rest))
            finally:
                buffer_free(&rest)
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

    cdef size_t consume(self, const uint8_t *data, size_t size) except? 0:
        """Take requests from `data` until one must be answered first. Returns how many bytes they were."""
        cdef size_t taken = 0
        cdef size_t head
        cdef Request request
        try:
            while taken < size and not (
                self.answering
                or self.connection.blocked      # who asks and never reads must not fill the memory
                or self.connection.discarding
                or self.connection.gone
            ):
                if self.request is None:
                    head = self.take_head(data + taken, size - taken)
                    taken += head
                request = self.request
                if request is None:
                    break
                if request.wants_websocket:
                    self.dispatch()     # whatever follows is no body: a handshake with one is refused
                elif size - taken >= request.content_length:
                    request.body = data[taken:taken + request.content_length]
                    taken += request.content_length
                    self.dispatch()
                else:
                    break
                if self.connection.session is not self:
                    break
        except BadRequest as error:
            self.refuse(error)
            return size
        return taken

    cdef int refuse(self, object error) except -1:
        self.request = None
        self.answering = True
        self.connection.driver.app.bad_request(self, error)
        return 0

    cdef size_t take_head(self, const uint8_t *data, size_t size) except? 0:
        cdef size_t skipped = 0
        cdef size_t end
        if not self.scan:
            # empty lines before a request are passed over (RFC 9112, section 2.2)
            while size - skipped >= 2 and data[skipped] == c"\r" and data[skipped + 1] == c"\n":
                skipped += 2
            if size - skipped == 0 or (size - skipped == 1 and data[skipped] == c"\r"):
                return skipped
        end = self.parser.find_end(data + skipped, size - skipped, &self.scan)
        if not end:
            return skipped
        self.scan = 0
        self.request = self.parser.parse(data + skipped, end)
        if self.request.chunked and not self.request.wants_websocket:
            raise BadRequest(411, "send the request body with a Content-Length, not chunked")
        if self.request.expects_continue and self.request.content_length > size - skipped - end:
            self.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        return skipped + end

    cdef int dispatch(self) except -1:
        cdef Request request = self.request
        self.request = None
        self.answering = True
        self.connection.starting = True     # a handler may run at once, and lose the connection
        try:
            self.connection.driver.app.request(self, request)
        finally:
            self.connection.starting = False
            if self.connection.gone:
                self.connection.settle()
        return self.connection.rearm()

    # ------------------------------------------------------------ for the one who answers

    def write(self, bytes data not None):
        """Send bytes of a response. Returns an awaitable for when the peer has taken most of them."""
        if self.closed:
            raise self.closed_error()
        self.connection.write(data, len(data))
        return self.connection.drain(self)

    def done(self, bint keep_alive):
        """The response is complete."""
        if self.connection.gone or self.connection.session is not self:
            return
        self.since = self.connection.driver.loop.time()
        if not keep_alive or (self.input_ended and not buffer_size(&self.pending)):
            self.connection.finish_politely()
            return
        self.answering = False
        self.served = True
        self.connection.rearm()
        if buffer_size(&self.pending):
            self.go_on()
        elif not self.input_ended:
            self.connection.resume_reading()

    def go_away(self):
        """The server stops: close, unless a request is being answered."""
        if not self.answering:
            self.connection.finish()

    def abort(self):
        """Close at once, without an end to the response."""
        self.connection.abort()

    def upgrade(self, bytes head not None, MessageWriter writer not None, Inflater inflater=None):
        """Answer with `head` and go on as a WebSocket. Returns its session."""
        cdef WebSocketSession session = WebSocketSession(self.connection, writer, inflater)
        if not self.input_ended:
            self.connection.resume_reading()    # from here on its own queue decides
        self.connection.use(session)
        self.connection.last_read = self.connection.driver.now    # the handshake may have had to wait
        self.connection.write(head, len(head))
        return session

    @property
    def closed(self):
        """Whether nothing more can be answered."""
        return self.connection.gone or self.connection.discarding

    @property
    def client(self):
        return self.connection.client

    # --------------------------------------------------------------- from the connection

    cdef int end_of_input(self) except -1:
        self.input_ended = True
        self.ended_at = self.connection.driver.loop.time()
        if self.is_waiting():
            self.connection.pause_reading()     # the answers may still be wanted
            return self.connection.rearm()
        return self.connection.finish()

    cdef int sent(self) except -1:
        self.since = self.connection.driver.loop.time()     # it was not for the peer to send meanwhile
        return self.go_on() if buffer_size(&self.pending) else 0

    cdef int hung_up(self) except -1:
        return self.connection.abort()          # nobody is there to take an answer

    cdef int lost(self) except -1:
        return 0

    cdef double deadline(self):
        cdef Connection connection = self.connection
        cdef Bounds bounds = connection.driver.bounds
        if connection.blocked:
            return connection.last_progress + bounds.idle_timeout
        if connection.discarding:
            return max(self.since, connection.last_progress) + bounds.close_timeout
        if self.answering:
            return self.ended_at + bounds.handler_grace if self.input_ended else INFINITY
        if self.request is None and not buffer_size(&self.pending) and self.served:
            return self.since + bounds.idle_timeout
        return self.since + bounds.handshake_timeout

    cdef int overdue(self, double now) except -1:
        if self.resuming:
            return 0    # the loop is late: the request that it took too long to look at may be whole
        cdef bint begun = self.request is not None or buffer_size(&self.pending) > 0
        if self.answering and self.task is not None and not self.connection.blocked:
            self.task.cancel()      # its peer ended its output a long time ago
        if self.answering or self.connection.blocked or self.connection.discarding or not begun:
            return self.connection.abort()
        return self.refuse(BadRequest(408, "the request took too long to come"))
