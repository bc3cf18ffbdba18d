from cpython.mem cimport PyMem_Free, PyMem_Malloc, PyMem_Realloc
from libc.string cimport memcpy, memmove

cdef size_t LEAST = 128     # bytes that a buffer has room for once it has any


cdef uint8_t *buffer_reserve(Buffer *buffer, size_t size) except NULL:
    """Where `size` more bytes may be written; the caller then extends the buffer by what it wrote."""
    cdef Block *block = buffer.block
    cdef size_t used, capacity
    if block is NULL:
        return new_block(buffer, max(size, LEAST))
    used = block.end - block.start
    if block.capacity - block.end < size and block.start > used:
        # moved only where that frees more than it moves, so that many small appends stay linear
        memmove(block + 1, <uint8_t *> (block + 1) + block.start, used)
        block.start = 0
        block.end = used
    if block.capacity - block.end < size:
        capacity = max(block.end + size, 2 * block.capacity)
        block = <Block *> PyMem_Realloc(block, sizeof(Block) + capacity)
        if block is NULL:
            raise MemoryError
        block.capacity = capacity
        buffer.block = block
    return <uint8_t *> (block + 1) + block.end


cdef uint8_t *new_block(Buffer *buffer, size_t capacity) except NULL:
    buffer.block = <Block *> PyMem_Malloc(sizeof(Block) + capacity)
    if buffer.block is NULL:
        raise MemoryError
    buffer.block.start = buffer.block.end = 0
    buffer.block.capacity = capacity
    return <uint8_t *> (buffer.block + 1)


cdef int buffer_append(Buffer *buffer, const uint8_t *data, size_t size) except -1:
    if size:
        memcpy(buffer_reserve(buffer, size), data, size)
        buffer_extend(buffer, size)
    return 0


cdef void buffer_consume(Buffer *buffer, size_t size) noexcept:
    """Forget the first `size` bytes, and the memory with the last of them."""
    if size:
        buffer.block.start += size
    if not buffer_size(buffer):
        buffer_free(buffer)


cdef void buffer_clear(Buffer *buffer) noexcept:
    """Forget the bytes and keep the memory."""
    if buffer.block is not NULL:
        buffer.block.start = buffer.block.end = 0


cdef void buffer_free(Buffer *buffer) noexcept:
    PyMem_Free(buffer.block)
    buffer.block = NULL
