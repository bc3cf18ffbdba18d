"""The signals that ask a process to end."""

from __future__ import annotations

import asyncio
import signal
import threading
from types import FrameType
from typing import Any


class StopSignals:
    """While this is entered, the first SIGINT or SIGTERM sets the result of a future, a second one kills."""

    def __init__(self, asked: asyncio.Future[None]) -> None:
        self.asked = asked
        self.before: dict[int, Any] = {}

    def __enter__(self) -> None:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self.before[number] = signal.signal(number, self.receive)

    def receive(self, number: int, frame: FrameType | None) -> None:
        for each in self.before:
            signal.signal(each, signal.SIG_DFL)
        self.asked.get_loop().call_soon_threadsafe(self.ask)

    def ask(self) -> None:
        if not self.asked.done():
            self.asked.set_result(None)

    def __exit__(self, *error: object) -> None:
        for number, handler in self.before.items():
            signal.signal(number, handler)
