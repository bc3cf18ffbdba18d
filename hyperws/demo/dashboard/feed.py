"""What the dashboard shows: the process itself, measured 60 times a second for as long as somebody looks."""

from __future__ import annotations

import asyncio
import math
import mmap
import os
import secrets
from collections import deque
from time import monotonic, process_time
from typing import NamedTuple

from hyperws import Context, Server

from ..messages import Traffic, message

RATE = 60  # points a second
KEPT = 10  # seconds of points that those who come back can still have
LINGER = 10  # seconds for which it is measured after the last look


class Totals(NamedTuple):
    """What only grows. Two of them make the rates of the time between."""

    time: float
    cpu: float
    received: int
    sent: int
    answers: int


class Feed:
    """One for each process. It publishes each point to a topic that no other process uses."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.topic = ""
        self.recent: deque[str] = deque(maxlen=RATE * KEPT)
        self.watchers: set[Context] = set()
        self.streams = 0
        self.sockets = 0
        self.sent = 0
        self.answers = 0
        self.number = 0
        self.until = 0.0
        self.task: asyncio.Task[None] | None = None
        server.history("dashboard:*", messages=RATE * KEPT, seconds=KEPT, wrap=placed)
        server.on_startup(self.start)
        server.on_shutdown(self.stop)

    def start(self) -> None:
        self.topic = f"dashboard:{secrets.token_hex(8)}"
        self.server.subscribe(self.topic, self.recent.append)

    def stop(self) -> None:
        if self.task is not None:
            self.task.cancel()

    # -- who looks

    def watch(self, ctx: Context) -> None:
        self.watchers.add(ctx)
        self.look()

    def unwatch(self, ctx: Context) -> None:
        self.watchers.discard(ctx)
        self.look()

    def look(self) -> None:
        """Go on measuring for a while, also where nobody watches."""
        self.until = monotonic() + LINGER
        if self.task is None or self.task.done():
            self.recent.clear()
            self.task = asyncio.create_task(self.run())

    def after(self, at: str | None) -> tuple[bool | None, list[str]]:
        """The points after a position, and whether that is all of them. The last point alone where there is
        no position, or it is not known (any more)."""
        points = list(self.recent)
        if at is None:
            return None, points[-1:]
        ending = position(at)
        for index in reversed(range(len(points))):
            if points[index].endswith(ending):
                return True, points[index + 1 :]
        return False, points[-1:]

    # -- what they see

    async def run(self) -> None:
        window = deque([self.totals()], maxlen=RATE + 1)
        due = monotonic()
        while self.watchers or monotonic() < self.until:
            due += max(1, math.ceil((monotonic() - due) * RATE)) / RATE  # what was missed is not made up for
            await asyncio.sleep(due - monotonic())
            late = max(0.0, monotonic() - due)  # timers count whole milliseconds: it may be early too
            window.append(self.totals())
            point = self.point(late, window[0], window[-1])
            self.sent += self.server.publish(self.topic, point) - 1  # but for `recent`

    def totals(self) -> Totals:
        return Totals(monotonic(), process_time(), Traffic.messages, self.sent, self.answers)

    def point(self, late: float, then: Totals, now: Totals) -> str:
        self.number += 1
        time, cpu, received, sent, answers = (b - a for a, b in zip(then, now, strict=True))
        return message(
            "point",
            pid=os.getpid(),
            n=self.number,
            t=round(now.time, 6),
            late=round(late * 1000, 3),
            received=round(received / time, 1),
            sent=round(sent / time, 1),
            answers=round(answers / time, 1),
            sockets=self.sockets,
            streams=self.streams,
            memory=memory(),
            cpu=round(100 * cpu / time, 1),
        )


def placed(topic: str, point: str | bytes, epoch: str, offset: int) -> str:
    """A point as visitors get it: with the place from which they can ask for more."""
    return f"{str(point)[:-1]}{position(f'{epoch}:{offset}')}"


def position(at: str) -> str:
    """The end of a point."""
    return f',"topic":"dashboard","at":"{at}"}}'


def memory() -> int | None:
    """Bytes of RAM that the process takes, None where the system does not say so as Linux does."""
    try:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * mmap.PAGESIZE
    except OSError:
        return None
