"""HTTP/1.1 request heads, without I/O: bytes in, a Request or a BadRequest out."""

from libc.stdint cimport uint8_t, uint32_t

cdef extern from "head.h":
    enum:
        HW_HEAD_TOO_MANY, HW_HEAD_UNSUPPORTED_VERSION

    struct hw_span:
        uint32_t at, size

    struct hw_header:
        hw_span name, value

    struct hw_head:
        hw_span method, target
        int minor
        size_t count
        hw_header *headers
        size_t capacity

    ptrdiff_t hw_head_end(const uint8_t *data, size_t size, size_t *scan) noexcept
    int hw_head_parse(const uint8_t *data, size_t size, hw_head *head) noexcept
    const char *hw_head_error_text(int error) noexcept


cdef class Request:
    cdef readonly bytes head              # as it came, checked
    cdef public bytes body                # None where not all of it came with the head
    cdef readonly str method
    cdef readonly str target
    cdef readonly str path, query         # of the target, not decoded
    cdef str target_host                  # of a target that is a whole URL, or None
    # where the values of these headers are in the head, at 0 where there was none
    cdef hw_span host_header, origin_header, websocket_key, websocket_version
    cdef readonly str subprotocols        # Sec-WebSocket-Protocol, None where there was none
    cdef readonly str extensions          # Sec-WebSocket-Extensions, None where there was none
    cdef readonly int minor_version       # of HTTP/1.x
    cdef readonly bint keep_alive
    cdef readonly bint expects_continue
    cdef readonly bint wants_websocket    # Upgrade names websocket
    cdef readonly bint chunked            # the body comes in chunks
    cdef bint upgrade_listed
    cdef readonly size_t content_length

    cdef bytes header(self, hw_span value)


cdef class RequestParser:
    cdef hw_header *headers
    cdef size_t capacity       # of the table of headers, which one head at a time uses
    cdef size_t max_headers, max_head_size, max_body_size

    cdef size_t find_end(self, const uint8_t *data, size_t size, size_t *scan) except? 0
    cdef Request parse(self, const uint8_t *data, size_t size)
    cdef int make_room(self, size_t capacity) except -1
    cdef int interpret(self, Request request, const uint8_t *data, hw_head *head) except -1
