"""RFC 6455, section 5, slowly; and with an `Inflating`, RFC 7692, section 7.2, for short messages.

`read` gives the events of all that a peer has sent so far, and `write` what a peer sends. A failure is
("failed", code): what is said of it besides is free.
"""

from __future__ import annotations

import zlib
from contextlib import suppress
from math import inf

from .oracle_utf8 import is_text, may_become_text

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA

OPCODES = (CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG)
CLOSE_CODES = {*range(1000, 1004), *range(1007, 1015), *range(3000, 5000)}  # section 7.4, and the registry

LONGEST_HEADER = 14
RSV1 = 4


class Failed(Exception):
    """The connection must fail, with this close code."""

    def __init__(self, code):
        self.code = code


class Inflating:
    """What a peer has compressed, inflated from its very beginning each time."""

    TAIL = b"\x00\x00\xff\xff"

    def __init__(self, takeover=True, *, eager=False, longest=inf):
        self.takeover = takeover
        self.eager = eager      # whether a message is looked at before it is whole
        self.longest = longest  # what gets longer before it is wrong is too long
        self.past = b""

    def inflate(self, payload, whole):
        """What the next message says, as far as it is looked at, whose frames have this payload."""
        if not whole and not self.eager:
            return b""
        before, _ = inflate_all(self.past)
        if whole:
            payload += self.TAIL
        content, wrong = inflate_all(self.past + payload)
        content = content[len(before) :]
        if wrong:
            raise Failed(1009 if len(content) > self.longest else 1007)
        if whole and self.takeover:
            self.past += payload
        return content


def inflate_all(data):
    """(content, whether what follows it is wrong)"""
    content = b""
    while data:
        stream = zlib.decompressobj(-15)
        try:
            content += stream.decompress(data)
        except zlib.error:
            return content + beginning(data), True
        data = stream.unused_data
    return content, False


def beginning(data):
    """What `data` says before it is wrong."""
    stream = zlib.decompressobj(-15)
    content = b""
    with suppress(zlib.error):
        for byte in data:
            content += stream.decompress(bytes([byte]))
    return content


def unmask(payload, key):
    if not key:
        return payload
    keys = (key * (len(payload) // 4 + 1))[: len(payload)]
    return (int.from_bytes(payload) ^ int.from_bytes(keys)).to_bytes(len(payload))


def write(opcode, payload, *, fin=True, rsv=0, key=None, length=None, extended=None):
    """One frame. It may lie about its `length`, and write it in so many `extended` bytes."""
    length = len(payload) if length is None else length
    if extended is None:
        extended = 0 if length <= 125 else 2 if length <= 0xFFFF else 8
    first = fin << 7 | rsv << 4 | opcode
    second = (key is not None) << 7 | {0: length, 2: 126, 8: 127}[extended]
    header = bytes([first, second]) + (length.to_bytes(extended) if extended else b"")
    return header + (key or b"") + unmask(payload, key)


def frames(data):
    """(fin, rsv, opcode, payload) of each unmasked frame, of which the last may be cut off."""
    found = []
    while data:
        size, start = int.from_bytes(data[1:2]), 2
        if size >= 126:
            start = 4 if size == 126 else 10
            size = int.from_bytes(data[2:start])
        found.append((data[0] >> 7, data[0] >> 4 & 7, data[0] & 15, data[start : start + size]))
        data = data[start + size :]
    return found


def read(data, max_message_size, max_message_frames, masked=True, inflating=None):
    """The events of `data`: all of them that its bytes decide."""
    events = []
    try:
        for event in read_events(data, max_message_size, max_message_frames, masked, inflating):
            events.append(event)
    except Failed as failure:
        events.append(("failed", failure.code))
    return events


def read_events(data, max_message_size, max_message_frames, masked, inflating):
    message = None  # its opcode, whether it is compressed, its payload and number of frames so far
    while len(data) >= 2:
        fin, rsv, opcode = data[0] >> 7, data[0] >> 4 & 7, data[0] & 15
        has_key, length = data[1] >> 7, data[1] & 127
        extended = {126: 2, 127: 8}.get(length, 0)
        start = 2 + extended + 4 * has_key
        if len(data) < start:
            return
        if extended:
            length = int.from_bytes(data[2 : 2 + extended])
            if length < {2: 126, 8: 65536}[extended] or length >= 2**63:
                raise Failed(1002)
        marked = rsv == RSV1 and inflating is not None and opcode in (TEXT, BINARY)
        if (rsv and not marked) or has_key != masked or opcode not in OPCODES:
            raise Failed(1002)
        arrived = data[start : start + length]
        complete = len(arrived) == length
        payload = unmask(arrived, data[start - 4 : start] if has_key else None)
        data = data[start + length :]

        if opcode >= CLOSE:
            if not fin or length > 125:
                raise Failed(1002)
            if not complete:
                return
            if opcode == CLOSE:
                yield read_close(payload)
                return
            yield "ping" if opcode == PING else "pong", payload
            continue

        if (opcode == CONTINUATION) == (message is None):
            raise Failed(1002)
        kind, compressed, content, frames = message or (opcode, marked, b"", 0)
        # what can't be compressed may grow by an eighth
        longest = max_message_size + max_message_size // 4 + 64 if compressed else max_message_size
        if len(content) + length > longest:
            raise Failed(1009)
        if frames + 1 > max_message_frames:
            raise Failed(1008)
        content += payload
        whole = complete and fin
        said = inflating.inflate(content, whole) if compressed else content
        if len(said) > max_message_size:
            raise Failed(1009)
        if kind == TEXT:
            text = decode(said, final=whole)
        if not complete:
            return
        message = (kind, compressed, content, frames + 1)
        if fin:
            yield "message", text if kind == TEXT else said
            message = None


def read_close(payload):
    if not payload:
        return "close", 1005, ""
    code = int.from_bytes(payload[:2])
    if len(payload) == 1 or code not in CLOSE_CODES:
        raise Failed(1002)
    return "close", code, decode(payload[2:], final=True)


def decode(content, final):
    """The text of `content`, which may end inside a character unless it is `final`."""
    if not (is_text if final else may_become_text)(content):
        raise Failed(1007)
    return content.decode(errors="ignore")
