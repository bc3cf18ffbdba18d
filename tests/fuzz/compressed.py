"""What a client sends that compresses (RFC 7692), in every way that there is, and damaged."""

from __future__ import annotations

import zlib

from ..core.oracle_websocket import BINARY, CONTINUATION, RSV1, TEXT, Inflating, write
from ..core.peer import KEY
from ..core.pieces import cut

BLOCKS = [      # level and strategy
    (6, zlib.Z_DEFAULT_STRATEGY),
    (0, zlib.Z_DEFAULT_STRATEGY),       # stored
    (9, zlib.Z_FIXED),
    (1, zlib.Z_HUFFMAN_ONLY),
]
REFERS, FINAL = 4, 8                    # how a block is made, after its number in BLOCKS
DAMAGED, IS_TEXT, INTERRUPTED = 4, 8, 16    # what a message is, after its number of blocks


class Sender:
    """Makes one client's messages from what a Source says."""

    def __init__(self, source, bits=15):
        self.source = source
        self.bits = bits
        self.past = b""         # what blocks may refer to

    def message(self):
        """A message in up to four blocks and four frames, as bytes."""
        source = self.source
        how = source.byte()
        payload = ended(b"".join(self.block() for _ in range(1 + how % 4)))
        if how & DAMAGED:
            payload = bytearray(payload)
            payload[source.number() % len(payload)] = source.byte()
        # a cut is to reach any place of a message in four blocks
        pieces = cut(bytes(payload), [source.number() * 3 for _ in range(how >> 6)])
        between = source.frame() if how & INTERRUPTED else b""
        return between.join(marked(TEXT if how & IS_TEXT else BINARY, pieces))

    def block(self):
        how = self.source.byte()
        return self.compress(self.source.content(256), *BLOCKS[how % 4], how & REFERS, how & FINAL)

    def compress(self, content, level, strategy, refers, final):
        """A block, which a flush of the compressor has ended."""
        past = self.past if refers else b""
        compressor = zlib.compressobj(level, zlib.DEFLATED, -self.bits, 8, strategy, past)
        self.past = b"" if final else (self.past + content)[-(1 << self.bits):]
        return compressor.compress(content) + compressor.flush(zlib.Z_FINISH if final else zlib.Z_SYNC_FLUSH)

    def text(self, text, refers):
        """The frame of a text message that is compressed in the usual way."""
        payload = ended(self.compress(text.encode(), *BLOCKS[0], refers, False))
        return marked(TEXT, [payload])[0]


def ended(blocks):
    """The payload of a message in these blocks (RFC 7692, sections 7.2.1 and 7.2.3.4)."""
    return blocks.removesuffix(Inflating.TAIL) if blocks.endswith(Inflating.TAIL) else blocks + b"\0"


def marked(opcode, payloads):
    """The frames of a compressed message, of which the first is marked."""
    last = len(payloads) - 1
    return [
        write(CONTINUATION if at else opcode, payload, fin=at == last, rsv=0 if at else RSV1, key=KEY)
        for at, payload in enumerate(payloads)
    ]
