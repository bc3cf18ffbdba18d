"""HTTP/1.1 on a connection: one request after the other, until one becomes a WebSocket."""

from libc.stdint cimport uint8_t

from hyperws._core.buffer cimport Buffer
from hyperws._core.connection cimport Session
from hyperws._core.http cimport Request, RequestParser


cdef class HttpSession(Session):
    cdef RequestParser parser
    cdef Buffer pending        # of a head or a body that is not complete, or of requests behind this one
    cdef size_t scan           # how much of a pending head has been looked at
    cdef Request request       # whose body is coming or whose answer is due, or None
    cdef bint answering        # a request is with the application; those behind it wait
    cdef bint served           # at least one was answered
    cdef bint resuming         # requests are pending and their turn is scheduled
    cdef bint input_ended
    cdef double since          # when what is waited for now began to be due
    cdef double ended_at       # when the input ended

    cdef bint is_waiting(self)
    cdef int go_on(self) except -1
    cdef int take_pending(self) except -1
    cdef size_t consume(self, const uint8_t *data, size_t size) except? 0
    cdef size_t take_head(self, const uint8_t *data, size_t size) except? 0
    cdef int refuse(self, object error) except -1
    cdef int dispatch(self) except -1
