from collections.abc import Iterator

from hyperws.errors import UsageError

cimport cython
from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from libc.stdint cimport uint8_t

from hyperws._core.buffer cimport (
    Buffer, buffer_free, buffer_reserve, buffer_size, buffer_start,
)
from hyperws._core.deflate cimport Deflater
from hyperws._core.topics cimport Writer
from hyperws._core.websocket cimport (
    HW_BINARY, HW_CONTINUATION, HW_FRAME_MAX_HEADER, HW_RSV1, HW_TEXT, append_frame,
)

cdef extern from "Python.h":
    const char *PyUnicode_AsUTF8AndSize(object, Py_ssize_t *) except NULL


@cython.final
cdef class MessageWriter(Writer):
    """One for all connections that are to get the same bytes for the same message."""

    def __init__(self, size_t fragment_size, Deflater deflater=None, size_t threshold=0):
        self.fragment_size = fragment_size
        self.deflater = deflater
        self.threshold = threshold

    cdef bint is_shared(self):
        return self.deflater is None or not self.deflater.takeover

    cdef int append(self, Buffer *out, object message, object compress) except -1:
        """Append the frames of what `checked_message` has returned.

        `compress`: None to let the threshold decide.
        """
        cdef Py_ssize_t size
        cdef const char *text
        cdef Py_buffer view
        if type(message) is bytes:
            return self.append_data(
                out, HW_BINARY, <const uint8_t *> message, len(<bytes> message), compress
            )
        if isinstance(message, str):
            text = PyUnicode_AsUTF8AndSize(message, &size)
            return self.append_data(out, HW_TEXT, <const uint8_t *> text, size, compress)
        if type(message) is Pieces:
            return self.append_pieces(out, message, compress)
        PyObject_GetBuffer(message, &view, PyBUF_SIMPLE)
        try:
            return self.append_data(out, HW_BINARY, <const uint8_t *> view.buf, view.len, compress)
        finally:
            PyBuffer_Release(&view)

    cdef int append_data(
        self, Buffer *out, int opcode, const uint8_t *data, size_t size, object compress
    ) except -1:
        cdef bytes deflated
        if self.deflater is None and size <= self.fragment_size:
            return append_frame(out, True, 0, opcode, data, size)   # the usual case, and the shortest way
        if self.deflater is not None and self.compresses(size, compress):
            deflated = self.deflater.deflate(data[:size], True)
            # what grew goes out as it was, unless later messages may refer to it
            if <size_t> len(deflated) < size or self.deflater.takeover:
                return self.append_frames(out, True, HW_RSV1, opcode, deflated, len(deflated))
        return self.append_frames(out, True, 0, opcode, data, size)

    cdef int append_pieces(self, Buffer *out, Pieces message, object compress) except -1:
        cdef int opcode = message.opcode
        cdef list parts = message.parts
        cdef bytes part
        cdef int rsv = 0
        last = len(parts) - 1
        buffer_reserve(out, message.size + len(parts) * HW_FRAME_MAX_HEADER)
        if self.deflater is not None and self.compresses(message.size, compress):
            rsv = HW_RSV1
            parts = [self.deflater.deflate(part, at == last) for at, part in enumerate(parts)]
        for at, part in enumerate(parts):
            self.append_frames(out, at == last, rsv, opcode, part, len(part))
            opcode = HW_CONTINUATION
            rsv = 0
        return 0

    cdef int append_frames(
        self, Buffer *out, bint fin, int rsv, int opcode, const uint8_t *data, size_t size
    ) except -1:
        """Append so many bytes of a message, in as many frames as they need (RFC 6455, section 5.4)."""
        cdef size_t piece
        if size > self.fragment_size:   # all the memory first: half a message must not stay behind
            buffer_reserve(out, size + (size // self.fragment_size + 1) * HW_FRAME_MAX_HEADER)
        while size > self.fragment_size:
            piece = self.fragment_size
            append_frame(out, False, rsv, opcode, data, piece)
            data += piece
            size -= piece
            opcode = HW_CONTINUATION
            rsv = 0
        return append_frame(out, fin, rsv, opcode, data, size)

    cdef bint compresses(self, size_t size, object compress) except -1:
        return size > 0 and (size >= self.threshold if compress is None else compress)

    cdef object write_shared(self, object message, object compress, object id):
        """The frames of what `checked_message` has returned."""
        cdef Buffer out = Buffer(NULL)
        try:
            self.append(&out, message, compress)
            return buffer_start(&out)[:buffer_size(&out)]
        finally:
            buffer_free(&out)

    def write(self, message, compress=None):
        """The frames of a message. What the sessions do, for tests."""
        return self.write_shared(checked_message(message), compress, None)


@cython.final
cdef class Pieces:
    """A message that the application has cut into frames."""

    def __init__(self, pieces):
        cdef bint is_text
        if not pieces:
            raise UsageError("a message in pieces has at least one: send '' or b'' for an empty message")
        is_text = isinstance(pieces[0], str)
        self.opcode = HW_TEXT if is_text else HW_BINARY
        self.parts = []
        for piece in pieces:
            if isinstance(piece, str) != is_text:
                raise UsageError("the pieces of one message are all str or all bytes-like")
            # a str of the application's own class may encode itself in its own way
            part = (<str> checked_message(piece)).encode() if is_text else bytes(viewed(piece))
            if part:
                self.parts.append(part)
                self.size += len(part)
        if not self.parts:
            self.parts.append(b"")

    cdef object joined(self):
        """The message as one str or bytes."""
        cdef bytes whole = b"".join(self.parts)
        return whole.decode() if self.opcode == HW_TEXT else whole


cpdef object checked_message(object message):
    """`message` in a form that a MessageWriter takes. Whatever code of the application it may need runs here.

    Raises UsageError for what is no message.
    """
    cdef Py_ssize_t size
    if type(message) is bytes:
        return message
    if isinstance(message, str):
        try:
            PyUnicode_AsUTF8AndSize(message, &size)
        except UnicodeEncodeError:
            raise not_utf8() from None
        return message
    if isinstance(message, (list, tuple, Iterator)):
        return Pieces(list(message))
    return viewed(message)


cpdef object lasting(object message):
    """What `checked_message` has returned, as a str or bytes that nobody changes any more."""
    if type(message) is Pieces:
        return (<Pieces> message).joined()
    return message if isinstance(message, str) else bytes(message)


cdef object viewed(object message):
    try:
        view = memoryview(message)
    except TypeError:
        pass
    else:
        if view.c_contiguous:
            return view
    if hasattr(message, "__await__"):
        fix = "await it first"
    else:
        fix = "collect its pieces first" if hasattr(message, "__aiter__") else "serialise it first"
    raise UsageError(f"a message is a str or bytes-like, not {type(message).__name__}: {fix}")


cdef object not_utf8():
    """The error for text that has no UTF-8."""
    return UsageError("text with a lone surrogate has no UTF-8: encode it with errors='replace' first")
