"""What visitors may ask for, read from JSON, and what they are answered."""

from __future__ import annotations

from typing import Annotated, Any, TypeAlias

import msgspec
from msgspec import Meta

from ..messages import Incoming, Rate, Refused, message, text_of, words

KINDS = "chat, command and ping"

Id: TypeAlias = Annotated[str, Meta(max_length=40)] | Annotated[int, Meta(ge=0, lt=2**53)]


class Request(Incoming, kw_only=True):
    id: Id | None = None


class Chat(Request):
    content: Annotated[str, Meta(min_length=1, max_length=1000)]


class Command(Request):
    command: Annotated[str, Meta(max_length=40)]
    seconds: Annotated[float, Meta(ge=0, le=5)] = 1.0  # to wait


class Ping(Request):
    pass


class Head(msgspec.Struct):
    """What can be known of a request, whatever else is wrong with it."""

    type: Any = None
    id: Id | None = None


HEAD = msgspec.json.Decoder(Head)
REQUEST: msgspec.json.Decoder[Chat | Command | Ping] = msgspec.json.Decoder(Chat | Command | Ping)
UNREADABLE = (msgspec.DecodeError, RecursionError)


def parse(data: str | bytes, rate: Rate) -> Chat | Command | Ping:
    """The request that a visitor has sent. Raises Refused with what is wrong with it."""
    text = text_of(data, rate)
    try:
        if HEAD.decode(text).type not in ("chat", "command", "ping"):
            raise Refused(f"Unknown type: there are {KINDS}")
        return REQUEST.decode(text)
    except UNREADABLE as error:
        raise Refused(words(error)) from None


def id_of(data: str | bytes) -> Id | None:
    """The id of what may be no request at all."""
    try:
        return HEAD.decode(data).id
    except UNREADABLE:
        return None


def reply(type: str, id: Id | None, /, **fields: Any) -> str:
    """An answer to the request of this id, if it has one."""
    return message(type, **fields if id is None else {"id": id, **fields})
