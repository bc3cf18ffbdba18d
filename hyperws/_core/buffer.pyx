from cpython.mem cimport PyMem_Free, PyMem_Realloc
from libc.string cimport memcpy, memmove


cdef uint8_t *buffer_reserve(Buffer *buffer, size_t size) except NULL:
    """Where `size` more bytes may be written; the caller then adds what it wrote to `buffer.end`."""
    cdef size_t used = buffer.end - buffer.start
    cdef size_t capacity
    cdef void *data
    if buffer.capacity - buffer.end < size and buffer.start > used:
        # moved only where that frees more than it moves, so that many small appends stay linear
        memmove(buffer.data, buffer.data + buffer.start, used)
        buffer.start = 0
        buffer.end = used
    if buffer.capacity - buffer.end < size:
        capacity = max(buffer.end + size, 2 * buffer.capacity, <size_t> 128)
        data = PyMem_Realloc(buffer.data, capacity)
        if data is NULL:
            raise MemoryError
        buffer.data = <uint8_t *> data
        buffer.capacity = capacity
    return buffer.data + buffer.end


cdef int buffer_append(Buffer *buffer, const uint8_t *data, size_t size) except -1:
    if size:
        memcpy(buffer_reserve(buffer, size), data, size)
        buffer.end += size
    return 0


cdef void buffer_consume(Buffer *buffer, size_t size) noexcept:
    """Forget the first `size` bytes, and the memory with the last of them."""
    buffer.start += size
    if buffer.start == buffer.end:
        buffer_free(buffer)


cdef void buffer_clear(Buffer *buffer) noexcept:
    """Forget the bytes and keep the memory."""
    buffer.start = buffer.end = 0


cdef void buffer_free(Buffer *buffer) noexcept:
    PyMem_Free(buffer.data)
    buffer.data = NULL
    buffer.start = buffer.end = buffer.capacity = 0
