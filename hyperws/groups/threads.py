"""Publishing from other threads than the server's."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from typing import TYPE_CHECKING, Any

from hyperws._core.message_writer import lasting
from hyperws.errors import UsageError

if TYPE_CHECKING:
    from hyperws._core.topics import Subscriber, Topics

ROOM = 10_000   # messages that wait for the event loop, until the threads have to wait


class Mailbox:
    """Takes messages to the event loop, those of each thread in their order."""

    def __init__(self, topics: Topics, loop: asyncio.AbstractEventLoop) -> None:
        self.topics = topics
        self.loop = loop
        self.handed: deque[tuple[Any, ...]] = deque()
        self.changed = threading.Condition()
        self.closed = False

    def publish(
        self, topic: str, message: Any, exclude: Subscriber | None, compress: bool | None, local: bool
    ) -> int:
        """Returns how many subscribe to the topic here. Waits while the event loop is far behind."""
        with self.changed:
            while len(self.handed) >= ROOM and not self.closed:
                self.changed.wait()
            if self.closed:
                raise UsageError("the server has stopped: nobody is there to publish to")
            if not self.handed:
                self.loop.call_soon_threadsafe(self.take)
            self.handed.append((topic, lasting(message), exclude, compress, local))
        return self.topics.count(topic, exclude)

    def take(self) -> None:
        """In the event loop: publish all that is there."""
        with self.changed:
            handed, self.handed = self.handed, deque()
            self.changed.notify_all()
        for publication in handed:
            self.topics.publish_here(*publication)

    def close(self) -> None:
        self.take()
        with self.changed:
            self.closed = True
            self.changed.notify_all()
