"""A WebSocket on a connection: messages to the handler, pings, and the closing handshake."""

from libc.stdint cimport uint8_t, uint32_t

from hyperws._core.connection cimport Session
from hyperws._core.inbox cimport Inbox
from hyperws._core.waiter cimport SharedOperation, Waiters
from hyperws._core.websocket cimport Event, FrameReader


cdef enum State:
    OPEN
    CLOSING     # a close frame was sent; the peer's is awaited
    CLOSED      # nothing more is read or sent


cdef class WebSocketSession(Session):
    cdef FrameReader reader
    cdef readonly Inbox inbox          # of a coroutine handler, or None
    cdef object callback, context      # or `callback(context, message)`
    cdef State state
    cdef readonly int close_code       # 0 until closed
    cdef readonly str close_reason
    cdef double closing_since
    cdef double pinged_at              # 0 while no sign of life is due
    cdef double ping_sent_at
    cdef uint32_t pings, pongs         # the number of the last ping sent and of the last answered
    cdef readonly double latency       # seconds, of the last ping that was answered; negative before
    cdef Waiters pong_waiters
    cdef bytes late_pong               # to be sent once the peer takes bytes again, or None

    cpdef object send(self, object message, object compress=*)
    cdef int handle(self, Event event) except -1
    cdef int deliver(self) except -1
    cdef int answer_ping(self, bytes payload) except -1
    cdef int take_pong(self, bytes payload) except -1
    cdef int send_ping(self) except -1
    cdef int send_frame(self, int opcode, const uint8_t *payload, size_t size) except -1
    cdef int check_room(self) except -1
    cdef int cut_off(self) except -1
    cdef int send_close(self, int code, str reason) except -1
    cdef int ended(self, int code, str reason) except -1
    cdef int start_closing(self, int code, str reason) except -1


cdef class Pong(SharedOperation):
    cdef WebSocketSession session
    cdef uint32_t number
