"""What comes to one topic over NATS, put in order.

A stream sends on what it has stored, but where two connections publish at the same moment, not always in the
order in which it has stored it. Each message says which one was before, so that it can wait for that one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import NamedTuple

from hyperws.groups.backplane import Delivery
from hyperws.groups.nats_client import Message, value_of

PLAIN = "plain"
MARK = "Hyperws-Mark"
PATIENCE_SECONDS = 0.2
"""How long a message waits for the one before it, which is usually there in much less than a millisecond."""


class Arrival(NamedTuple):
    """A message of a topic that is kept, or a mark: it has an offset too, but is nothing to deliver."""

    epoch: str
    offset: int
    previous: int
    """The offset of the message or mark before; 0 where all of them have become too old."""
    data: bytes
    is_mark: bool


class Subscription:
    """A topic that a link is subscribed to, and how far it is known."""

    def __init__(self, topic: str, deliver: Callable[[Delivery], None]) -> None:
        self.topic = topic
        self.number = 0
        """That of the client's subscription."""
        self._deliver = deliver
        self._epoch = ""
        self._told = 0      # the last offset that was delivered or read
        self._seen = 0      # the same, or that of a mark behind it
        self._waiting: dict[int, Arrival] = {}    # by what they wait for
        self._timer: asyncio.TimerHandle | None = None

    def receive(self, message: Message) -> None:
        if message.name == PLAIN:
            self._deliver(Delivery(self.topic, message.data))
            return
        offset = value_of("Nats-Sequence", message.headers)
        previous = value_of("Nats-Last-Sequence", message.headers)
        if offset is not None and previous is not None:    # else it comes from no stream
            self._take(Arrival(message.name, int(offset), int(previous), message.data, is_mark(message)))

    def has_read(self, epoch: str, end: int) -> None:
        """Everything up to this offset was read."""
        if epoch != self._epoch or end > self._seen:
            self._epoch, self._told, self._seen = epoch, end, end
            self._release()

    def end(self) -> None:
        self._waiting.clear()
        self._stop_waiting()

    def _take(self, arrival: Arrival) -> None:
        if arrival.epoch != self._epoch and self._epoch:
            self._release()
            self._pass_on(arrival)
        elif arrival.previous > self._seen:
            self._waiting[arrival.previous] = arrival
            if self._timer is None:
                self._timer = asyncio.get_running_loop().call_later(PATIENCE_SECONDS, self._release)
        else:
            self._pass_on(arrival)
            while self._waiting and (next := self._waiting.pop(self._seen, None)):
                self._pass_on(next)
            if not self._waiting:
                self._stop_waiting()

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _release(self) -> None:
        """Deliver all that waits."""
        self._stop_waiting()
        waiting, self._waiting = self._waiting, {}
        for arrival in sorted(waiting.values()):
            self._pass_on(arrival)

    def _pass_on(self, arrival: Arrival) -> None:
        epoch, offset, previous, data, is_mark = arrival
        is_known = epoch == self._epoch and offset <= self._seen
        follows = epoch == self._epoch and previous in (0, self._seen)
        if follows and not is_known:
            previous = self._told
        if not is_known:
            if not is_mark or not follows:
                self._told = offset
            self._epoch, self._seen = epoch, offset
        if not is_mark:
            self._deliver(Delivery(self.topic, data, epoch, offset, previous))


def is_mark(message: Message) -> bool:
    return not message.data and value_of(MARK, message.headers) is not None
