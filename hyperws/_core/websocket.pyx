cimport cython
from cpython.bytes cimport PyBytes_FromStringAndSize
from cpython.unicode cimport PyUnicode_DecodeUTF8
from libc.stdint cimport uint8_t, uint64_t
from libc.string cimport memcpy

from hyperws._core.buffer cimport (
    Buffer, buffer_append, buffer_extend, buffer_free, buffer_reserve, buffer_size, buffer_start,
)
from hyperws._core.deflate cimport Inflater

cdef extern from "mask.h":
    enum hw_mask_code:
        HW_MASK_SCALAR, HW_MASK_SSE2, HW_MASK_AVX2, HW_MASK_NEON

    void hw_mask(uint8_t *data, size_t size, const uint8_t *key, size_t offset) noexcept
    bint hw_mask_use(hw_mask_code code) noexcept
    void hw_mask_init() noexcept

# bytes of a compressed message that wait for its end: inflated, each could be a thousand that wait
cdef size_t GATHERED = 65536

hw_mask_init()


@cython.final
@cython.no_gc       # nothing that it holds refers to it
cdef class FrameReader:
    """Turns the bytes of a peer into messages and control events."""

    def __cinit__(
        self, size_t max_message_size, size_t max_message_frames, bint masked=True, Inflater inflater=None
    ):
        self.max_message_size = max_message_size
        self.max_message_frames = max_message_frames
        self.masked = masked
        self.inflater = inflater

    def __dealloc__(self):
        buffer_free(&self.payload)
        buffer_free(&self.deflated)
        buffer_free(&self.partial)

    cdef Event next(self, uint8_t **at, const uint8_t *end) except? FAILED:
        """Take bytes from `at[0]` (moved on) up to `end` until there is an event. Unmasks them in place."""
        cdef size_t size
        cdef uint8_t *data
        while not self.ended:
            if not self.in_payload:
                if not self.read_header(at, end):
                    return FAILED if self.ended else NEED_DATA
                if not self.accept():
                    return FAILED
            # `size` bytes of this frame's payload lie at `data`, before `end`
            data = at[0]
            size = <size_t> min(self.frame.length - self.received, <uint64_t> (end - data))
            at[0] += size
            if self.frame.masked:
                hw_mask(data, size, self.frame.key, self.received & 3)
            self.received += size
            if self.frame.opcode < HW_CLOSE:
                if (
                    self.frame.fin and size == self.frame.length and not self.frames and not self.compressed
                ):
                    return self.finish_message(data, size)      # the usual case: all in one piece
                if not self.take(data, size):
                    return FAILED
                if self.received < self.frame.length:
                    return NEED_DATA
                self.in_payload = False
                if self.frame.fin:
                    return self.finish_message(NULL, 0)
                self.frames += 1
                self.size += self.frame.length
            else:
                buffer_append(&self.partial, data, size)
                if self.received < self.frame.length:
                    return NEED_DATA
                return self.finish_control()
        at[0] = <uint8_t *> end
        return NEED_DATA

    cdef int read_header(self, uint8_t **at, const uint8_t *end) except -1:
        """Read the next frame's header. Returns 0 where it is not complete or wrong."""
        cdef size_t size = end - at[0]
        cdef size_t kept = buffer_size(&self.partial)
        cdef int header
        if not kept:
            header = hw_frame_decode(at[0], size, &self.frame)
            if header > 0:
                at[0] += header
                return 1
        else:
            # a header cut in two: complete it, of what came, with no more than the longest header needs
            size = min(size, HW_FRAME_MAX_HEADER - kept)
            memcpy(buffer_reserve(&self.partial, size), at[0], size)
            header = hw_frame_decode(buffer_start(&self.partial), kept + size, &self.frame)
            if header > 0:
                at[0] += header - <int> kept
                buffer_free(&self.partial)
                return 1
        if header < 0:
            self.fail(1002, hw_frame_error_text(header).decode())
            return 0
        buffer_append(&self.partial, at[0], size)
        at[0] += size
        return 0

    cdef bint accept(self):
        """Judge the header that was read, before any of its payload (RFC 6455, sections 5.1 to 5.5)."""
        cdef hw_frame *frame = &self.frame
        if frame.rsv and not self.is_marked():
            self.fail(1002, "reserved bit set")
        elif frame.masked != self.masked:
            self.fail(1002, "frame from a client is not masked" if self.masked else "frame is masked")
        elif frame.opcode >= HW_CLOSE:
            pass
        elif frame.opcode == HW_CONTINUATION and self.opcode == HW_CONTINUATION:
            self.fail(1002, "continuation of no message")
        elif frame.opcode != HW_CONTINUATION and self.opcode != HW_CONTINUATION:
            self.fail(1002, "new message inside a fragmented one")
        else:
            if frame.opcode != HW_CONTINUATION:
                self.opcode = frame.opcode
                self.compressed = frame.rsv != 0
            if frame.length > self.longest() - self.size:
                self.fail(1009, f"message longer than {self.max_message_size} bytes")
            elif self.frames >= self.max_message_frames:
                self.fail(1008, f"message of more than {self.max_message_frames} frames")
        self.in_payload = True
        self.received = 0
        return not self.ended

    cdef bint is_marked(self):
        """Whether the reserved bits mark a compressed message, at its first frame (RFC 7692, section 6)."""
        return (
            self.inflater is not None
            and self.frame.rsv == HW_RSV1
            and self.frame.opcode in (HW_TEXT, HW_BINARY)
        )

    cdef size_t longest(self):
        """Bytes that a message's frames may have. Compressed it may grow, by an eighth and by each flush."""
        cdef size_t size = self.max_message_size
        return size + size // 4 + 64 if self.compressed else size

    cdef bint take(self, const uint8_t *data, size_t size) except -1:
        """Take bytes of a message that is not whole yet. Returns False where it fails."""
        cdef size_t before = buffer_size(&self.payload)
        if not self.compressed:
            buffer_append(&self.payload, data, size)
        elif not self.take_compressed(data, size):
            return False
        data = buffer_start(&self.payload) + before
        size = buffer_size(&self.payload) - before
        if self.opcode == HW_TEXT and hw_utf8_feed(&self.text, data, size) != size:
            self.fail(1007, "text is not UTF-8")
        return not self.ended

    cdef bint take_compressed(self, const uint8_t *data, size_t size) except -1:
        cdef bint last = self.frame.fin and self.received == self.frame.length
        cdef bint within
        if not last and buffer_size(&self.deflated) + size <= GATHERED:
            buffer_append(&self.deflated, data, size)
            return True
        try:
            within = (
                self.inflate(buffer_start(&self.deflated), buffer_size(&self.deflated))
                and self.inflate(data, size)
                and (not last or self.inflater.end(&self.payload, self.max_message_size))
            )
        except self.inflater.backend.error:
            self.fail(1007, "message is not compressed as agreed")
            return False
        buffer_free(&self.deflated)
        if not within:
            self.fail(1009, f"message longer than {self.max_message_size} bytes")
        return within

    cdef bint inflate(self, const uint8_t *data, size_t size) except -1:
        return self.inflater.feed(data, size, &self.payload, self.max_message_size)

    cdef Event finish_message(self, const uint8_t *data, size_t size) except? FAILED:
        """The message is complete: at `data`, or in `payload`, checked, where that is NULL."""
        cdef uint8_t opcode = self.opcode
        self.in_payload = False
        self.opcode = HW_CONTINUATION
        self.frames = self.size = 0
        if data is NULL:
            data = buffer_start(&self.payload)
            size = buffer_size(&self.payload)
            if self.text.missing:
                return self.fail(1007, "text ends inside a character")
        if opcode == HW_TEXT:
            try:
                self.message = PyUnicode_DecodeUTF8(<const char *> data, size, NULL)
            except UnicodeDecodeError:
                return self.fail(1007, "text is not UTF-8")
        else:
            self.message = PyBytes_FromStringAndSize(<const char *> data, size)
        buffer_free(&self.payload)
        return MESSAGE

    cdef Event finish_control(self) except? FAILED:
        self.in_payload = False
        cdef bytes payload = buffer_start(&self.partial)[:buffer_size(&self.partial)]
        buffer_free(&self.partial)
        if self.frame.opcode != HW_CLOSE:
            self.message = payload
            return PING if self.frame.opcode == HW_PING else PONG
        if not payload:
            self.close_code = 1005
            self.close_reason = ""
        elif len(payload) == 1:
            return self.fail(1002, "close frame with half a code")
        else:
            self.close_code = payload[0] << 8 | payload[1]
            if not is_close_code(self.close_code):
                return self.fail(1002, "close code that must not be sent")
            try:
                self.close_reason = payload[2:].decode()
            except UnicodeDecodeError:
                return self.fail(1007, "close reason is not UTF-8")
        self.ended = True
        return CLOSE

    cdef Event fail(self, int code, str reason):
        self.ended = True
        self.close_code = code
        self.close_reason = reason
        buffer_free(&self.payload)
        buffer_free(&self.deflated)
        self.inflater = None
        return FAILED

    def feed(self, bytes data not None):
        """All events that `data` completes, as tuples. What the session does, for tests."""
        cdef bytearray copy = bytearray(data)
        cdef uint8_t *at = <uint8_t *> <char *> copy
        cdef const uint8_t *end = at + len(copy)
        events = []
        while True:
            event = self.next(&at, end)
            if event == NEED_DATA:
                return events
            name = ("", "message", "ping", "pong", "close", "failed")[event]
            if event in (CLOSE, FAILED):
                events.append((name, self.close_code, self.close_reason))
            else:
                events.append((name, self.message))


cdef int append_frame(
    Buffer *out, bint fin, int rsv, int opcode, const uint8_t *payload, size_t size
) except -1:
    """Append a whole, unmasked frame: what a server sends."""
    cdef hw_frame frame
    cdef uint8_t *to = buffer_reserve(out, HW_FRAME_MAX_HEADER + size)
    cdef size_t header
    frame.length = size
    frame.fin = fin
    frame.rsv = rsv
    frame.opcode = opcode
    frame.masked = 0
    header = hw_frame_encode(to, &frame)
    if size:
        memcpy(to + header, payload, size)
    buffer_extend(out, header + size)
    return 0


cdef bint is_close_code(int code) noexcept:
    """Whether a close frame may carry `code` (RFC 6455, section 7.4, and the IANA registry)."""
    return 1000 <= code <= 1003 or 1007 <= code <= 1014 or 3000 <= code <= 4999


# ------------------------------------------------------------------- the same pieces, to try from Python


def encode_frame(int opcode, bytes payload not None, *, bint fin=True, int rsv=0, bytes key=None):
    """One frame as bytes; masked with the 4-byte `key` where one is given (RFC 6455, section 5.2)."""
    cdef hw_frame frame
    cdef uint8_t header[HW_FRAME_MAX_HEADER]
    frame.length = len(payload)
    frame.fin = fin
    frame.rsv = rsv
    frame.opcode = opcode
    frame.masked = key is not None
    if key is not None:
        if len(key) != 4:
            raise ValueError("a masking key has 4 bytes")
        memcpy(frame.key, <const uint8_t *> key, 4)
        payload = mask(payload, key)
    return header[:hw_frame_encode(header, &frame)] + payload


def mask(bytes data not None, bytes key not None, size_t offset=0):
    """`data` masked or unmasked with the 4-byte `key`, from its byte `offset` on (RFC 6455, section 5.3)."""
    if len(key) != 4:
        raise ValueError("a masking key has 4 bytes")
    cdef bytes result = PyBytes_FromStringAndSize(data, len(data))
    if len(data) < 2:   # CPython shares these objects: never change one
        return bytes(byte ^ key[offset % 4] for byte in data)
    hw_mask(<uint8_t *> <char *> result, len(result), key, offset)
    return result


def use_mask_code(str name not None):
    """Run the masking code for "scalar", "sse2", "avx2" or "neon"; False where this machine lacks it."""
    codes = {"scalar": HW_MASK_SCALAR, "sse2": HW_MASK_SSE2, "avx2": HW_MASK_AVX2, "neon": HW_MASK_NEON}
    return hw_mask_use(codes[name])


def valid_utf8_prefix(bytes data not None, *cuts):
    """How many bytes of `data`, fed in pieces cut at `cuts`, stand before the first that can't be UTF-8.

    -1 where all of them can and the text ends inside a character.
    """
    cdef hw_utf8 text
    cdef size_t begin, end, good
    text.missing = 0
    for begin, end in zip((0, *cuts), (*cuts, len(data))):
        good = hw_utf8_feed(&text, <const uint8_t *> data + begin, end - begin)
        if good != end - begin:
            return begin + good
    return -1 if text.missing else len(data)
