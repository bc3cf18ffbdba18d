"""The signals that a running process listens to."""

from __future__ import annotations

import asyncio
import signal
import socket
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any, Self

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


class SignalQueue:
    """While this is entered, these signals do nothing but make it readable, and `take` tells which came.

    For a process without an event loop, in its main thread.
    """

    def __init__(self, *numbers: int) -> None:
        self.numbers = numbers
        self.before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        self.reader, self.writer = socket.socketpair()
        self.reader.setblocking(False)
        self.writer.setblocking(False)
        self.wakeup_before = signal.set_wakeup_fd(self.writer.fileno(), warn_on_full_buffer=False)
        for number in self.numbers:
            self.before[number] = signal.signal(number, self.receive)
        return self

    def receive(self, number: int, frame: FrameType | None) -> None:
        """Python has written its number to the socket."""

    def fileno(self) -> int:
        return self.reader.fileno()

    def take(self) -> bytes:
        """The numbers of the signals that have come since the last time."""
        try:
            return self.reader.recv(4096)
        except BlockingIOError:
            return b""

    def close(self) -> None:
        """Leave the signals of a forked process alone: they are its own affair."""
        self.reader.close()
        self.writer.close()

    def __exit__(self, *error: object) -> None:
        for number, handler in self.before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self.wakeup_before)
        self.close()
