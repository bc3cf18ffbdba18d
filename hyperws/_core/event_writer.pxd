"""Messages as Server-Sent Events, without I/O."""

from hyperws._core.topics cimport Writer


cdef class EventWriter(Writer):
    cdef bint chunked       # in the chunks of HTTP/1.1 (RFC 9112, section 7.1), or as they are
    cdef bytes end          # what ends the stream

    cdef bytes frame(self, bytes event)


cdef EventWriter CHUNKED_EVENTS, PLAIN_EVENTS
cdef bytes COMMENT      # a stream's sign of life
