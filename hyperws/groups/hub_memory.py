"""What a hub remembers: the messages of topics that are kept, and notes. Does no I/O.

Times are seconds of any one clock that never goes back; every call is given what it shows now.
"""

from __future__ import annotations

import heapq
import secrets
from collections import deque
from collections.abc import Callable, Container
from itertools import count, islice
from typing import NamedTuple

from hyperws.groups.backplane import Keep, Kept, Past

FORGET = 600.0
"""Seconds without a message after which the epoch of a topic, and the number of an origin, are forgotten."""

SWEEP = 60.0
"""Seconds between two looks for notes that have expired."""

GRACE = 1.0
"""Seconds that a process which has lost its connection has to come back before its notes are forgotten."""


class Calendar:
    """What is to be looked at when its time has come, until it needs no more looking at."""

    def __init__(self) -> None:
        self._entries: list[tuple[float, int, Callable[[float], float | None]]] = []
        self._serial = count()

    def add(self, due: float, look: Callable[[float], float | None]) -> None:
        """Call `look(now)` once `due` has come. It returns when to call it again, or None."""
        heapq.heappush(self._entries, (due, next(self._serial), look))

    def next_due(self) -> float:
        """When there is something to look at: infinity where there is nothing."""
        return self._entries[0][0] if self._entries else float("inf")

    def look(self, now: float) -> None:
        """Look at all that is due."""
        while self.next_due() <= now:
            _, serial, look = self._entries[0]
            again = look(now)
            if again is None:
                heapq.heappop(self._entries)
            else:
                heapq.heapreplace(self._entries, (again, serial, look))


class Message(NamedTuple):
    """One that is kept."""

    offset: int
    at: float
    data: bytes


class Topic:
    """One that is kept: its latest messages, within the bounds that came with the last of them."""

    def __init__(self, seconds: float, now: float) -> None:
        self.epoch = secrets.token_hex(8)
        self.offset = 0
        self.seconds = seconds
        self.latest = now
        self.messages: deque[Message] = deque()

    def append(self, data: bytes, keep: Keep, now: float) -> None:
        self.offset += 1
        self.latest = now
        self.seconds = keep.seconds
        messages = self.messages
        messages.append(Message(self.offset, now, data))
        while messages and (len(messages) > keep.messages or now - messages[0].at >= keep.seconds):
            messages.popleft()

    def read(self, keep: Keep, now: float) -> Past:
        latest = islice(self.messages, max(0, len(self.messages) - keep.messages), None)
        oldest = now - min(keep.seconds, self.seconds)
        kept = [Kept(offset, now - at, data) for offset, at, data in latest if at > oldest]
        return Past(self.epoch, kept[0].offset - 1 if kept else self.offset, kept)


class Note:
    """What one process lets the others read on a topic."""

    def __init__(self, data: bytes, expiry: float) -> None:
        self.data = data
        self.expiry = expiry


class Memory:
    """All that is remembered. The epochs of topics that are `in_use` are never forgotten."""

    def __init__(self, in_use: Container[bytes]) -> None:
        self.calendar = Calendar()
        self.calendar.add(0.0, self._sweep_notes)
        self._in_use = in_use
        self._topics: dict[bytes, Topic] = {}
        self._numbers: dict[str, tuple[int, float]] = {}
        self._notes: dict[str, dict[bytes, Note]] = {}

    def keep(
        self, topic: bytes, data: bytes, keep: Keep, origin: str, number: int, now: float
    ) -> tuple[str, int] | None:
        """Keep a message. Its epoch and offset, or None where this number has been kept before."""
        if not self._count(origin, number, now):
            return None
        kept = self._topic(topic, keep, now)
        kept.append(data, keep, now)
        return kept.epoch, kept.offset

    def read(self, topic: bytes, keep: Keep, now: float) -> Past:
        """What both the publishers and `keep` allow."""
        return self._topic(topic, keep, now).read(keep, now)

    def write_note(self, topic: bytes, origin: str, data: bytes, expiry: float) -> None:
        """Remember a note until its expiry; b"" takes it away."""
        note = self._notes.get(origin, {}).get(topic)
        if not data:
            self._remove_note(topic, origin)
        elif note is None:
            self._notes.setdefault(origin, {})[topic] = Note(data, expiry)
        else:
            note.data, note.expiry = data, expiry

    def read_notes(self, topic: bytes, now: float) -> dict[str, bytes]:
        """The notes on a topic, by their origin."""
        found = {origin: notes[topic] for origin, notes in self._notes.items() if topic in notes}
        return {origin: note.data for origin, note in found.items() if note.expiry > now}

    def forget_notes(self, origin: str, now: float) -> None:
        """Take away the notes of an origin, unless it comes back soon and writes them again."""
        for note in self._notes.get(origin, {}).values():
            note.expiry = min(note.expiry, now + GRACE)

    def _count(self, origin: str, number: int, now: float) -> bool:
        """Whether this number is new."""
        highest = self._numbers.get(origin)
        if highest is None:
            self.calendar.add(now + FORGET, lambda now: self._look_at_number(origin, now))
        elif number <= highest[0]:
            return False
        self._numbers[origin] = number, now
        return True

    def _topic(self, name: bytes, keep: Keep, now: float) -> Topic:
        topic = self._topics.get(name)
        if topic is None:
            topic = self._topics[name] = Topic(keep.seconds, now)
            self.calendar.add(now + keep.seconds, lambda now: self._look_at_topic(name, now))
        return topic

    def _look_at_topic(self, name: bytes, now: float) -> float | None:
        topic = self._topics[name]
        expiry = topic.latest + topic.seconds
        if now < expiry:
            return expiry
        topic.messages.clear()
        if now < expiry + FORGET and topic.offset:
            return expiry + FORGET
        if name in self._in_use:
            return now + FORGET
        del self._topics[name]
        return None

    def _look_at_number(self, origin: str, now: float) -> float | None:
        _, latest = self._numbers[origin]
        if now < latest + FORGET:
            return latest + FORGET
        del self._numbers[origin]
        return None

    def _sweep_notes(self, now: float) -> float:
        for origin, notes in list(self._notes.items()):
            for topic in [topic for topic, note in notes.items() if note.expiry <= now]:
                self._remove_note(topic, origin)
        return now + SWEEP

    def _remove_note(self, topic: bytes, origin: str) -> None:
        notes = self._notes.get(origin, {})
        notes.pop(topic, None)
        if not notes:
            self._notes.pop(origin, None)
