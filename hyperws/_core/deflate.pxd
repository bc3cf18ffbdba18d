"""Compressed payloads (RFC 7692, section 7.2), by a module with zlib's interface; without I/O."""

from libc.stdint cimport uint8_t

from hyperws._core.buffer cimport Buffer


cdef class Inflater:
    cdef object backend
    cdef int window_bits
    cdef bint takeover      # the peer may refer to what stood in earlier messages
    cdef object stream      # a decompressobj; None where there is nothing to remember

    cdef bint feed(self, const uint8_t *data, size_t size, Buffer *out, size_t limit) except -1
    cdef bint end(self, Buffer *out, size_t limit) except -1


cdef class Deflater:
    cdef object backend
    cdef int level, window_bits, memory_level
    cdef readonly bint takeover     # messages may refer to earlier ones; else many connections may share this
    cdef object stream              # a compressobj; None before it is first needed

    cdef bytes deflate(self, object data, bint last)
