import re

from hyperws.errors import UsageError

cimport cython

from hyperws._core.message_writer cimport Pieces, not_utf8
from hyperws._core.topics cimport Writer

cdef object LINE_END = re.compile(rb"\r\n|\r|\n")       # just these end a line of an event stream
cdef bytes COMMENT = b":\n\n"


def encode_event(data, event=None, id=None, retry=None):
    """One event of a stream (HTML, section 9.2.6) as bytes. Raises UsageError for what none can have."""
    cdef list lines = []
    if event is not None:
        lines.append(b"event: " + field("event", event))
    if id is not None:
        lines.append(b"id: " + field("id", id))
    if retry is not None:
        if type(retry) is not int or retry < 0:
            raise UsageError(f"retry takes a whole number of milliseconds, not {retry!r}")
        lines.append(b"retry: %d" % retry)
    if data is not None:
        if not isinstance(data, str):
            raise UsageError(f"the data of an event is a str, not {type(data).__name__}: serialise it first")
        lines += [b"data: " + line for line in LINE_END.split(utf8(data))]
    return b"\n".join(lines) + b"\n\n"


cdef bytes field(str name, object value):
    if not isinstance(value, str) or "\n" in value or "\r" in value or "\0" in value:
        raise UsageError(f"{name} takes a str in one line, not {value!r}")
    return utf8(value)


cdef bytes utf8(str text):
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise not_utf8() from None


@cython.final
cdef class EventWriter(Writer):
    def __cinit__(self, bint chunked):
        self.chunked = chunked
        self.end = b"0\r\n\r\n" if chunked else b""

    cdef bytes frame(self, bytes event):
        return b"%x\r\n%b\r\n" % (len(event), event) if self.chunked else event

    cdef object write_shared(self, object message, object compress, object id):
        """The message as the data of an event. Bytes that are no text reach no event stream."""
        try:
            if type(message) is Pieces:
                text = b"".join((<Pieces> message).parts).decode()
            else:
                text = message if isinstance(message, str) else bytes(message).decode()
        except UnicodeDecodeError:
            return None
        return self.frame(encode_event(text, id=id))


cdef EventWriter CHUNKED_EVENTS = EventWriter(True)
cdef EventWriter PLAIN_EVENTS = EventWriter(False)
