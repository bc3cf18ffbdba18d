"""What processes of one application tell each other, as bytes."""

from __future__ import annotations

from enum import IntEnum
from struct import Struct
from typing import NamedTuple

HEAD = Struct("!16sQBB")    # origin, number, kind, compression


class Kind(IntEnum):
    """What an envelope is about."""

    TEXT = 0
    BINARY = 1
    JOINED = 2
    LEFT = 3
    GAP = 4


COMPRESS: tuple[bool | None, ...] = (None, False, True)


class Envelope(NamedTuple):
    """Something that one process has published."""

    origin: str
    """Names the process: 16 letters or digits."""
    number: int
    kind: Kind
    body: bytes
    """The message as UTF-8 or bytes; a member as JSON; nothing for a gap."""
    compress: bool | None = None
    """As in `Context.send`."""

    def encode(self) -> bytes:
        compress = COMPRESS.index(self.compress)
        return HEAD.pack(self.origin.encode("ascii"), self.number, self.kind, compress) + self.body

    @property
    def message(self) -> str | bytes:
        return self.body.decode() if self.kind is Kind.TEXT else self.body


def decode(data: bytes) -> Envelope:
    """Raises ValueError for what is no envelope."""
    if len(data) < HEAD.size:
        raise ValueError(f"an envelope of {len(data)} bytes")
    origin, number, kind, compress = HEAD.unpack_from(data)
    if compress >= len(COMPRESS):
        raise ValueError(f"compression {compress}")
    return Envelope(origin.decode("ascii"), number, Kind(kind), data[HEAD.size:], COMPRESS[compress])
