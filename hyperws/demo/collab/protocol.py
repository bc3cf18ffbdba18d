"""The binary messages of y-websocket, and a look into what they carry before pycrdt or another browser does.

Numbers are of variable length, seven bits a byte, the lowest first; bytes and texts have their length before
them. The look is a strict one: a few bytes may name a count for which pycrdt would make room at once, or a
number that is too large for JavaScript, and there are kinds of content that a text does not need.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from ..messages import Refused

CLIENT = 2**53 - 1  # the largest number of a client: what JavaScript can count to
CLOCK = 2**31 - 1  # the largest of all others
STATE = 900  # bytes of JSON in what a visitor tells about itself; a member of a topic has 1024
STATES = 100  # of these in a message

GC, DELETED, STRING, SKIP = 0, 1, 4, 10  # what the blocks of an update are, as far as a text has it
HAS_ORIGIN, HAS_RIGHT_ORIGIN = 0x80, 0x40  # in the first byte of a block, beside its content


class Step1(NamedTuple):
    state: bytes


class Update(NamedTuple):
    update: bytes


class State(msgspec.Struct):
    """What a client of Yjs tells about itself; `state` is None once it is gone."""

    client: int
    clock: int
    state: dict[str, Any] | None


class Awareness(NamedTuple):
    states: list[State]


class Query(NamedTuple):
    pass


Message = Step1 | Update | Awareness | Query


# ---------------------------------------------------------------------------------------------- reading


def read(message: bytes) -> Message:
    """What a message says. Raises Refused for one that makes no sense or holds what is not allowed."""
    reader = Reader(message)
    try:
        match reader.number():
            case 0:
                kind, content = reader.number(), reader.bytes()
                reader.end()
                if kind == 0:
                    check_vector(Reader(content))
                    return Step1(content)
                if kind in (1, 2):
                    check_update(Reader(content))
                    return Update(content)
            case 1:
                content = reader.bytes()
                reader.end()
                return Awareness(read_states(Reader(content)))
            case 3:
                reader.end()
                return Query()
    except IndexError:
        raise Refused("The message ends too early") from None
    except (UnicodeDecodeError, msgspec.DecodeError, RecursionError) as error:
        raise Refused(f"The message makes no sense: {error}") from None
    raise Refused("There is no such kind of message")


class Reader:
    """Takes a message apart. Raises IndexError where it ends too early."""

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


def check_vector(reader: Reader) -> None:
    for _ in counted(reader, 2):
        reader.number(CLIENT)
        reader.number()
    reader.end()


def check_update(reader: Reader) -> None:
    for _ in counted(reader, 4):
        blocks, client, clock = counted(reader, 2), reader.number(CLIENT), reader.number()
        for _ in blocks:
            clock += check_block(reader, client, clock)
            if clock > CLOCK:
                raise Refused("The update has a number that is too large")
    for _ in counted(reader, 4):  # what is deleted
        reader.number(CLIENT)
        for _ in counted(reader, 2):
            reader.number()
            reader.number()
    reader.end()


def counted(reader: Reader, least: int) -> range:
    """So many things follow, of at least so many bytes each."""
    count = reader.number()
    if count * least > len(reader.data) - reader.at:
        raise IndexError
    return range(count)


def check_block(reader: Reader, client: int, clock: int) -> int:
    """Returns the length of a block: units of UTF-16, if it is a text."""
    info = reader.byte()
    content = info & ~(HAS_ORIGIN | HAS_RIGHT_ORIGIN)
    if content in (DELETED, STRING):
        check_place(reader, info, client, clock)
    elif info not in (GC, SKIP):
        raise Refused("A document holds plain text, nothing else")
    length = utf16(reader.text()) if content == STRING else reader.number()
    if not length:
        raise Refused("The update has a text without a length")
    return length


def utf16(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


def check_place(reader: Reader, info: int, client: int, clock: int) -> None:
    """A text stands between two others, or is the first in a text of the document, which has a name."""
    for side in HAS_ORIGIN, HAS_RIGHT_ORIGIN:
        if info & side:
            neighbour, at = reader.number(CLIENT), reader.number()
            if neighbour == client and at >= clock:
                raise Refused("The update has a text that stands beside itself")
    if not info & (HAS_ORIGIN | HAS_RIGHT_ORIGIN):
        if reader.byte() != 1:
            raise Refused("A document holds plain text, nothing else")
        reader.text()


def read_states(reader: Reader) -> list[State]:
    states = []
    for _ in range(reader.number(STATES)):
        client, clock, state = reader.number(CLIENT), reader.number(), reader.bytes()
        if len(state) > STATE:
            raise Refused(f"What a visitor tells about itself has at most {STATE} bytes")
        states.append(State(client, clock, msgspec.json.decode(state, type=dict[str, Any] | None)))
    reader.end()
    return states


# ---------------------------------------------------------------------------------------------- writing


def step1(state: bytes) -> bytes:
    return b"\0\0" + prefixed(state)


def step2(update: bytes) -> bytes:
    return b"\0\1" + prefixed(update)


def update(update: bytes) -> bytes:
    return b"\0\2" + prefixed(update)


def awareness(states: list[State]) -> bytes:
    content = [number(len(states))]
    for one in states:
        content += number(one.client), number(one.clock), prefixed(msgspec.json.encode(one.state))
    return b"\1" + prefixed(b"".join(content))


def prefixed(data: bytes) -> bytes:
    return number(len(data)) + data


def number(number: int) -> bytes:
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*encoded, number])
