"""What processes of one application tell each other, as bytes."""

from __future__ import annotations

import logging
from enum import IntEnum
from struct import Struct
from struct import error as StructError
from typing import NamedTuple

logger = logging.getLogger("hyperws")

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
    """What has come. A gap by nobody where that is no envelope, which is logged."""
    try:
        origin, number, kind, compress = HEAD.unpack_from(data)
        envelope = Envelope(origin.decode("ascii"), number, Kind(kind), data[HEAD.size:], COMPRESS[compress])
        _ = envelope.message    # which may be no text
    except (StructError, ValueError, IndexError) as error:
        logger.error("something of no sense has come by the backplane: %s", error)
        return Envelope("", 0, Kind.GAP, b"")
    return envelope
