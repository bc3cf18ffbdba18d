from hyperws.errors import BadRequest, UsageError

from libc.math cimport INFINITY
from libc.stdint cimport int64_t

from hyperws._core.bounds cimport Bounds
from hyperws._core.buffer cimport buffer_size
from hyperws._core.connection cimport LAST_CALL, Connection
from hyperws._core.deflate cimport Inflater
from hyperws._core.event_writer cimport CHUNKED_EVENTS, COMMENT, PLAIN_EVENTS, EventWriter
from hyperws._core.message_writer cimport MessageWriter
from hyperws._core.poll cimport Poll
from hyperws._core.request_reader cimport RequestReader
from hyperws._core.topics cimport Topics
from hyperws._core.websocket_session cimport WebSocketSession


cdef class HttpSession(RequestReader):
    """Answers requests, one after the other, until one becomes a WebSocket."""

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
        return self.connection.write_shared(data)

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

    def done(self, bint keep_alive):
        """The response is complete."""
        if self.connection.gone or self.connection.session is not self:
            return
        self.leave_all()
        self.streaming = False
        self.polling = None
        if self.body is not None:
            self.inbox.fail(UsageError("the rest of the body is lost: read it before the handler returns"))
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

    def go_away(self):
        """The server stops: close, unless a request is being answered, or may be on its way."""
        if self.polling is not None:
            self.polling.end()
        if self.streaming:
            self.end_stream()
        elif self.answered:
            self.connection.finish_politely()
        elif not self.answering:
            self.last_call = True
            if self.last_call_ends() <= self.connection.driver.loop.time():
                self.connection.finish()
            else:
                self.connection.rearm()

    cdef double last_call_ends(self):
        return max(self.since, self.connection.last_read) + LAST_CALL

    def abort(self):
        """Close at once, without an end to the response."""
        self.connection.abort()

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
        connection.rearm()      # in a task, after hooks or middleware that have awaited, nobody else does
        if buffer_size(&self.pending) or connection.input_ended:
            connection.put_back(&self.pending)
        elif hold:
            connection.pause_reading()
        return session

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
        self.release()
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
        if self.last_call:
            return self.last_call_ends()
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
        if self.last_call:
            return connection.finish()
        if not buffer_size(&self.pending):
            return connection.abort()
        return self.refuse(BadRequest(408, "the request took too long to come"), None)

    cdef int look_at_stream(self, double now) except -1:
        """Give a sign of life where nothing was sent: it shows to both sides, and to what is between them."""
        if self.quiet:
            self.take((<EventWriter> self.writer).frame(COMMENT))
        self.quiet = True
        self.ping_at = now + self.connection.driver.bounds.ping_interval
        return 0
