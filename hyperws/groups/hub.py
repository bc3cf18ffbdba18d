"""The broker between the processes of one machine, in a process of its own.

It ends a link, and says so, rather than lose a single message for it: who uses the link then connects again
and catches up from what is kept.
"""

from __future__ import annotations

import logging
import os
import signal
import time
from collections.abc import Callable
from typing import Any

from hyperws.groups import hub_address
from hyperws.groups.backplane import Past
from hyperws.groups.hub_memory import Memory
from hyperws.groups.hub_messages import (
    FROM_HUB,
    FROM_LINK,
    PIECE,
    Answer,
    Codec,
    Deliver,
    Gone,
    Hello,
    Ping,
    Publish,
    Read,
    ReadNotes,
    Subscribe,
    Taken,
    Unsubscribe,
    WriteNote,
    require_libraries,
    weight,
)

try:
    import zmq
    from zmq.utils.monitor import recv_monitor_message
except ImportError:
    zmq = None  # type: ignore[assignment]

logger = logging.getLogger("hyperws")

BEHIND = 32 * 1024 * 1024
"""Bytes of deliveries that a process may have left unread before it is given up."""


def serve(
    address: str, until: int | None = None, on_listening: Callable[[], None] = lambda: None
) -> None:
    """Serve at an address such as "ipc:///run/app/hub", until SIGTERM or the end of `until`.

    `until` is a descriptor that becomes readable when the hub is to end: a pipe that the parent holds open.
    `on_listening` is called once links are accepted.
    To be run in the main thread of a process of its own. Ignores SIGINT, which a terminal sends to all its
    processes: the others still need the hub to end in good order. Raises ConfigurationError where the folder
    of the socket is not private to this user, or where a library is missing.
    """
    require_libraries()
    hub_address.make_private(address)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signals = caught_signals()
    context = zmq.Context()
    try:
        hub = Hub(context, address)
        on_listening()
        hub.run(signals, until)
    finally:
        context.destroy(linger=0)
        hub_address.remove(address)


def caught_signals() -> int:
    """A descriptor from which the numbers of signals can be read, SIGTERM among them."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing)
    signal.signal(signal.SIGTERM, lambda *_: None)
    return reading


class Peer:
    """One link, as the hub sees it."""

    def __init__(self, identity: bytes, origin: str, fd: int) -> None:
        self.identity = identity
        self.origin = origin
        self.fd = fd
        self.topics: set[bytes] = set()
        self.deliveries: list[tuple[bytes, bytes, str, int]] = []
        self.sent = 0
        self.taken = 0


class Hub:
    """The broker, listening at an address."""

    def __init__(self, context: zmq.Context[Any], address: str) -> None:
        self._codec = Codec(FROM_LINK)
        self._to_links = Codec(FROM_HUB)
        self._peers: dict[bytes, Peer] = {}
        self._by_fd: dict[int, Peer] = {}
        self._connected: set[int] = set()
        self._subscribers: dict[bytes, set[Peer]] = {}
        self._memory = Memory(in_use=self._subscribers)
        # what goes out at the end of a turn: deliveries, then answers
        self._delivered: set[Peer] = set()
        self._weight = 0
        self._answers: list[tuple[Peer, Answer]] = []
        self._handlers: dict[type, Callable[[Peer, Any], object]] = {
            Publish: self._publish,
            Subscribe: self._subscribe,
            Unsubscribe: self._unsubscribe,
            Read: self._read,
            WriteNote: self._write_note,
            ReadNotes: self._read_notes,
            Ping: self._ping,
        }
        self._router = context.socket(zmq.ROUTER)
        self._router.setsockopt(zmq.ROUTER_MANDATORY, 1)    # to a link that is gone, nothing can be sent
        self._router.setsockopt(zmq.SNDHWM, 0)      # bounded by BEHIND, in bytes
        self._monitor = self._router.get_monitor_socket(zmq.EVENT_ACCEPTED | zmq.EVENT_DISCONNECTED)
        self._router.bind(address)
        logger.info("the hub listens at %s", address)

    def run(self, signals: int, until: int | None) -> None:
        """Serve until SIGTERM comes, or `until` is readable."""
        poller = zmq.Poller()
        for each in self._router, self._monitor, signals, until:
            if each is not None:
                poller.register(each, zmq.POLLIN)
        calendar = self._memory.calendar
        while True:
            seconds = min(calendar.next_due() - time.monotonic(), 3600)
            ready = dict(poller.poll(max(0, int(seconds * 1000) + 1)))
            if until in ready or (signals in ready and signal.SIGTERM in os.read(signals, 1024)):
                return
            if self._monitor in ready:
                self._watch()
            if self._router in ready:
                self._take_turn()
            calendar.look(time.monotonic())

    def _take_turn(self) -> None:
        """Take what has come, but not too much of it, and send what follows from it."""
        router = self._router
        while self._weight < PIECE and router.poll(0):
            identity = router.recv()
            self._weight += weight(identity)
            peer = self._peers.get(identity)
            if peer is None:
                self._meet(identity, router.recv(copy=False))
            else:
                self._take(peer, router.recv())
            while router.getsockopt(zmq.RCVMORE):
                router.recv()
        self._flush()

    def _flush(self) -> None:
        delivered, self._delivered = self._delivered, set()
        for peer in delivered:
            if peer.sent - peer.taken > BEHIND:
                logger.warning("process %s has left %d bytes unread and is given up", peer.origin, BEHIND)
                self._give_up(peer, "this process was too slow")
            else:
                peer.sent += self._send(peer.identity, Deliver(peer.deliveries))
                peer.deliveries = []
        answers, self._answers = self._answers, []
        for peer, answer in answers:
            self._send(peer.identity, answer)
        self._weight = 0

    def _send(self, identity: bytes, message: Deliver | Answer | Gone) -> int:
        """Send a message and return its size."""
        frame = self._to_links.encode(message)
        try:
            self._router.send(identity, zmq.SNDMORE)    # can't block without a high-water mark
            self._router.send(frame)
        except zmq.ZMQError:
            pass    # its connection has ended: the monitor tells
        return len(frame)

    def _watch(self) -> None:
        """See which connections have begun and ended."""
        while self._monitor.poll(0):
            event = recv_monitor_message(self._monitor)
            if event["event"] == zmq.EVENT_ACCEPTED:
                self._connected.add(event["value"])
            else:
                self._connected.discard(event["value"])
                if peer := self._by_fd.get(event["value"]):
                    self._forget(peer)

    def _meet(self, identity: bytes, frame: zmq.Frame) -> None:
        """Take the first frame of a connection."""
        self._watch()   # descriptors are used again: what ended before is not to be taken for this one
        fd = frame.get(zmq.SRCFD)
        try:
            hello = self._codec.decode(frame.bytes)
        except ValueError:
            hello = None
        if not isinstance(hello, Hello):
            self._send(identity, Gone("the hub does not know this connection"))
        elif fd in self._connected:
            if older := self._by_fd.get(fd):
                self._forget(older)
            peer = self._peers[identity] = self._by_fd[fd] = Peer(identity, hello.origin, fd)
            self._answers.append((peer, Answer(hello.number, None)))

    def _take(self, peer: Peer, frame: bytes) -> None:
        """Take a later frame."""
        try:
            message = self._codec.decode(frame)
            if isinstance(message, Hello):
                raise ValueError("greeted again")
            if isinstance(message, Taken):
                peer.taken = message.size
            else:
                value = self._handlers[type(message)](peer, message)
                self._answers.append((peer, Answer(message.number, value)))
        except ValueError as error:
            self._give_up(peer, f"the hub does not understand it: {error}")

    def _give_up(self, peer: Peer, reason: str) -> None:
        self._forget(peer)
        self._send(peer.identity, Gone(reason))

    def _forget(self, peer: Peer) -> None:
        del self._peers[peer.identity], self._by_fd[peer.fd]
        self._delivered.discard(peer)
        for topic in peer.topics:
            self._remove(peer, topic)
        if all(other.origin != peer.origin for other in self._peers.values()):
            self._memory.forget_notes(peer.origin, time.monotonic())

    def _remove(self, peer: Peer, topic: bytes) -> None:
        subscribers = self._subscribers[topic]
        subscribers.discard(peer)
        if not subscribers:
            del self._subscribers[topic]

    def _publish(self, peer: Peer, request: Publish) -> None:
        now = time.monotonic()
        for topic, data, number, keep in request.publications:
            self._weight += weight(data)
            place: tuple[str, int] | None = "", 0
            if keep is not None:
                check_seconds(keep.seconds)
                place = self._memory.keep(topic, data, keep, peer.origin, number, now)
            subscribers = self._subscribers.get(topic)
            if place is not None and subscribers is not None:
                message = topic, data, *place
                for subscriber in subscribers:
                    subscriber.deliveries.append(message)
                self._delivered |= subscribers

    def _subscribe(self, peer: Peer, request: Subscribe) -> None:
        peer.topics.update(request.topics)
        for topic in request.topics:
            self._subscribers.setdefault(topic, set()).add(peer)

    def _unsubscribe(self, peer: Peer, request: Unsubscribe) -> None:
        for topic in peer.topics.intersection(request.topics):
            peer.topics.remove(topic)
            self._remove(peer, topic)

    def _read(self, peer: Peer, request: Read) -> Past:
        check_seconds(request.keep.seconds)
        return self._memory.read(request.topic, request.keep, time.monotonic())

    def _write_note(self, peer: Peer, request: WriteNote) -> None:
        check_seconds(request.seconds)
        expiry = time.monotonic() + request.seconds
        self._memory.write_note(request.topic, peer.origin, request.note, expiry)

    def _read_notes(self, peer: Peer, request: ReadNotes) -> dict[str, bytes]:
        return self._memory.read_notes(request.topic, time.monotonic())

    def _ping(self, peer: Peer, request: Ping) -> None:
        pass


def check_seconds(seconds: float) -> None:
    """Raise ValueError for what is no duration, such as NaN."""
    if not seconds >= 0:
        raise ValueError(f"{seconds} is no number of seconds")
