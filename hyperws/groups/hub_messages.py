"""What a hub and its links say to each other. A frame is one byte that names the kind, and MessagePack.

What has a number is answered with it. Topics are bytes here: any str encodes to them, and back.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from hyperws.errors import ConfigurationError
from hyperws.groups.backplane import Keep

try:
    import msgspec
    import zmq
except ImportError:
    zmq = None  # type: ignore[assignment]

PIECE = 256 * 1024
"""How much is handled in one go, in `weight`: what comes in pieces lets others have their turn."""


class Hello(NamedTuple):
    """The first request of a link."""

    number: int
    origin: str


class Subscribe(NamedTuple):
    number: int
    topics: list[bytes]


class Unsubscribe(NamedTuple):
    number: int
    topics: list[bytes]


class Publish(NamedTuple):
    """Topic, data, number of the publication, and how much is kept."""

    number: int
    publications: list[tuple[bytes, bytes, int, Keep | None]]


class Read(NamedTuple):
    """Answered with a `Past`."""

    number: int
    topic: bytes
    keep: Keep


class WriteNote(NamedTuple):
    number: int
    topic: bytes
    note: bytes
    seconds: float


class ReadNotes(NamedTuple):
    """Answered with {origin: note}."""

    number: int
    topic: bytes


class Ping(NamedTuple):
    number: int


class Taken(NamedTuple):
    """How many bytes of deliveries the link has taken since it began. Not answered."""

    size: int


class Deliver(NamedTuple):
    """Topic, data, epoch, offset: these are "" and 0 where nothing is kept."""

    messages: list[tuple[bytes, bytes, str, int]]


class Answer(NamedTuple):
    number: int
    value: Any


class Gone(NamedTuple):
    """The hub knows this link no more, and takes nothing from it."""

    reason: str


Request = Hello | Subscribe | Unsubscribe | Publish | Read | WriteNote | ReadNotes | Ping
FROM_LINK: tuple[type, ...] = (
    Publish, Taken, Hello, Subscribe, Unsubscribe, Read, WriteNote, ReadNotes, Ping
)
FROM_HUB: tuple[type, ...] = Deliver, Answer, Gone


class Codec:
    """Makes frames of messages of some kinds, and messages of frames."""

    def __init__(self, kinds: Sequence[type]) -> None:
        self._encode = msgspec.msgpack.Encoder().encode
        self._bytes = {kind: bytes([index]) for index, kind in enumerate(kinds)}
        self._decoders: list[Any] = [msgspec.msgpack.Decoder(kind) for kind in kinds]

    def encode(self, message: NamedTuple) -> bytes:
        """The frame of a message."""
        return self._bytes[type(message)] + self._encode(message)

    def decode(self, frame: bytes) -> Any:
        """The message of a frame. Raises ValueError for what is none."""
        try:
            return self._decoders[frame[0]].decode(memoryview(frame)[1:])
        except (IndexError, msgspec.DecodeError) as error:
            raise ValueError(f"not a frame: {error}") from None


def weight(data: bytes) -> int:
    """What a message costs: its bytes, and as much work as 1 KiB of them."""
    return 1024 + len(data)


def require_libraries() -> None:
    """Raise ConfigurationError where the libraries for this are missing."""
    if zmq is None:
        raise ConfigurationError("several workers need pyzmq and msgspec: pip install 'hyperws[workers]'")
