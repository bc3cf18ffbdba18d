from asyncio import CancelledError

from hyperws.errors import BadRequest, ConnectionClosed

from libc.stdint cimport uint8_t

from hyperws._core.body cimport BodyReader
from hyperws._core.buffer cimport (
    Buffer, buffer_append, buffer_consume, buffer_free, buffer_size, buffer_start,
)
from hyperws._core.connection cimport Connection, Session
from hyperws._core.http cimport Request, RequestParser
from hyperws._core.inbox cimport Inbox

cdef bytes CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"

cdef size_t BODY_PART = 16384       # bytes of a body that have `handshake_timeout` to come
cdef size_t UNWANTED = 256 * 1024   # bytes of a body that are still read once its request is answered


cdef class RequestReader(Session):
    """The half of a session that takes requests and hands each to `app.request(session, request)`.

    The next has its turn after `next_request()`.
    """

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
        if (
            self.is_waiting() and buffer_size(&self.pending) > self.parser.max_head_size
            and not self.connection.discarding      # its last request had its answer at once
        ):
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
        self.pending = Buffer(NULL)
        try:
            buffer_consume(&data, self.consume(buffer_start(&data), buffer_size(&data)))
        finally:
            if self.connection.session is self:
                self.pending = data
            else:
                self.connection.put_back(&data)     # the first frames came with the handshake
                self.connection.take_unread()       # now: the peer may be gone in the next turn
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
            request = None
            try:
                request = self.take_head(data + taken, size - taken, &taken)
                if request is None:
                    break
                taken += self.take_early_body(request, data + taken, size - taken)
            except BadRequest as error:
                self.refuse(error, request)
                return size
            self.dispatch(request)
        return taken

    cdef int refuse(self, object error, Request request) except -1:
        self.answering = self.unreadable = True
        self.connection.driver.app.bad_request(self, error, request)
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
            self.connection.write(CONTINUE, len(CONTINUE))
        return self.inbox.receive(True)

    # ---------------------------------------------------------------------------- what follows

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

    def read_no_more(self):
        """What follows this request is not to be trusted to be another one."""
        self.unreadable = True

    @property
    def may_keep_alive(self):
        """Whether another request can follow, as far as the body of this one tells."""
        return not self.unreadable and not self.continue_due

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
