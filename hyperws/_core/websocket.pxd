"""WebSocket frames to messages (RFC 6455, section 5), without I/O: bytes in, events out."""

from libc.stdint cimport uint8_t, uint16_t, uint64_t

from hyperws._core.buffer cimport Buffer
from hyperws._core.deflate cimport Inflater
from hyperws._core.flag cimport flag

cdef extern from "frame.h":
    enum:
        HW_FRAME_MAX_HEADER, HW_RSV1

    enum hw_opcode:
        HW_CONTINUATION, HW_TEXT, HW_BINARY, HW_CLOSE, HW_PING, HW_PONG

    struct hw_frame:
        uint64_t length
        uint8_t key[4]
        uint8_t fin, rsv, opcode, masked

    int hw_frame_decode(const uint8_t *data, size_t size, hw_frame *frame) noexcept
    size_t hw_frame_encode(uint8_t *out, const hw_frame *frame) noexcept
    const char *hw_frame_error_text(int error) noexcept

cdef extern from "utf8.h":
    struct hw_utf8:
        uint8_t missing

    size_t hw_utf8_feed(hw_utf8 *text, const uint8_t *data, size_t size) noexcept


cdef enum Event:
    NEED_DATA   # everything was taken and nothing is complete
    MESSAGE     # `message`: str or bytes
    PING        # `message`: the payload
    PONG        # `message`: the payload
    CLOSE       # `close_code`, `close_reason`: the peer's
    FAILED      # `close_code`, `close_reason`: what the peer is to be told


cdef class FrameReader:
    cdef size_t max_message_size, max_message_frames
    cdef Inflater inflater         # None where permessage-deflate was not negotiated
    cdef object message
    cdef str close_reason
    cdef uint16_t close_code
    cdef flag masked               # frames must be masked: they come from a client
    cdef flag ended                # after CLOSE or FAILED nothing more is read
    cdef flag in_payload
    cdef flag compressed           # whether the message that has begun is
    cdef uint8_t opcode            # of that message, HW_CONTINUATION where there is none
    cdef hw_utf8 text              # the state behind what was checked of it
    cdef hw_frame frame            # the frame whose payload is coming
    cdef uint64_t received         # bytes of its payload so far
    cdef size_t frames             # of that message, before this one
    cdef size_t size               # bytes of those frames
    cdef Buffer payload            # of that message so far, inflated
    cdef Buffer deflated           # what came behind that and is not inflated yet
    cdef Buffer partial            # a header that is not complete, or a control frame's payload

    cdef Event next(self, uint8_t **at, const uint8_t *end) except? FAILED
    cdef int read_header(self, uint8_t **at, const uint8_t *end) except -1
    cdef bint accept(self)
    cdef bint is_marked(self)
    cdef size_t longest(self)
    cdef bint take(self, const uint8_t *data, size_t size) except -1
    cdef bint take_compressed(self, const uint8_t *data, size_t size) except -1
    cdef bint inflate(self, const uint8_t *data, size_t size) except -1
    cdef Event finish_message(self, const uint8_t *data, size_t size) except? FAILED
    cdef Event finish_control(self) except? FAILED
    cdef Event fail(self, int code, str reason)


cdef int append_frame(
    Buffer *out, bint fin, int rsv, int opcode, const uint8_t *payload, size_t size
) except -1
cdef bint is_close_code(int code) noexcept
