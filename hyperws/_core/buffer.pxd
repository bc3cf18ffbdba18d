"""Growable bytes that are appended at the end and consumed at the start. A zeroed Buffer is empty."""

from libc.stdint cimport uint8_t


cdef struct Buffer:
    uint8_t *data
    size_t start     # the first byte that is not consumed
    size_t end       # behind the last byte
    size_t capacity


cdef inline size_t buffer_size(const Buffer *buffer) noexcept:
    return buffer.end - buffer.start


cdef inline uint8_t *buffer_start(const Buffer *buffer) noexcept:
    return buffer.data + buffer.start


cdef uint8_t *buffer_reserve(Buffer *buffer, size_t size) except NULL
cdef int buffer_append(Buffer *buffer, const uint8_t *data, size_t size) except -1
cdef void buffer_consume(Buffer *buffer, size_t size) noexcept
cdef void buffer_clear(Buffer *buffer) noexcept
cdef void buffer_free(Buffer *buffer) noexcept
