"""The frame reader against the oracle and against wsproto, on the same bytes in the same pieces.

Input: how to read the rest, two cuts, then the stream: raw, or frames as `Source.frame` has them.
"""

from __future__ import annotations

import re

from wsproto.frame_protocol import FrameProtocol, Opcode, ParseFailed

from hyperws._core.websocket import FrameReader

from ..core.oracle_websocket import LONGEST_HEADER, read
from .source import Source

DESCRIBED, UNLIMITED = 1, 2     # how to read the rest

LIMITS = (130, 6)               # bytes and frames of a message
NO_LIMITS = (1 << 62, 1 << 62)

CONTROL = {Opcode.PING: "ping", Opcode.PONG: "pong"}


class Ours:
    def __init__(self, limits):
        self.reader = FrameReader(*limits)
        self.events = []

    def feed(self, data):
        found = self.reader.feed(data)
        self.events += [event[:2] if event[0] == "failed" else event for event in found]


class Theirs:
    def __init__(self):
        self.protocol = FrameProtocol(client=False, extensions=[])
        self.events = []
        self.parts = []
        self.complaint = None

    def feed(self, data):
        if self.complaint:
            return
        self.protocol.receive_bytes(data)
        try:
            for frame in self.protocol.received_frames():
                self.take(frame)
        except ParseFailed as error:
            self.complaint = str(error)
            self.events.append(("failed", int(error.code)))

    def undecided(self):
        """The bytes at the end of a text so far that wsproto takes for the beginning of a character."""
        decoder = self.protocol._message_decoder.decoder
        return decoder.getstate()[0] if decoder else b""

    def take(self, frame):
        if frame.opcode is Opcode.CLOSE:
            code, reason = frame.payload
            self.events.append(("close", int(code), reason))
        elif frame.opcode in CONTROL:
            self.events.append((CONTROL[frame.opcode], frame.payload))
        else:
            self.parts.append(frame.payload)
            if frame.message_finished:
                self.events.append(("message", type(frame.payload)().join(self.parts)))
                self.parts = []


def one_input(data):
    source = Source(data)
    how = source.byte()
    limits = NO_LIMITS if how & UNLIMITED else LIMITS
    cut = source.cuts()
    stream = source.rest()
    if how & DESCRIBED:
        source = Source(stream)
        stream = b""
        while source:
            stream += source.frame()

    ours, theirs = Ours(limits), Theirs()
    for piece in cut(stream):
        ours.feed(piece)
        theirs.feed(piece)
    agree_with_oracle(ours.events, stream, limits)
    agree_with_wsproto(ours, theirs)


def agree_with_oracle(events, stream, limits):
    known = read(stream, *limits)
    if events != known:
        # a header may be refused by its first bytes already
        soon = read(stream + bytes(LONGEST_HEADER), *limits)
        assert events == [*known, ("failed", 1002)] == soon[: len(known) + 1], (events, known)


def agree_with_wsproto(ours, theirs):
    """All that the two may differ in."""
    mine, other = ours.events, theirs.events
    if mine == other:
        return
    last = mine[-1] if mine else None
    if last in (("failed", 1009), ("failed", 1008)):
        # RFC 6455, section 10.4: limits are the implementation's to choose, and wsproto's frames have none
        assert other[: len(mine) - 1] == mine[:-1]
        return
    if theirs.complaint == "CLOSE with unknown reserved code":
        # section 7.4.2: 1014 is registered with IANA since; a reason that is not UTF-8 may follow it
        assert last[:2] in (("close", 1014), ("failed", 1007))
        assert other == [*mine[:-1], ("failed", 1002)]
        return
    if last == ("failed", 1007) and re.fullmatch(b"\xed[\xa0-\xbf]", theirs.undecided()):
        # section 8.1: half a surrogate will never be UTF-8, which CPython's decoder says at the third byte
        assert other == mine[:-1]
        return
    # section 5.2: a header that breaks a rule may be refused by its first bytes or when it is complete
    assert other == [*mine, ("failed", 1002)] or mine == [*other, ("failed", 1002)], (mine, other)
    (theirs if len(other) < len(mine) else ours).feed(bytes(LONGEST_HEADER))
    assert mine == other
