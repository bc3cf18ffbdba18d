"""What visitors send: read and checked by msgspec, refused in words, and no more of it than is allowed.

All applications but the echo speak JSON: objects with a "type". Whatever can't be read, is not allowed or
comes too fast is answered by {"type": "error", "text": "what is wrong with it"}, and {"type": "ping"} by
{"type": "pong"}.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from time import monotonic
from typing import Annotated, Any, TypeAlias, TypeVar, Union

import msgspec

from hyperws import Context

LONGEST_ERROR = 200  # characters

# Not seen, or has the rest of a line run the other way. A name is to be what it looks like.
UNSEEN = r"\x00-\x1f\x7f-\x9f\xad\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff"
JOINERS = r"\u200c\u200d"  # those are needed within names

# What a visitor is called; visitor.js has the same rule.
Name: TypeAlias = Annotated[str, msgspec.Meta(max_length=20, pattern=rf"^(?=[^\s{JOINERS}])[^{UNSEEN}]+\Z")]


class Incoming(msgspec.Struct, tag_field="type", tag=str.lower, forbid_unknown_fields=True):
    """A message from a visitor: a subclass `Move` is {"type": "move", ...its fields}."""


class Ping(Incoming):
    pass


Kind = TypeVar("Kind", bound=Incoming)


class Refused(Exception):
    """What a visitor wants is not to be had; the text says why."""


class Traffic:
    """What visitors have sent to this process, for the dashboard."""

    messages = 0


class Rate:
    """Allows so many things a second, and `burst` of them at once."""

    def __init__(self, per_second: float, burst: float) -> None:
        self.per_second = per_second
        self.burst = burst
        self.left = burst
        self.looked = monotonic()

    def wait(self) -> float:
        """Take one. Returns 0.0, or the seconds after which there would be one."""
        now = monotonic()
        self.left = min(self.burst, self.left + (now - self.looked) * self.per_second)
        self.looked = now
        if self.left < 1:
            return (1 - self.left) / self.per_second
        self.left -= 1
        return 0.0


def message(type: str, /, **fields: Any) -> str:
    """A message to visitors."""
    return msgspec.json.encode({"type": type, **fields}).decode()


def words(error: BaseException) -> str:
    """What is wrong with a message. An error may quote what it does not like: not all of it is sent back."""
    text = str(error)
    return text if len(text) <= LONGEST_ERROR else f"{text[:LONGEST_ERROR]}…"


def text_of(data: str | bytes, rate: Rate) -> str:
    """What a visitor has sent. Raises Refused for bytes, and for what comes too fast."""
    Traffic.messages += 1
    if wait := rate.wait():
        raise Refused(too_fast(wait))
    if isinstance(data, bytes):
        raise Refused("Send text, not bytes")
    return data


def too_fast(wait: float) -> str:
    return f"Too fast: try again in {wait:.1f} seconds"


async def read(
    ctx: Context, kinds: type[Kind] | tuple[type[Kind], ...], rate: Rate | None = None
) -> AsyncIterator[Kind]:
    """Yield the messages of these kinds that a visitor sends; answer all others.

    By default 20 messages a second are allowed, 40 at once.
    """
    rate = rate or Rate(20, 40)
    every = kinds if isinstance(kinds, tuple) else (kinds,)
    decoder = msgspec.json.Decoder(Union[(*every, Ping)])
    async for data in ctx:
        try:
            got = decoder.decode(text_of(data, rate))
        except (Refused, msgspec.DecodeError, RecursionError) as error:
            await ctx.send(message("error", text=words(error)))
            continue
        if isinstance(got, Ping):
            await ctx.send(message("pong"))
        else:
            yield got
