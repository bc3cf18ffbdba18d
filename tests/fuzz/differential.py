"""The frame reader against the oracle and against wsproto, on the same bytes in the same pieces.

Input: how to read the rest, two cuts, then the stream: raw, or frames as `Source.frame` has them, and where
messages may be compressed, before each a byte that says whether it is a message as `Sender.message` has it.
"""

from __future__ import annotations

import re
import zlib

from wsproto.extensions import PerMessageDeflate
from wsproto.frame_protocol import FrameProtocol, Opcode, ParseFailed

from hyperws._core.deflate import Inflater
from hyperws._core.websocket import FrameReader

from ..core.oracle_websocket import LONGEST_HEADER, Inflating, read
from .compressed import Sender
from .source import Source

DESCRIBED, UNLIMITED, COMPRESSED, TAKEOVER = 1, 2, 4, 8     # how to read the rest

LIMITS = (130, 6)               # bytes and frames of a message
NO_LIMITS = (1 << 62, 1 << 62)
GATHERED = 65536                # bytes of a compressed message that may wait for its end

CONTROL = {Opcode.PING: "ping", Opcode.PONG: "pong"}


class Deflate(PerMessageDeflate):
    """Notices where wsproto does not go on with the stream that it inflates."""

    lost = False

    def __init__(self, takeover):
        super().__init__(client_no_context_takeover=not takeover)
        self.finalize("")

    def frame_inbound_complete(self, proto, fin):
        # RFC 7692, section 6.1: a control frame between the fragments of a compressed message has wsproto
        # take those that follow for uncompressed ones
        self.lost = self.lost or (fin and self._inbound_compressed and not self._inbound_is_compressible)
        stream = self._decompressor
        found = super().frame_inbound_complete(proto, fin)
        self.look(stream)
        return found

    def look(self, stream):
        # section 7.2.3.4: what follows a block that says it is the last is left unread by wsproto
        self.lost = self.lost or (stream is not None and stream.eof)


class Theirs:
    def __init__(self, deflate):
        self.deflate = deflate
        self.protocol = FrameProtocol(client=False, extensions=[deflate] if deflate else [])
        self.events = []
        self.parts = []
        self.complaint = None
        self.comparable = None      # how many events are, where not all of them

    def feed(self, data):
        if self.complaint:
            return
        self.protocol.receive_bytes(data)
        try:
            for frame in self.protocol.received_frames():
                self.look()
                self.take(frame)
        except ParseFailed as error:
            self.look()
            self.complaint = str(error)
            self.events.append(("failed", int(error.code)))

    def look(self):
        if self.deflate and self.comparable is None:
            self.deflate.look(self.deflate._decompressor)
            if self.deflate.lost:
                self.comparable = len(self.events)

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


class Oracle:
    def __init__(self, stream, limits, compressed, takeover):
        self.stream = stream
        self.limits = limits
        self.compressed = compressed
        self.takeover = takeover

    def read(self, more=b"", **options):
        inflating = Inflating(self.takeover, **options) if self.compressed else None
        return read(self.stream + more, *self.limits, inflating=inflating)


def one_input(data):
    source = Source(data)
    how = source.byte()
    limits = NO_LIMITS if how & UNLIMITED else LIMITS
    compressed, takeover = bool(how & COMPRESSED), bool(how & TAKEOVER)
    cut = source.cuts()
    stream = source.rest()
    if how & DESCRIBED:
        stream = described(Source(stream), compressed)

    ours = FrameReader(*limits, True, Inflater(zlib, 15, takeover) if compressed else None)
    theirs = Theirs(Deflate(takeover) if compressed else None)
    events = []
    for piece in cut(stream):
        events += [event[:2] if event[0] == "failed" else event for event in ours.feed(piece)]
        theirs.feed(piece)
    oracle = Oracle(stream, limits, compressed, takeover)
    agree_with_oracle(events, oracle)
    agree_with_wsproto(oracle, theirs)


def described(source, compressed):
    sender = Sender(source)
    stream = b""
    while source:
        stream += sender.message() if compressed and source.byte() & 1 else source.frame()
    return stream


def agree_with_oracle(events, oracle):
    known = oracle.read()
    if events == known:
        return
    if events == oracle.read(longest=oracle.limits[0]):
        return      # it was too long already before it was wrong
    if len(oracle.stream) > GATHERED and events == oracle.read(eager=True):
        return      # so much of a compressed message is looked at before it is whole
    # a header may be refused by its first bytes already
    soon = oracle.read(bytes(LONGEST_HEADER))
    assert events == [*known, ("failed", 1002)] == soon[: len(known) + 1], (events, known)


def agree_with_wsproto(oracle, theirs):
    """All that what we agreed on with the oracle and wsproto may differ in."""
    mine, other = oracle.read(eager=True), theirs.events
    if mine == other:
        return
    last = mine[-1] if mine else None
    comparable = len(mine)
    if last in (("failed", 1009), ("failed", 1008)):
        # RFC 6455, section 10.4: limits are the implementation's to choose, and wsproto's frames have none
        comparable -= 1
    if theirs.comparable is not None:
        comparable = min(comparable, theirs.comparable)     # named in Deflate
    if comparable < len(mine) or theirs.comparable is not None:
        assert mine[:comparable] == other[:comparable], (mine, other)
        return
    if theirs.complaint == "CLOSE with unknown reserved code":
        # section 7.4.2: 1014 is registered with IANA since; a reason that is not UTF-8 may follow it
        assert last[:2] in (("close", 1014), ("failed", 1007))
        assert other == [*mine[:-1], ("failed", 1002)]
        return
    if theirs.complaint == "error in extension" and last == ("failed", 1002):
        # section 5.4: wsproto inflates a frame before it says that it has no place there
        assert other == [*mine[:-1], ("failed", 1007)]
        return
    if last == ("failed", 1007) and re.fullmatch(b"\xed[\xa0-\xbf]", theirs.undecided()):
        # section 8.1: half a surrogate will never be UTF-8, which CPython's decoder says at the third byte
        assert other == mine[:-1]
        return
    # section 5.2: a header that breaks a rule may be refused by its first bytes or when it is complete
    assert other == [*mine, ("failed", 1002)] or mine == [*other, ("failed", 1002)], (mine, other)
    if len(other) < len(mine):
        theirs.feed(bytes(LONGEST_HEADER))
    else:
        mine = oracle.read(bytes(LONGEST_HEADER), eager=True)
    assert mine == other
