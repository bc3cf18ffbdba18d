"""The driver on asyncio transports, for where the reactor can't serve."""

from hyperws._core.connection cimport Driver
from hyperws._core.http cimport RequestParser


cdef class Portable(Driver):
    cdef bytearray incoming        # one read's bytes, to be unmasked in place
    cdef RequestParser parser
    cdef object nodelay
    cdef readonly object tls                # the ssl.SSLContext, or None
    cdef list listeners            # sockets that have a reader
    cdef set accepting             # tasks instead, where the loop has no readers
    cdef set starting              # tasks of connections that have no transport yet
    cdef bint stopping
    cdef object last_call          # the timer that gives those up, or None
    cdef dict closing              # transport that is to send its last bytes: timer that ends it
