"""What a MessageWriter writes, read again by the oracle as one client, or as two that share the writer.

Input: how the writer is made, then messages: how each is given, and its content.
"""

from __future__ import annotations

import zlib

from hyperws import UsageError
from hyperws._core.deflate import Deflater
from hyperws._core.message_writer import MessageWriter

from ..core.oracle_websocket import RSV1, Inflating, frames, read
from ..core.pieces import cut
from .source import Source

TAKEOVER, SMALL_WINDOW = 1, 2       # how the writer is made, before its fragment size and threshold
FRAGMENT_SIZES = [1 << 62, 1, 3, 125]
THRESHOLDS = [0, 1, 20, 300]

IN_PIECES, TO_THE_OTHER = 4, 8      # how a message is given, after its form and before `compress`
FORMS = [bytes, bytearray, memoryview, lambda data: data.decode(errors="surrogateescape")]
CHOICES = [None, True, False]

NO_LIMITS = (1 << 62, 1 << 62)


def one_input(data):
    source = Source(data)
    how = source.byte()
    takeover = bool(how & TAKEOVER)
    fragment_size, threshold = FRAGMENT_SIZES[how >> 2 & 3], THRESHOLDS[how >> 4 & 3]
    deflater = Deflater(zlib, 6, 9 if how & SMALL_WINDOW else 15, 8, takeover)
    writer = MessageWriter(fragment_size, deflater, threshold)
    clients = [Inflating(takeover), Inflating(takeover)]
    while source:
        how = source.byte()
        compress = CHOICES[(how >> 4) % 3]
        content = FORMS[how % 4](source.content(256))
        message = iter(cut(content, [source.number(), source.number()])) if how & IN_PIECES else content
        try:
            said, size = expected(content)
        except UnicodeEncodeError:
            refuses(writer, message, compress)
            continue
        client = clients[not takeover and bool(how & TO_THE_OTHER)]
        written = writer.write(message, compress)
        events = read(written, *NO_LIMITS, masked=False, inflating=client)
        assert events == [("message", said)], (events, said)

        (_, rsv, _, payload), *more = frames(written)
        payloads = [payload, *(payload for *_, payload in more)]
        assert max(map(len, payloads)) <= fragment_size
        wanted = size > 0 and (size >= threshold if compress is None else compress)
        if takeover or how & IN_PIECES:
            assert (rsv == RSV1) == wanted
        else:
            # what does not shrink goes out as it is
            assert rsv != RSV1 or (wanted and sum(map(len, payloads)) < size)


def expected(content):
    """(what a message says, its bytes)"""
    return (content, len(content.encode())) if isinstance(content, str) else (bytes(content), len(content))


def refuses(writer, message, compress):
    try:
        writer.write(message, compress)
    except UsageError:
        return
    raise AssertionError("a lone surrogate was let through")
