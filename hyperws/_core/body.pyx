from hyperws.errors import BadRequest

cimport cython


@cython.final
cdef class BodyReader:
    """Reads one body: of `length` bytes or, where that is None, in chunks of at most `max_size` in all."""

    def __cinit__(self, length, size_t max_size):
        self.chunked = length is None
        self.left = length or 0
        self.max_size = max_size
        self.done = length == 0

    cdef size_t take(self, uint8_t *data, size_t size, size_t *payload) except? 0:
        """Take what belongs to the body. Returns how many bytes that were, of which some are framing.

        What is in them then lies in the first `payload` bytes of `data`. Raises BadRequest.
        """
        cdef ptrdiff_t used
        if not self.chunked:
            payload[0] = min(<uint64_t> size, self.left)
            self.left -= payload[0]
            self.done = self.left == 0
            return payload[0]
        used = hw_chunked_decode(&self.state, data, size, payload)
        if used < 0:
            raise BadRequest(400, hw_chunked_error_text(<int> used).decode())
        self.taken += payload[0]
        if self.taken > self.max_size:
            raise BadRequest(413, f"the request body is longer than {self.max_size} bytes")
        self.done = hw_chunked_done(&self.state)
        return used
