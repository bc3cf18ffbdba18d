"""Growable bytes that are appended at the end and consumed at the start. A zeroed Buffer is empty.

One that is empty is a pointer and no more, as most of a server's buffers are empty most of the time.
"""

from libc.stdint cimport uint8_t


cdef struct Block:
    size_t start     # the first byte that is not consumed
    size_t end       # behind the last byte
    size_t capacity  # bytes that there is room for, behind this


cdef struct Buffer:
    Block *block     # NULL where nothing was appended since it was made or freed


cdef inline size_t buffer_size(const Buffer *buffer) noexcept:
    return buffer.block.end - buffer.block.start if buffer.block is not NULL else 0


cdef inline size_t buffer_capacity(const Buffer *buffer) noexcept:
    return buffer.block.capacity if buffer.block is not NULL else 0


cdef inline uint8_t *buffer_start(const Buffer *buffer) noexcept:
    """The first byte, NULL where there has been none."""
    return <uint8_t *> (buffer.block + 1) + buffer.block.start if buffer.block is not NULL else NULL


cdef inline void buffer_extend(Buffer *buffer, size_t size) noexcept:
    """Take in bytes that were written where `buffer_reserve` said."""
    buffer.block.end += size


cdef uint8_t *buffer_reserve(Buffer *buffer, size_t size) except NULL
cdef int buffer_append(Buffer *buffer, const uint8_t *data, size_t size) except -1
cdef void buffer_consume(Buffer *buffer, size_t size) noexcept
cdef void buffer_clear(Buffer *buffer) noexcept
cdef void buffer_free(Buffer *buffer) noexcept
