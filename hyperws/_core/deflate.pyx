cimport cython
from libc.stdint cimport uint8_t

from hyperws._core.buffer cimport (
    Buffer, buffer_append, buffer_free, buffer_size, buffer_start,
)

cdef enum:
    DEFLATED = 8            # zlib's only method
    SYNC_FLUSH = 2
    FULL_FLUSH = 3

cdef bytes TAIL = b"\x00\x00\xff\xff"   # what a sender leaves away (section 7.2.1)

# zlib copies what it has not taken yet at each step, and gathers a step's output before it is moved on
cdef size_t INPUT_STEP = 4096
cdef size_t OUTPUT_STEP = 65536


@cython.final
cdef class Inflater:
    """What a peer has compressed, one message after the other."""

    def __init__(self, backend, int window_bits, bint takeover):
        self.backend = backend
        self.window_bits = window_bits
        self.takeover = takeover

    cdef bint feed(self, const uint8_t *data, size_t size, Buffer *out, size_t limit) except -1:
        """Inflate the next `size` bytes of a message to the end of `out`, which has no more than `limit`.

        Returns False where it would get more. Raises `backend.error` for what is not compressed.
        """
        cdef size_t piece
        cdef bytes rest, got
        while size:
            piece = min(size, INPUT_STEP)
            rest = data[:piece]
            data += piece
            size -= piece
            while rest:
                if self.stream is None:
                    self.stream = self.backend.decompressobj(-self.window_bits)
                got = self.stream.decompress(rest, OUTPUT_STEP)
                if <size_t> len(got) > limit - buffer_size(out):
                    return False
                buffer_append(out, got, len(got))
                rest = self.stream.unconsumed_tail
                if self.stream.eof:     # a block said that it is the last; more may follow (section 7.2.3.5)
                    rest = self.stream.unused_data
                    self.stream = None
        return True

    cdef bint end(self, Buffer *out, size_t limit) except -1:
        """Inflate what is left of a message, as `feed` does."""
        cdef bint within = self.feed(TAIL, len(TAIL), out, limit)
        if not self.takeover:
            self.stream = None
        return within

    def inflate(self, bytes data not None, size_t limit):
        """One whole message, None where it is longer than `limit`. What the frame reader does, for tests."""
        cdef Buffer out = Buffer(NULL)
        try:
            if self.feed(data, len(data), &out, limit) and self.end(&out, limit):
                return buffer_start(&out)[:buffer_size(&out)]
            return None
        finally:
            buffer_free(&out)


@cython.final
cdef class Deflater:
    """Compresses what is sent."""

    def __init__(self, backend, int level, int window_bits, int memory_level, bint takeover):
        self.backend = backend
        self.level = level
        self.window_bits = window_bits
        self.memory_level = memory_level
        self.takeover = takeover

    cdef bytes deflate(self, object data, bint last):
        """Compress a message, or a piece of one, neither of them empty."""
        cdef bytes out
        if self.stream is None:
            self.stream = self.backend.compressobj(
                self.level, DEFLATED, -self.window_bits, self.memory_level
            )
        # a full flush forgets what came before, so that nothing refers to it
        flush = FULL_FLUSH if last and not self.takeover else SYNC_FLUSH
        try:
            out = self.stream.compress(data) + self.stream.flush(flush)
        except BaseException:
            self.stream = None      # half a message may be in there
            raise
        return out[:-len(TAIL)] if last else out

    def compress(self, data, bint last=True):
        """What `deflate` does, for tests."""
        return self.deflate(data, last)
