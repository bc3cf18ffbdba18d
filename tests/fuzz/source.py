"""Reads what an input says. Past its end everything is zero or empty."""

from __future__ import annotations

from ..core.oracle_websocket import write
from ..core.peer import KEY
from ..core.pieces import cut


class Source:
    def __init__(self, data):
        self.data = data
        self.at = 0

    def __bool__(self):
        return self.at < len(self.data)

    def take(self, size):
        self.at += size
        return self.data[self.at - size : self.at]

    def rest(self):
        return self.take(max(0, len(self.data) - self.at))

    def byte(self):
        return int.from_bytes(self.take(1))

    def number(self):
        return int.from_bytes(self.take(2))

    def choice(self, options):
        return options[self.byte() % len(options)]

    def cuts(self):
        """A function that cuts bytes into three pieces."""
        points = [self.number(), self.number()]
        return lambda data: cut(data, points)

    def content(self, most):
        """Bytes: how many, then they, and how often if the highest bit of the first says so."""
        size = self.byte()
        content = self.take(size & 127)
        return content * (1 + self.byte() % most) if size & 128 else content

    def frame(self):
        """A frame of a client that says its size truly: its first byte, then its payload."""
        first = self.byte()
        payload = self.content(8)
        return write(first & 15, payload, fin=first >> 7, rsv=first >> 4 & 7, key=KEY)
