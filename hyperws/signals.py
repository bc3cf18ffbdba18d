"""The signals that a running server listens to."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

STOP = (signal.SIGINT, signal.SIGTERM)


class Signals:
    """While this is entered, the first SIGINT or SIGTERM sets the result of a future and a second one kills;
    SIGHUP calls a function in the event loop of that future."""

    def __init__(self, asked: asyncio.Future[None], reload: Callable[[], None]) -> None:
        self.asked = asked
        self.reload = reload
        self.before: dict[int, Any] = {}

    def __enter__(self) -> None:
        if threading.current_thread() is not threading.main_thread():
            return
        for number in STOP:
            self.before[number] = signal.signal(number, self.receive_stop)
        if hasattr(signal, "SIGHUP"):
            self.before[signal.SIGHUP] = signal.signal(signal.SIGHUP, self.receive_reload)

    def receive_stop(self, number: int, frame: FrameType | None) -> None:
        for each in STOP:
            signal.signal(each, signal.SIG_DFL)
        self.asked.get_loop().call_soon_threadsafe(self.ask)

    def receive_reload(self, number: int, frame: FrameType | None) -> None:
        self.asked.get_loop().call_soon_threadsafe(self.reload)

    def ask(self) -> None:
        if not self.asked.done():
            self.asked.set_result(None)

    def __exit__(self, *error: object) -> None:
        for number, handler in self.before.items():
            signal.signal(number, handler)
