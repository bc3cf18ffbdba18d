"""What carries messages between the processes of one application, and how to write another one.

A `Backplane` is where to connect to. A `Link` is one connection: it does what it is told, tells what comes,
and is given up at its first failure. All the rest is done by who uses it: connecting again, waiting, sending
again what may not have arrived, noticing gaps.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import NamedTuple


class Keep(NamedTuple):
    """How much of a topic is kept: its last `messages`, none longer than `seconds`."""

    messages: int
    seconds: float


class Publication(NamedTuple):
    """What goes out."""

    topic: str
    data: bytes
    number: int
    """Counts what this process has published, by one. After a failure the same numbers may come again."""
    keep: Keep | None
    """How much of the topic is kept, None where nothing is."""


class Delivery(NamedTuple):
    """What comes in."""

    topic: str
    data: bytes
    epoch: str = ""
    """Names the life of a topic that is kept: another one where the broker has lost it. "" for others."""
    offset: int = 0
    """Grows with every message of the topic in this epoch."""
    previous: int = 0
    """The offset of the message before."""


class Kept(NamedTuple):
    """One message of those that are kept."""

    offset: int
    age: float
    """Seconds since it was published."""
    data: bytes


class Past(NamedTuple):
    """What is kept of one topic."""

    epoch: str
    """Made by reading where there is none yet."""
    start: int
    """`messages` are all that have a greater offset than this."""
    messages: list[Kept]
    """The oldest first."""

    @property
    def end(self) -> int:
        """The offset of the latest message, kept or not."""
        return self.messages[-1].offset if self.messages else self.start


class Link(ABC):
    """One connection of one process to a broker. What raises means that the connection is of no more use.

    The calls are made one after the other, but for `publish`, which may run beside another one.
    """

    @abstractmethod
    async def subscribe(self, topics: Sequence[str]) -> None:
        """Have what is published to these topics delivered, from before this returns on."""

    @abstractmethod
    async def unsubscribe(self, topics: Sequence[str]) -> None:
        """Have no more of them delivered."""

    @abstractmethod
    async def publish(self, publications: Sequence[Publication]) -> None:
        """Give them to the broker, in this order, and return once it has taken all of them.

        Everyone who subscribes to their topics gets them, this process too (or not: it ignores what it has
        published itself, unless it is kept). What is kept is given an epoch and an offset by the broker, once
        for each number of this process, and is delivered in the order of the offsets.
        """

    @abstractmethod
    async def read(self, topic: str, keep: Keep) -> Past:
        """What is kept of a topic."""

    @abstractmethod
    async def write_note(self, topic: str, note: bytes, seconds: float) -> None:
        """Let other processes read this note of ours on a topic for so many seconds; b"" takes it away."""

    @abstractmethod
    async def read_notes(self, topic: str) -> dict[str, bytes]:
        """The notes of all processes on a topic, by their origin."""

    @abstractmethod
    async def ping(self) -> None:
        """Return once the broker has answered."""

    @abstractmethod
    async def close(self) -> None:
        """End the connection, whatever its state. Raises nothing."""


class Backplane(ABC):
    """Where to connect to."""

    @abstractmethod
    async def connect(
        self, origin: str, deliver: Callable[[Delivery], None], lost: Callable[[Exception], None]
    ) -> Link:
        """Connect to the broker. Raises an exception where that is not possible.

        `origin` names this process, in up to 32 letters and digits. `deliver` is to be called for all that
        comes, in order, and `lost` when the connection turns out to be of no more use, both in the event loop
        and not before this has returned.
        """

    @abstractmethod
    def __str__(self) -> str:
        """How it is called in the log: its URL without a password."""
