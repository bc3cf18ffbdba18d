"""A feed of numbers with two readers: the visitor, and a second one that stops reading when it is told to.

The second reader is a real one: a WebSocket client that the server opens to itself, and whose socket it
leaves alone for as long as it is to be slow. What that one does not take fills the buffers of the system,
then waits in the server, until the policy of its subscription acts: see "Peers that are too slow" in
docs/groups.md.

To a visitor:

    {"type": "number", "number": 1, "filler": "..."}    the feed itself, 8 KiB each
    {"type": "feed", "running": true, "reading": true, "published": 120, ...}   ten times a second:

    received, last, skipped     so many has the second reader got, the last one, so many missing in between
    ended                       whether it has come to the end of its connection
    dropped, closed             so many has the server left out for it; with which code it has cut it off

All workers listen on one port, so that the second reader may well be connected to another process. That one
tells by a topic what it knows.
"""

from __future__ import annotations

import asyncio
import secrets
from contextlib import suppress
from typing import Annotated, Any, Literal, get_args

import msgspec
from msgspec import Meta

from hyperws import ConnectionClosed, Context, Server

from ..messages import Incoming, Refused, message
from .reader import Reader

MOST_FEEDS = 10     # in one process
SECONDS = 30        # that a feed lasts at most
TICK = 0.1          # seconds between two reports
CATCH_UP = 50       # ticks that the reader gets in the end, to read what is left
FILLER = "." * 8192

Policy = Literal["close", "drop", "latest"]


class Start(Incoming):
    policy: Policy
    rate: Annotated[int, Meta(ge=20, le=200)]   # numbers a second


class Reading(Incoming):
    on: bool


class Stop(Incoming):
    pass


def mount(server: Server) -> None:
    policies = "|".join(get_args(Policy))
    server.route(f"/broadcast/feed/{{id:[0-9a-f]{{32}}}}/{{policy:{policies}}}", serve_reader, websocket=True)


async def serve_reader(ctx: Context) -> None:
    """The server's side of the second reader."""
    id = ctx.params["id"]
    subscription = await ctx.subscribe(f"feed:{id}", policy=msgspec.convert(ctx.params["policy"], Policy))
    await ctx.send("ready")
    while True:
        fate = {"dropped": subscription.dropped, "closed": ctx.close_code}
        ctx.server.publish(f"fate:{id}", msgspec.json.encode(fate).decode())
        if ctx.closed:
            return
        await asyncio.sleep(TICK)


feeds: set[Feed] = set()    # those that run in this process


class Feed:
    """Runs until it is stopped, or its visitor is found to have left; for SECONDS at most.

    Raises Refused where there are too many.
    """

    def __init__(self, ctx: Context, policy: Policy, rate: int) -> None:
        if len(feeds) >= MOST_FEEDS:
            raise Refused("So many others have a feed that there is none left: try again in a minute")
        self.ctx = ctx
        self.id = secrets.token_hex(16)
        self.policy = policy
        self.rate = rate
        self.published = 0
        self.stopping = False
        self.reader = Reader()
        self.fate: dict[str, Any] = {"dropped": 0, "closed": None}      # what the reader's server says of it
        self.task = asyncio.create_task(self.run())
        feeds.add(self)
        self.task.add_done_callback(lambda task: feeds.discard(self))

    @property
    def running(self) -> bool:
        return not self.task.done()

    def set_reading(self, on: bool) -> None:
        if on:
            self.reader.may_read.set()
        else:
            self.reader.may_read.clear()

    async def run(self) -> None:
        with suppress(ConnectionClosed):    # the visitor's
            try:
                await self.feed()
            except (OSError, EOFError):
                await self.ctx.send(message("error", about="start", text="The slow reader can't connect"))

    async def feed(self) -> None:
        server, topic = self.ctx.server, f"feed:{self.id}"
        listener = server.subscribe(f"fate:{self.id}", self.learn)
        reading = None
        try:
            await self.ctx.subscribe(topic)
            await self.reader.connect(*server.address, f"/broadcast/feed/{self.id}/{self.policy}")
            reading = asyncio.create_task(self.reader.run())
            await self.publish(topic)
            await self.let_catch_up()
            await self.tell(running=False)
        finally:
            if reading is not None:
                reading.cancel()
            self.reader.close()
            listener.close()
            self.ctx.unsubscribe(topic)

    async def publish(self, topic: str) -> None:
        clock = asyncio.get_running_loop().time
        ends_at, told_at = clock() + SECONDS, 0.0
        while not self.stopping and clock() < ends_at:
            self.published += 1
            self.ctx.server.publish(topic, message("number", number=self.published, filler=FILLER))
            if clock() - told_at >= TICK:
                told_at = clock()
                await self.tell()
            await asyncio.sleep(1 / self.rate)

    async def let_catch_up(self) -> None:
        """Give the reader a moment to read what is left."""
        self.set_reading(True)
        for _ in range(CATCH_UP):
            if self.reader.ended or self.reader.received + self.fate["dropped"] >= self.published:
                break
            await self.tell()
            await asyncio.sleep(TICK)

    def learn(self, fate: str) -> None:
        self.fate = msgspec.json.decode(fate)

    async def tell(self, running: bool = True) -> None:
        reader = self.reader
        await self.ctx.send(message(
            "feed", running=running, reading=reader.may_read.is_set(), published=self.published,
            received=reader.received, last=reader.last, skipped=reader.skipped, ended=reader.ended,
            **self.fate,
        ))  # fmt: skip
