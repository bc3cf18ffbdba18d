"""The driver on asyncio transports, for where the reactor can't serve."""

from hyperws._core.connection cimport Driver
from hyperws._core.http cimport RequestParser


cdef class Portable(Driver):
    cdef bytearray incoming        # one read's bytes, to be unmasked in place
    cdef RequestParser parser
    cdef object nodelay
    cdef readonly object tls                # the ssl.SSLContext, or None
    cdef set tasks                 # that accept, and shake hands
    cdef int backlog
    cdef list servers
    cdef bint listening
    cdef dict closing              # transport that is to send its last bytes: timer that ends it
