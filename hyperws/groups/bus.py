"""The backplane between the processes of one machine: ZeroMQ, by way of a hub."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from hyperws.groups.backplane import Backplane, Delivery, Keep, Kept, Link, Past, Publication
from hyperws.groups.hub_address import check_private, folder_of
from hyperws.groups.hub_messages import (
    FROM_HUB,
    FROM_LINK,
    PIECE,
    Answer,
    Codec,
    Deliver,
    Hello,
    Ping,
    Publish,
    Read,
    ReadNotes,
    Request,
    Subscribe,
    Taken,
    Unsubscribe,
    WriteNote,
    require_libraries,
    weight,
)

try:
    import zmq
except ImportError:
    zmq = None  # type: ignore[assignment]

FRAMES = 8
"""How many frames are taken in one go: other callbacks of the event loop get their turn in between."""

REPORT = 1024 * 1024
"""Bytes of deliveries after which the hub is told that they have been taken."""

ENDS = (
    "EVENT_CLOSED",     # nobody listens there
    "EVENT_DISCONNECTED",
    "EVENT_HANDSHAKE_FAILED_NO_DETAIL",
    "EVENT_HANDSHAKE_FAILED_PROTOCOL",
)


class Bus(Backplane):
    """The hub at an address such as "ipc:///run/app/hub".

    Raises ConfigurationError for an address that no hub can have, or where pyzmq is missing.
    """

    def __init__(self, address: str) -> None:
        require_libraries()
        folder_of(address)
        self._address = address

    async def connect(
        self, origin: str, deliver: Callable[[Delivery], None], lost: Callable[[Exception], None]
    ) -> BusLink:
        check_private(self._address)
        link = BusLink(self._address, deliver)
        try:
            await link.greet(origin)
        except BaseException:
            await link.close()
            raise
        link.lost = lost
        return link

    def __str__(self) -> str:
        return self._address


class BusLink(Link):
    """One connection to the hub."""

    def __init__(self, address: str, deliver: Callable[[Delivery], None]) -> None:
        self.lost: Callable[[Exception], None] | None = None
        self._deliver = deliver
        self._loop = asyncio.get_running_loop()
        self._requests = Codec(FROM_LINK)
        self._codec = Codec(FROM_HUB)
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self._number = 0
        self._taken = 0
        self._reported = 0
        self._failure: Exception | None = None
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.DEALER)
        self._socket.setsockopt(zmq.RECONNECT_IVL, -1)
        self._socket.setsockopt(zmq.SNDHWM, 0)      # nothing much: every request waits for its answer
        self._monitor = self._socket.get_monitor_socket(sum(getattr(zmq, name) for name in ENDS))
        self._socket.connect(address)
        self._loop.add_reader(self._monitor.fileno(), self._watch)
        self._loop.add_reader(self._socket.fileno(), self._receive)
        self._watch()   # a descriptor tells only of what comes after one has looked

    async def greet(self, origin: str) -> None:
        """The first request of all."""
        await self._ask(Hello, origin)

    async def subscribe(self, topics: Sequence[str]) -> None:
        await self._ask(Subscribe, [encoded(topic) for topic in topics])

    async def unsubscribe(self, topics: Sequence[str]) -> None:
        await self._ask(Unsubscribe, [encoded(topic) for topic in topics])

    async def publish(self, publications: Sequence[Publication]) -> None:
        for piece in pieces(publications):
            await self._ask(Publish, piece)

    async def read(self, topic: str, keep: Keep) -> Past:
        epoch, start, messages = await self._ask(Read, encoded(topic), keep)
        return Past(epoch, start, [Kept(*message) for message in messages])

    async def write_note(self, topic: str, note: bytes, seconds: float) -> None:
        await self._ask(WriteNote, encoded(topic), note, seconds)

    async def read_notes(self, topic: str) -> dict[str, bytes]:
        notes: dict[str, bytes] = await self._ask(ReadNotes, encoded(topic))
        return notes

    async def ping(self) -> None:
        await self._ask(Ping)

    async def close(self) -> None:
        self.lost = None
        self._end(ConnectionError("this link has been closed"))
        if not self._context.closed:
            self._context.destroy(linger=0)

    async def _ask(self, kind: Callable[..., Request], *fields: Any) -> Any:
        """Send a request and return what the hub answers."""
        if self._failure is not None:
            raise self._failure
        self._number += 1
        number = self._number
        answer = self._answers[number] = self._loop.create_future()
        try:
            self._send(kind(number, *fields))
            return await answer
        finally:
            del self._answers[number]

    def _send(self, message: Request | Taken) -> None:
        try:
            self._socket.send(self._requests.encode(message), zmq.NOBLOCK)
        except zmq.ZMQError as error:
            self._fail(ConnectionError(f"the hub can't be reached: {error}"))
        else:
            if self._socket.poll(0):    # sending may have used up what the descriptor would have told
                self._loop.call_soon(self._receive)

    def _receive(self) -> None:
        try:
            for _ in range(FRAMES):
                if self._failure is not None or not self._socket.poll(0):
                    return
                self._take(self._socket.recv(zmq.NOBLOCK))
        except Exception as error:
            self._fail(error)
        else:
            self._loop.call_soon(self._receive)

    def _take(self, frame: bytes) -> None:
        message = self._codec.decode(frame)
        if isinstance(message, Deliver):
            deliver = self._deliver
            for topic, data, epoch, offset in message.messages:
                previous = offset - 1 if epoch else 0
                deliver(Delivery(topic.decode("utf-8", "surrogatepass"), data, epoch, offset, previous))
            self._report(len(frame))
        elif isinstance(message, Answer):
            answer = self._answers.get(message.number)
            if answer is not None and not answer.done():
                answer.set_result(message.value)
        else:
            self._fail(ConnectionError(f"the hub has ended this link: {message.reason}"))

    def _report(self, size: int) -> None:
        """Let the hub know how much has been taken, now and then."""
        self._taken += size
        if self._taken - self._reported > REPORT and self._failure is None:
            self._reported = self._taken
            self._send(Taken(self._taken))

    def _watch(self) -> None:
        if self._monitor.poll(0):
            self._fail(ConnectionError("the connection to the hub has ended"))

    def _fail(self, error: Exception) -> None:
        lost = self.lost
        self._end(error)
        if lost is not None:
            self.lost = None
            lost(error)

    def _end(self, error: Exception) -> None:
        """Take nothing more, and let all that wait for an answer know."""
        if self._failure is None:
            self._failure = error
            self._loop.remove_reader(self._monitor.fileno())
            self._loop.remove_reader(self._socket.fileno())
            for answer in self._answers.values():
                if not answer.done():
                    answer.set_exception(error)


def pieces(publications: Sequence[Publication]) -> Iterator[list[tuple[bytes, bytes, int, Keep | None]]]:
    """The publications as the hub takes them, so many at once that it stays able to answer."""
    piece: list[tuple[bytes, bytes, int, Keep | None]] = []
    size = 0
    for topic, data, number, keep in publications:
        piece.append((encoded(topic), data, number, keep))
        size += weight(data)
        if size >= PIECE:
            yield piece
            piece, size = [], 0
    if piece:
        yield piece


def encoded(topic: str) -> bytes:
    """Any str as bytes: half a surrogate pair, which JSON may have brought, has no UTF-8 otherwise."""
    return topic.encode("utf-8", "surrogatepass")
