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

    def choice(self, options):
        return options[self.byte() % len(options)]

    def cuts(self):
        """A function that cuts bytes into three pieces."""
        points = [int.from_bytes(self.take(2)) for _ in range(2)]
        return lambda data: cut(data, points)

    def frame(self):
        """A frame of a client that says its size truly: its first byte, its size, its payload."""
        first, size = self.byte(), self.byte()
        payload = self.take(size & 127)
        if size & 128:      # a long one
            payload *= 1 + (self.byte() & 7)
        return write(first & 15, payload, fin=first >> 7, rsv=first >> 4 & 7, key=KEY)
