"""A subscriber that takes one message: what a long poll waits on."""

from hyperws._core.topics cimport Subscriber, Writer


cdef class PlainWriter(Writer):
    pass


cdef PlainWriter PLAIN      # keeps messages as they are


cdef class Poll(Subscriber):
    cdef readonly object message    # a future of the str or bytes; None once there will be none

    cdef int end(self) except -1
