"""A worker: a process that serves beside others, under a supervisor."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from collections.abc import Callable
from functools import partial
from types import FrameType
from typing import TYPE_CHECKING

from hyperws.event_loop import serve
from hyperws.groups.between_workers import WorkerBus
from hyperws.handover import Handover
from hyperws.last_words import tell_briefly
from hyperws.processes import Lifeline, ignore

if TYPE_CHECKING:
    from hyperws.server import Server

logger = logging.getLogger("hyperws")

makes_server = False    # this process is a worker whose application is being loaded


class Orders:
    """While this is entered, a SIGTERM or the end of the supervisor sets the result of a future."""

    def __init__(self, lifeline: Lifeline, asked: asyncio.Future[None], reload: Callable[[], None]) -> None:
        self.lifeline = lifeline
        self.asked = asked
        self.loop = asked.get_loop()

    def __enter__(self) -> None:
        signal.signal(signal.SIGTERM, self.receive_stop)
        self.loop.add_reader(self.lifeline.fileno(), self.be_orphaned)

    def receive_stop(self, number: int, frame: FrameType | None) -> None:
        # more of them, to the whole group for instance, mean the same: it is the supervisor who kills
        signal.signal(signal.SIGTERM, ignore)
        self.loop.call_soon_threadsafe(self.ask)

    def be_orphaned(self) -> None:
        self.loop.remove_reader(self.lifeline.fileno())
        logger.error("the supervisor is gone: this worker ends too")
        self.ask()

    def ask(self) -> None:
        if not self.asked.done():
            self.asked.set_result(None)

    def __exit__(self, *error: object) -> None:
        signal.signal(signal.SIGTERM, ignore)
        self.loop.remove_reader(self.lifeline.fileno())


def work(
    make_server: Callable[[], Server],
    count: int | None,
    bus: WorkerBus | None,
    lifeline: Lifeline,
    handover: Handover,
) -> None:
    """Make a server, and serve until this worker is told to end.

    `count` is how many workers there are, None for as many as the server says.
    """
    global makes_server
    makes_server = True
    if sys.excepthook is sys.__excepthook__:
        sys.excepthook = tell_briefly
    server = make_server()
    makes_server = False
    server.handover = handover
    server.join_workers(server.worker_count if count is None else count, bus)
    if server.certificate is not None and server.certificate.files is not None:
        server.reload_tls()     # it may have been made when the supervisor started

    def tell_ready() -> None:
        asked = None if handover.result is None else handover.result.asked
        lifeline.tell_ready(
            server.sockets, asked=asked, workers=server.worker_count, grace=server.shutdown_grace
        )

    serve((server,), tell_ready, partial(Orders, lifeline))
