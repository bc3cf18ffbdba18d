"""The binary messages of y-websocket."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from ..messages import Refused
from .updates import Changes, read_changes, read_state
from .wire import CLIENT, Reader, number, prefixed

STATE = 900  # bytes of JSON in what a visitor tells about itself; a member of a topic has 1024
STATES = 1000  # of these in a message


class Step1(NamedTuple):
    state: bytes


class Update(NamedTuple):
    update: bytes
    changes: Changes


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


def read(message: bytes) -> Message:
    """What a message says. Raises Refused for one that makes no sense or holds what is not allowed."""
    reader = Reader(message)
    try:
        match reader.number():
            case 0:
                return read_sync(reader)
            case 1:
                return Awareness(read_states(reader))
            case 3:
                reader.end()
                return Query()
    except IndexError:
        raise Refused("The message ends too early") from None
    except (UnicodeDecodeError, msgspec.DecodeError, RecursionError) as error:
        raise Refused(f"The message makes no sense: {error}") from None
    raise Refused("There is no such kind of message")


def read_sync(reader: Reader) -> Step1 | Update:
    kind, content = reader.number(), reader.bytes()
    reader.end()
    if kind == 0:
        read_state(content)
        return Step1(content)
    if kind in (1, 2):
        return Update(content, read_changes(content))
    raise Refused("There is no such kind of message")


def read_states(message: Reader) -> list[State]:
    states = []
    reader = Reader(message.bytes())
    message.end()
    for _ in range(reader.number(STATES)):
        client, clock, content = reader.number(CLIENT), reader.number(), reader.bytes()
        state = msgspec.json.decode(content, type=dict[str, Any] | None)
        if len(msgspec.json.encode(state)) > STATE:
            raise Refused(f"What a visitor tells about itself has at most {STATE} bytes")
        states.append(State(client, clock, state))
    reader.end()
    return states


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
