"""HTTP/1.1 on a connection: the answers, among them streams and long polls, and the way to a WebSocket."""

from hyperws._core.poll cimport Poll
from hyperws._core.request_reader cimport RequestReader


cdef class HttpSession(RequestReader):
    cdef double ended_at       # when the input ended
    cdef bint last_call        # the server stops: a request that comes soon is the last one
    cdef Poll polling          # what the request waits for, or None
    cdef bint streaming        # the answer is an event stream
    cdef bint quiet            # nothing was sent on it since the last look
    cdef double ping_at        # when the next look is due

    cdef int send_bytes(self, bytes data) except -1
    cdef int end_stream(self) except -1
    cdef double last_call_ends(self)
    cdef int look_at_stream(self, double now) except -1
