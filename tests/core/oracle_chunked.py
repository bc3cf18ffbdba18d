"""Bodies in chunks, slowly, from RFC 9112, section 7.1, at its strictest.

Where the RFC leaves a choice, this is what hyperws chose: a size has at most 15 digits; there is no white
space around it or in its extensions; and of extensions and trailer there are at most 8192 bytes, where each
byte of payload behind takes one off.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

MOST_EXTRAS = 8192

TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
QUOTED = rb'"(?:[\t !#-\[\]-~\x80-\xff]|\\[\t -~\x80-\xff])*"'
CHUNK_LINE = re.compile(rb"([0-9A-Fa-f]{1,15})((?:;%b(?:=(?:%b|%b))?)*)\r\n" % (TOKEN, TOKEN, QUOTED))
FIELD_LINE = re.compile(rb"%b:[\t -~\x80-\xff]*\r\n|\r\n" % TOKEN)
DATA_END = re.compile(rb"\r\n")

# one of these completes whatever line is cut
ENDINGS = [b"\n", b"\r\n", b"0\r\n", b"a\r\n", b":\r\n", b'"\r\n', b'a"\r\n']


class Refused(Exception):
    """No body starts like this."""


@dataclass
class Body:
    payload: bytes
    size: int       # how many bytes of the input belong to it
    is_done: bool


def decode(data):
    """The body, or the beginning of one, that `data` starts with."""
    payload = b""
    extras = position = 0
    while True:
        line, position = read_line(data, position, CHUNK_LINE)
        # what is behind the semicolon, and the CR
        extras = add(extras, len(line.partition(b";")[2].rstrip(b"\n")))
        if not line.endswith(b"\n"):
            return Body(payload, position, False)
        size = int(re.match(rb"[^;\r]*", line)[0], 16)
        if not size:
            break
        extras = max(extras - size, 0)
        payload += data[position:position + size]
        position = min(position + size, len(data))
        line, position = read_line(data, position, DATA_END)
        if line != b"\r\n":
            return Body(payload, position, False)
    while line != b"\r\n":
        line, position = read_line(data, position, FIELD_LINE)
        extras = add(extras, len(line))
        if not line.endswith(b"\n"):
            return Body(payload, position, False)
    return Body(payload, position, True)


def read_line(data, position, pattern):
    """The line that starts at `position`, or what there is of it, and the position behind it."""
    end = data.find(b"\n", position) + 1 or len(data)
    line = data[position:end]
    endings = [b""] if line.endswith(b"\n") else ENDINGS
    if not any(pattern.fullmatch(line + ending) for ending in endings):
        raise Refused
    return line, end


def add(extras, more):
    if extras + more > MOST_EXTRAS:
        raise Refused
    return extras + more
