import re
from base64 import b64encode
from binascii import Error as Base64Error, a2b_base64
from hashlib import sha1
from sys import intern

from hyperws.errors import BadRequest

from cpython.mem cimport PyMem_Free, PyMem_Realloc
from libc.stdint cimport uint8_t

# uri-host [":" port] (RFC 3986, section 3.2), without the comma, by which two may have been joined
cdef str REG_NAME = r"(?:[A-Za-z0-9\-._~!$&'()*+;=]|%[0-9A-Fa-f]{2})"
cdef str IP_LITERAL = r"\[(?:[0-9A-Fa-f:.]+|v[0-9A-Fa-f]+\.[A-Za-z0-9\-._~!$&'()*+;=:]+)\]"
cdef object HOST = re.compile(rf"(?:{IP_LITERAL}|{REG_NAME}*)(?::[0-9]*)?").fullmatch
cdef object ABSOLUTE_TARGET = re.compile(
    rf"(?:https?|wss?)://((?:{IP_LITERAL}|{REG_NAME}+)(?::[0-9]*)?)((?:[/?].*)?)", re.IGNORECASE
).fullmatch

cdef bytes ACCEPT_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"    # RFC 6455, section 1.3


cdef bint is_name(const uint8_t *data, hw_span span, const char *name, size_t size) noexcept:
    """Whether a span is `name`, which is lower case, in any letter case."""
    cdef size_t i
    cdef uint8_t byte
    if span.size != size:
        return False
    for i in range(size):    # i < span.size, which lies in the head
        byte = data[span.at + i]
        if c'A' <= byte <= c'Z':
            byte |= 0x20
        if byte != <uint8_t> name[i]:
            return False
    return True


cdef bytes span_bytes(const uint8_t *data, hw_span span):
    return data[span.at:span.at + span.size]


cdef list tokens(bytes value):
    """The members of a comma-separated list of tokens (RFC 9110, section 5.6.1), in lower case."""
    return [token.strip() for token in value.lower().split(b",")]


cdef size_t parse_length(bytes value) except? 0:
    """Content-Length (RFC 9110, section 8.6)."""
    if not value.isdigit():
        raise BadRequest(400, "Content-Length is not a number")
    if len(value) > 18:
        raise BadRequest(413, "Content-Length is too large")
    return int(value)


def accept_key(bytes key):
    """The Sec-WebSocket-Accept (str) for a Sec-WebSocket-Key (RFC 6455, section 4.2.2)."""
    return b64encode(sha1(key + ACCEPT_GUID).digest()).decode()


cdef class Request:
    """One request head, and what HTTP itself means by it."""

    def upgrade_refusal(self):
        """Why this can't be upgraded to WebSocket (RFC 6455, section 4.2.1): (status, text), or None."""
        if self.method != "GET":
            return 400, "a WebSocket handshake is a GET request"
        if self.minor_version < 1:
            return 400, "a WebSocket handshake needs HTTP/1.1"
        if not self.upgrade_listed:
            return 400, "a WebSocket handshake needs 'Connection: Upgrade'"
        if self.content_length or self.chunked:
            return 400, "a WebSocket handshake has no body"
        if not self.websocket_version.at:
            return 400, "a WebSocket handshake needs 'Sec-WebSocket-Version: 13'"
        if self.header(self.websocket_version) != b"13":
            return 426, "this server speaks WebSocket version 13 (RFC 6455): send 'Sec-WebSocket-Version: 13'"
        if not self.websocket_key.at or not is_key(self.header(self.websocket_key)):
            return 400, "a WebSocket handshake needs a Sec-WebSocket-Key of 16 bytes in Base64"
        return None

    @property
    def accept_key(self):
        return accept_key(self.header(self.websocket_key))

    @property
    def host(self):
        """The host and port that are asked for (str), None where none was told (HTTP/1.0)."""
        if self.target_host is not None:
            return self.target_host     # it wins over the header (RFC 9112, section 3.2.2)
        return self.header(self.host_header).decode("latin-1") if self.host_header.at else None

    @property
    def origin(self):
        """The Origin header (str), None where there was none."""
        return self.header(self.origin_header).decode("latin-1") if self.origin_header.at else None

    cdef bytes header(self, hw_span value):
        return self.head[value.at:value.at + value.size]

    def header_lines(self):
        """The headers in their order, as (name, value) pairs of bytes."""
        for line in self.head.split(b"\r\n")[1:-2]:
            name, _, value = line.partition(b":")
            yield name, value.strip(b" \t")


cdef tuple split_target(str method, str target):
    """(host and port or None, path, query) of a request target (RFC 9112, section 3.2)."""
    host = None
    if method == "CONNECT":
        # a parser in front may take what follows for the inside of a tunnel
        raise BadRequest(400, "CONNECT asks a proxy for a tunnel, and this server is none")
    if target[0] != "/" and not (target == "*" and method == "OPTIONS"):
        match = ABSOLUTE_TARGET(target)
        if not match:
            raise BadRequest(400, "the request target is neither a path nor an http:// URL")
        host, target = match.groups()
        if not target.startswith("/"):
            target = "/" + target
    path, _, query = target.partition("?")
    return host, path, query


cdef bint is_key(bytes key):
    try:
        return len(key) == 24 and len(a2b_base64(key, strict_mode=True)) == 16
    except Base64Error:
        return False


cdef class RequestParser:
    """Parses heads of at most `max_head_size` bytes and `max_headers` headers."""

    def __cinit__(self, size_t max_head_size, size_t max_headers, size_t max_body_size):
        self.max_head_size = min(max_head_size, <size_t> 0x7FFFFFFF)    # positions fit in 32 bits
        self.max_body_size = max_body_size
        self.max_headers = max_headers

    def __dealloc__(self):
        PyMem_Free(self.headers)

    cdef size_t find_end(self, const uint8_t *data, size_t size, size_t *scan) except? 0:
        """The length of the head that `data` starts with, 0 where more is needed. `scan` starts as 0."""
        cdef ptrdiff_t end = hw_head_end(data, size, scan)
        if end < 0:
            raise BadRequest(400, hw_head_error_text(<int> end).decode())
        if (<size_t> end if end else size) > self.max_head_size:
            raise BadRequest(431, f"the request head is longer than {self.max_head_size} bytes")
        return <size_t> end

    cdef Request parse(self, const uint8_t *data, size_t size):
        """The request whose head is the `size` bytes at `data`, as found by `find_end`."""
        cdef hw_head head
        cdef Request request
        cdef int error
        self.make_room(min(self.max_headers, size // 4 + 1))    # "a:\r\n" is the shortest header
        head.headers = self.headers
        head.capacity = min(self.max_headers, self.capacity)
        error = hw_head_parse(data, size, &head)
        if error:
            status = {HW_HEAD_TOO_MANY: 431, HW_HEAD_UNSUPPORTED_VERSION: 505}.get(error, 400)
            raise BadRequest(status, hw_head_error_text(error).decode())
        request = Request.__new__(Request)
        request.head = data[:size]
        request.method = intern(span_bytes(data, head.method).decode("ascii"))
        request.target = span_bytes(data, head.target).decode("ascii")
        request.target_host, request.path, request.query = split_target(request.method, request.target)
        request.minor_version = min(head.minor, 1)
        self.interpret(request, data, &head)
        return request

    cdef int make_room(self, size_t capacity) except -1:
        cdef void *headers
        if capacity > self.capacity:
            headers = PyMem_Realloc(self.headers, capacity * sizeof(hw_header))
            if headers is NULL:
                raise MemoryError
            self.headers = <hw_header *> headers
            self.capacity = capacity
        return 0

    cdef int interpret(self, Request request, const uint8_t *data, hw_head *head) except -1:
        """Fill in what the headers say of framing, of the connection and of an upgrade."""
        cdef size_t i
        cdef hw_span name
        cdef bint close = False, keep_alive = False
        cdef bytes value, length = None, coding = None
        for i in range(head.count):
            name = head.headers[i].name
            if is_name(data, name, b"host", 4):
                once(request.host_header.at, "Host")
                request.host_header = head.headers[i].value
                if not HOST(span_bytes(data, request.host_header).decode("latin-1")):
                    raise BadRequest(400, "the Host header is not a host and a port")
            elif is_name(data, name, b"connection", 10):
                for value in tokens(span_bytes(data, head.headers[i].value)):
                    close |= value == b"close"
                    keep_alive |= value == b"keep-alive"
                    request.upgrade_listed |= value == b"upgrade"
            elif is_name(data, name, b"upgrade", 7):
                request.wants_websocket |= b"websocket" in tokens(span_bytes(data, head.headers[i].value))
            elif is_name(data, name, b"content-length", 14):
                once(length is not None, "Content-Length")
                length = span_bytes(data, head.headers[i].value)
                request.content_length = parse_length(length)
            elif is_name(data, name, b"transfer-encoding", 17):
                once(coding is not None, "Transfer-Encoding")
                coding = span_bytes(data, head.headers[i].value).lower()
            elif is_name(data, name, b"origin", 6):
                once(request.origin_header.at, "Origin")
                request.origin_header = head.headers[i].value
            elif is_name(data, name, b"sec-websocket-key", 17):
                once(request.websocket_key.at, "Sec-WebSocket-Key")
                request.websocket_key = head.headers[i].value
            elif is_name(data, name, b"sec-websocket-version", 21):
                once(request.websocket_version.at, "Sec-WebSocket-Version")
                request.websocket_version = head.headers[i].value
            elif is_name(data, name, b"sec-websocket-protocol", 22):
                request.subprotocols = joined(request.subprotocols, span_bytes(data, head.headers[i].value))
            elif is_name(data, name, b"sec-websocket-extensions", 24):
                request.extensions = joined(request.extensions, span_bytes(data, head.headers[i].value))
            elif is_name(data, name, b"expect", 6):
                if span_bytes(data, head.headers[i].value).lower() != b"100-continue":
                    raise BadRequest(417, "the only expectation that can be met is 100-continue")
                request.expects_continue = request.minor_version == 1
        if not request.host_header.at and request.minor_version == 1:
            raise BadRequest(400, "an HTTP/1.1 request needs a Host header")
        if coding is not None:
            if length is not None:
                raise BadRequest(400, "a request has either Content-Length or Transfer-Encoding")
            if request.minor_version == 0:
                raise BadRequest(400, "HTTP/1.0 has no Transfer-Encoding")
            if coding != b"chunked":
                raise BadRequest(501, "the only transfer coding that is known is chunked")
            request.chunked = True
        if request.content_length > self.max_body_size:
            raise BadRequest(413, f"the request body is longer than {self.max_body_size} bytes")
        request.keep_alive = not close and (request.minor_version == 1 or keep_alive)
        return 0

    def feed(self, const uint8_t[::1] data):
        """The Request that starts `data` and its length, or None. What the sessions do, for tests."""
        cdef size_t scan = 0
        cdef size_t end = self.find_end(&data[0], data.shape[0], &scan) if data.shape[0] else 0
        return (self.parse(&data[0], end), end) if end else None


cdef int once(bint seen, str name) except -1:
    if seen:
        raise BadRequest(400, f"more than one {name} header")
    return 0


cdef str joined(str before, bytes value):
    """The values of a header that may come several times (RFC 9110, section 5.3)."""
    return value.decode("latin-1") if before is None else f"{before}, {value.decode('latin-1')}"
