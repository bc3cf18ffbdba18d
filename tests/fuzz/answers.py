"""Reads what a server sent: responses (RFC 9112), then the frames after a handshake (RFC 6455)."""

from __future__ import annotations

import re

from ..core import oracle_chunked, oracle_http
from ..core.oracle_websocket import CLOSE, Inflating, frames, read

HEAD = re.compile(
    rb"HTTP/1\.1 ([1-5][0-9][0-9]) [\t -~]*\r\n((?:[!#$%&'*+\-.^_`|~0-9A-Za-z]+: [\t -~\x80-\xff]*\r\n)*)\r\n"
)
CHUNK = re.compile(rb"([0-9a-f]+)\r\n")
NO_LIMITS = (1 << 62, 1 << 62)


class Incomplete(Exception):
    """The bytes end where more have to come."""


def read_requests(stream, max_head_size, max_headers, max_body_size):
    """(heads, rest): the requests in `stream`, of which the last may lack some of its body, and what follows
    if it is a handshake."""
    heads = []
    while True:
        while stream.startswith(b"\r\n"):
            stream = stream[2:]
        try:
            found = oracle_http.parse(stream, max_head_size, max_headers, max_body_size)
        except oracle_http.Refused:
            return heads, None
        if found is None:
            return heads, None
        head, size = found
        stream = stream[size:]
        if head.wants_websocket:
            return [*heads, head], stream
        heads.append(head)
        if any(name.lower() == b"transfer-encoding" for name, _ in head.headers):
            try:
                body = oracle_chunked.decode(stream)
            except oracle_chunked.Refused:
                return heads, None
            if not body.is_done or len(body.payload) > max_body_size:
                return heads, None
            stream = stream[body.size :]
        elif len(stream) < head.content_length:
            return heads, None
        else:
            stream = stream[head.content_length :]


def read_responses(data, heads):
    """(fields, rest): those of the 101 that the answers to `heads` end in, and what follows, or None."""
    statuses = []
    closed = False
    try:
        while data:
            assert not closed, "a response follows one that says close"
            match = HEAD.match(data)
            if not match:
                # the beginning of one, which was cut off
                assert b"\r\n\r\n" not in data
                assert data.startswith(b"HTTP/1.1 "[: len(data)])
                break
            status, lines = int(match[1]), match[2].lower().split(b"\r\n")[:-1]
            fields = dict(line.split(b": ", 1) for line in lines)
            assert len(fields) == len(lines), "a header comes twice"
            data = data[match.end() :]
            if status == 100:
                continue
            head = heads[len(statuses)] if len(statuses) < len(heads) else None
            statuses.append(status)
            if status == 101:
                assert head.wants_websocket
                assert not head.upgrade_refusals
                return {name.decode(): value.decode("latin-1") for name, value in fields.items()}, data
            assert status >= 200
            data = skip_body(data, status, fields, head)
            closed = fields.get(b"connection") == b"close"
    except Incomplete:
        pass
    assert len(statuses) <= len(heads) + 1, "more answers than there were requests"
    return None, None


def skip_body(data, status, fields, head):
    came_late = status == 408 and data      # so that the server knew no method when it gave up
    if status in (204, 304) or (head is not None and head.method == "HEAD" and not came_late):
        return data
    if b"content-length" in fields:
        assert b"transfer-encoding" not in fields
        return skip(data, int(fields[b"content-length"]))
    if b"transfer-encoding" not in fields:
        assert fields[b"connection"] == b"close"
        return b""
    assert fields[b"transfer-encoding"] == b"chunked"
    while True:
        match = CHUNK.match(data)
        if not match:
            assert len(data) < 10
            raise Incomplete
        size = int(match[1], 16)
        data = skip(data[match.end() :], size)
        assert data[:2] == b"\r\n"[: len(data)]
        data = skip(data, 2)
        if not size:
            return data


def skip(data, size):
    if len(data) < size:
        raise Incomplete
    return data[size:]


def read_frames(data, parameters):
    """The events of a server's frames, which have to be whole, but for the last if it was cut off.

    `parameters` are those of permessage-deflate, None where the answer did not agree on it.
    """
    inflating = None
    if parameters is not None:
        inflating = Inflating("server_no_context_takeover" not in parameters)
    events = read(data, *NO_LIMITS, masked=False, inflating=inflating)
    assert "failed" not in [event[0] for event in events], events
    opcodes = [opcode for _, _, opcode, _ in frames(data)]
    assert CLOSE not in opcodes[:-1], "something follows the close frame"
    return events
