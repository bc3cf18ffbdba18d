"""Resilience, at /resilience: a connection is cut, falls silent or fills up, and nothing is lost.

The server makes four ticks a second for as long as somebody looks, and a minute longer:

    {"type": "tick", "topic": "resilience", "at": "…", "n": 17}      n grows by one with each

The last two minutes of them are kept. Who comes back with the "at" of the last tick that it has gets those
that it missed, in order, ahead of new ones. From a visitor:

    {"type": "subscribe", "topic": "resilience", "since": "…"}       since a tick, or from now on
    {"type": "unsubscribe", "topic": "resilience"}
    {"type": "message", "text": "hello"}    up to 1024 characters
    {"type": "close"}                       the server closes with 1012, as one that restarts
    {"type": "silence"}                     it says nothing more on this connection, and does not close it
    {"type": "hold"}                        it reads nothing from this connection for a while
    {"type": "chunk", "data": "…"}          something to fill the line with meanwhile

To a visitor:

    {"type": "connected", "client": "127.0.0.1:50000"}               the first message
    {"type": "heartbeat", "count": 3}       every few seconds, with the number of messages processed
    {"type": "subscribed", "topic": "resilience", "at": "…", "recovered": true}    whether all since then came
    {"type": "missing"}                     the broker has forgotten what it kept: ticks may be lost
    {"type": "processed", "original": "hello"}
    {"type": "holding"}, {"type": "reading"}                         that it does not read, and reads again
    {"type": "taken", "size": 524288}       a chunk has arrived
    {"type": "error", "text": "what is wrong with the last message"}

With --workers or a backplane, one process makes the ticks and a broker keeps them: who comes back may come
to any other process. What the process keeps itself, a restart loses, and visitors are told.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta

from hyperws import ConnectionClosed, Context, Server

from .. import pages
from ..messages import Incoming, message, read
from .ticks import TOPIC, Ticks

HEARTBEAT = 5.0  # seconds
HOLD = 4.0
LONGEST = 1024  # characters of a message


class Subscribe(Incoming):
    topic: Literal["resilience"]
    since: Annotated[str, Meta(max_length=100)] | None = None


class Unsubscribe(Incoming):
    topic: Literal["resilience"]


class Message(Incoming):
    text: str


class Close(Incoming):
    pass


class Silence(Incoming):
    pass


class Hold(Incoming):
    pass


class Chunk(Incoming):
    data: str


KINDS = (Subscribe, Unsubscribe, Message, Close, Silence, Hold, Chunk)


def mount(server: Server) -> None:
    ticks = Ticks(server)

    async def socket(ctx: Context) -> None:
        await ctx.send(message("connected", client=ctx.client))
        ctx.state["processed"] = 0
        heart = asyncio.create_task(beat(ctx))
        try:
            async for got in read(ctx, KINDS):
                if isinstance(got, Close):
                    await ctx.close(1012, "the server closed, as if it restarted")
                elif isinstance(got, Silence):
                    break
                else:
                    await answer(ctx, ticks, got)
        finally:
            heart.cancel()
            ticks.leave(ctx)
        async for _ in ctx:  # in silence
            pass

    @server.on_gap
    def gap(topic: str) -> None:
        if topic == TOPIC:
            server.publish(topic, message("missing"), local=True)

    server.route("/resilience", socket, websocket=True)
    pages.show(server, "/resilience", Path(__file__).parent)


async def beat(ctx: Context) -> None:
    with suppress(ConnectionClosed):
        while True:
            await asyncio.sleep(HEARTBEAT)
            await ctx.send(message("heartbeat", count=ctx.state["processed"]))


async def answer(ctx: Context, ticks: Ticks, got: Incoming) -> None:
    match got:
        case Subscribe():
            subscription = await ticks.join(ctx, got.since)
            at = f"{subscription.epoch}:{subscription.offset}"
            await ctx.send(message("subscribed", topic=TOPIC, at=at, recovered=subscription.recovered))
        case Unsubscribe():
            ticks.leave(ctx)
        case Message():
            await ctx.send(process(ctx, got.text))
        case Hold():
            await ctx.send(message("holding"))
            await asyncio.sleep(HOLD)
            await ctx.send(message("reading"))
        case Chunk():
            await ctx.send(message("taken", size=len(got.data)))


def process(ctx: Context, text: str) -> str:
    if not text.strip():
        return message("error", text="Empty message")
    if len(text) > LONGEST:
        return message("error", text=f"Message too long: at most {LONGEST} characters are allowed")
    ctx.state["processed"] += 1
    return message("processed", original=text)
