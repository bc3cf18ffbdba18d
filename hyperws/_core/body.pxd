"""Request bodies: where one ends, and what is in it; without I/O (RFC 9112, section 6)."""

from libc.stdint cimport uint8_t, uint64_t

cdef extern from "chunked.h":
    struct hw_chunked:
        pass

    ptrdiff_t hw_chunked_decode(
        hw_chunked *chunked, uint8_t *data, size_t size, size_t *payload
    ) noexcept
    bint hw_chunked_done(const hw_chunked *chunked) noexcept
    const char *hw_chunked_error_text(int error) noexcept


cdef class BodyReader:
    cdef readonly bint done
    cdef bint chunked
    cdef hw_chunked state
    cdef uint64_t left          # bytes that are still to come, where their number was told
    cdef size_t taken, max_size

    cdef size_t take(self, uint8_t *data, size_t size, size_t *payload) except? 0
