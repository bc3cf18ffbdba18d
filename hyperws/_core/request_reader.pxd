"""Requests from the bytes of a connection, one after the other, each with its body."""

from libc.stdint cimport uint8_t

from hyperws._core.body cimport BodyReader
from hyperws._core.buffer cimport Buffer
from hyperws._core.connection cimport Session
from hyperws._core.http cimport Request, RequestParser
from hyperws._core.inbox cimport Inbox


cdef class RequestReader(Session):
    cdef RequestParser parser
    cdef Buffer pending        # of a head that is not complete, or of requests behind this one
    cdef size_t scan           # how much of a pending head has been looked at
    cdef bint answering        # a request is with the application; those behind it wait
    cdef bint answered         # it has its answer, but not all of its body has come yet
    cdef bint served           # at least one was answered
    cdef bint resuming         # requests are pending and their turn is scheduled
    cdef bint unreadable       # where the next request begins is unknown
    cdef double since          # when what is waited for now began to be due

    cdef BodyReader body       # of the request that is being answered, None once all of it has come
    cdef Inbox inbox           # what has come of it and was not taken yet, or None
    cdef bint continue_due     # the peer waits for a 100 before it sends the body
    cdef size_t body_part      # bytes of it since `since`, or since the answer

    cdef readonly size_t bytes_sent    # of the answer, its head and framing among them

    cdef bint is_waiting(self)
    cdef int go_on(self) except -1
    cdef int take_pending(self) except -1
    cdef size_t consume(self, uint8_t *data, size_t size) except? 0
    cdef Request take_head(self, uint8_t *data, size_t size, size_t *taken)
    cdef size_t take_early_body(self, Request request, uint8_t *data, size_t size) except? 0
    cdef int dispatch(self, Request request) except -1
    cdef size_t take_body(self, uint8_t *data, size_t size) except? 0
    cdef int give_up_body(self, object error) except -1
    cdef int body_ended(self) except -1
    cdef int next_request(self) except -1
    cdef int refuse(self, object error, Request request) except -1
