"""What is kept of a topic, so that a subscriber that comes back gets what it missed."""

from __future__ import annotations

import logging
import secrets
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from hyperws._core.message_writer import checked_message, lasting
from hyperws.groups.backplane import Keep

logger = logging.getLogger("hyperws")

Message = str | bytes
Wrap = Callable[[str, Message, str, int], Message]
"""Called as (topic, message, epoch, offset): what subscribers get in place of the message."""

START = "start"


class Rule(NamedTuple):
    """What `Server.history` says of topics."""

    keep: Keep
    wrap: Wrap | None


class Rules:
    """Which topics are kept, by name or by the beginning of their names."""

    def __init__(self) -> None:
        self.exact: dict[str, Rule] = {}
        self.prefixes: dict[str, Rule] = {}

    def __bool__(self) -> bool:
        return bool(self.exact or self.prefixes)

    def add(self, pattern: str, rule: Rule) -> None:
        if pattern.endswith("*"):
            self.prefixes[pattern[:-1]] = rule
        else:
            self.exact[pattern] = rule

    def find(self, topic: str) -> Rule | None:
        """The rule of a topic: its own, or the one with the longest beginning of its name."""
        if topic in self.exact:
            return self.exact[topic]
        fitting = [prefix for prefix in self.prefixes if topic.startswith(prefix)]
        return self.prefixes[max(fitting, key=len)] if fitting else None


class Entry(NamedTuple):
    """A message that is kept, or None where messages may have been lost."""

    offset: int
    time: float
    message: Message | None


def new_epoch() -> str:
    return secrets.token_hex(8)


class Timeline:
    """The messages of one topic in their order, as far as this process has them."""

    __slots__ = ("end", "entries", "epoch", "keep", "start", "used", "wrap")

    def __init__(self, rule: Rule, now: float) -> None:
        self.keep, self.wrap = rule
        self.used = now
        """When something last happened here, by the loop's clock."""
        self.restart(new_epoch(), 0)

    def restart(self, epoch: str, start: int) -> None:
        """Forget everything: from here on is another epoch, or what is behind a gap."""
        self.epoch = epoch
        self.start = self.end = start
        """`entries` are all with offsets from behind `start` to `end`."""
        self.entries: deque[Entry] = deque()

    def add(self, offset: int, message: Message | None, time: float) -> None:
        self.entries.append(Entry(offset, time, message))
        self.end = offset
        if len(self.entries) > self.keep.messages:
            self.start = self.entries.popleft().offset

    def expire(self, now: float) -> None:
        """Forget what is too old."""
        while self.entries and self.entries[0].time < now - self.keep.seconds:
            self.start = self.entries.popleft().offset

    def kept(self) -> list[Entry]:
        return [entry for entry in self.entries if entry.message is not None]

    def after(self, epoch: str, offset: int) -> list[Entry] | None:
        """What came after a message, in order; None where some of it is not known."""
        if epoch != self.epoch or not self.start <= offset <= self.end:
            return None
        missed = [entry for entry in self.entries if entry.offset > offset]
        return None if any(entry.message is None for entry in missed) else missed

    def wrapped(self, topic: str, message: Message, offset: int) -> tuple[Message | None, str]:
        """What subscribers get in place of a message, and its id. None where `wrap` fails (it is logged)."""
        id = f"{self.epoch}:{offset}"
        if self.wrap is None:
            return message, id
        try:
            return lasting(checked_message(self.wrap(topic, message, self.epoch, offset))), id
        except Exception as error:
            logger.error("%r made nothing that can be sent of %s", self.wrap, id, exc_info=error)
            return None, id


def parse_position(since: object) -> tuple[str, int]:
    """(epoch, offset) of what a subscriber asks for. One that can't be is of an epoch that never was."""
    if isinstance(since, str):
        epoch, _, offset = since.rpartition(":")
        if offset.isascii() and offset.isdigit() and len(offset) < 20:
            return epoch, int(offset)
    elif isinstance(since, (tuple, list)) and len(since) == 2:
        epoch, offset = since
        if isinstance(epoch, str) and isinstance(offset, int):
            return epoch, offset
    return "", -1
