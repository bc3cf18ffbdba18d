"""How Yjs writes: numbers in as many bytes as they need, with seven bits in each, the lowest first; bytes and
texts after their length."""

from __future__ import annotations

from ..messages import Refused

CLIENT = 2**53 - 1  # the largest number of a client: what JavaScript can count to
CLOCK = 2**31 - 1  # the largest of all others


class Reader:
    """Takes bytes apart. Raises IndexError where they end too early, Refused for what is not allowed."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def byte(self) -> int:
        self.at += 1
        return self.data[self.at - 1]

    def number(self, most: int = CLOCK) -> int:
        number = shift = 0
        more = 0x80
        while more:
            byte = self.byte()
            number |= (byte & 0x7F) << shift
            more = byte & 0x80
            shift += 7
            if number > most or shift > 56:
                raise Refused("The message has a number that is too large")
        return number

    def counted(self, least: int) -> range:
        """So many things follow, of at least so many bytes each."""
        count = self.number()
        if count * least > len(self.data) - self.at:
            raise IndexError
        return range(count)

    def bytes(self) -> bytes:
        length = self.number()
        start, self.at = self.at, self.at + length
        if self.at > len(self.data):
            raise IndexError
        return self.data[start : self.at]

    def text(self) -> str:
        return self.bytes().decode()

    def end(self) -> None:
        if self.at != len(self.data):
            raise Refused("The message is longer than it says")


def number(number: int) -> bytes:
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*encoded, number])


def prefixed(data: bytes) -> bytes:
    return number(len(data)) + data
