"""Messages as frames: whole or in fragments, compressed or not; without I/O."""

from libc.stdint cimport uint8_t

from hyperws._core.buffer cimport Buffer
from hyperws._core.deflate cimport Deflater
from hyperws._core.topics cimport Writer


cdef class MessageWriter(Writer):
    cdef size_t fragment_size       # bytes that one frame carries at most
    cdef Deflater deflater          # None for a peer that takes no compressed messages
    cdef size_t threshold           # bytes from which a message is compressed

    cdef int append(self, Buffer *out, object message, object compress) except -1
    cdef int append_data(
        self, Buffer *out, int opcode, const uint8_t *data, size_t size, object compress
    ) except -1
    cdef int append_pieces(self, Buffer *out, Pieces message, object compress) except -1
    cdef int append_frames(
        self, Buffer *out, bint fin, int rsv, int opcode, const uint8_t *data, size_t size
    ) except -1
    cdef bint compresses(self, size_t size, object compress) except -1


cdef class Pieces:
    cdef int opcode
    cdef list parts     # bytes, none of them empty but an only one
    cdef size_t size

    cdef object joined(self)


cpdef object checked_message(object message)
cpdef object lasting(object message)
cdef object not_utf8()
