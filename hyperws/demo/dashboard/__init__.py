"""A live dashboard, at /data: the figures of the server process itself, by three ways side by side.

Each process makes one feed, 60 points a second for as long as somebody looks and 10 seconds more:

    {"type": "point", "topic": "dashboard", "at": "…", "pid": 4711, "n": 1, "t": 1234.567891, …}

    n               counts the points of the process, without a gap
    t               when it was made: seconds by a clock of the machine that only goes forward
    late            milliseconds by which the event loop was late for this point
    received        messages a second that visitors sent, to all applications but the echo
    sent            points a second that this feed has delivered, to sockets and event streams
    answers         HTTP responses a second, of all pages
    sockets         WebSockets that are open, of all applications
    streams         event streams that are open, of this one
    memory          bytes of RAM (resident set), null where that can't be had
    cpu             percent of one core

Rates, and `cpu`, are those of the last second.

By WebSocket, at /data. From a visitor:
    {"type": "subscribe", "topic": "dashboard", "since": "…"}   since the point with that "at", or from now on
    {"type": "unsubscribe", "topic": "dashboard"}
    {"type": "clock", "sent": 1.5}                              asks what time it is
To a visitor: points, and
    {"type": "subscribed", "topic": "dashboard", "at": "…", "recovered": true}     whether all since then came
    {"type": "clock", "sent": 1.5, "now": 1234.5}
    {"type": "error", "text": "what is wrong with the last message"}

As an event stream, at /data/events: each point is an event. A client that comes back with Last-Event-ID (or
?since=…) gets what it missed, or an event "lost" where that is too old.

By polling, at /data/poll?since=…: {"recovered": true, "points": […]}, all that came after, and the last
point alone where `since` is missing or too old.

With --workers or a backplane, each process shows itself: three connections may show three processes, which
is what `pid` is for. Who reads too slowly gets the newest point and finds a gap in `n`.
"""

from __future__ import annotations

import re
from pathlib import Path
from time import monotonic
from typing import Annotated, Literal

from msgspec import Meta, Raw

from hyperws import BadRequest, Context, Server

from .. import pages
from ..messages import Incoming, message, read
from .feed import Feed

AT = r"[\w-]{1,64}:[0-9]{1,19}"


class Subscribe(Incoming):
    topic: Literal["dashboard"]
    since: Annotated[str, Meta(pattern=f"^{AT}$")] | None = None


class Unsubscribe(Incoming):
    topic: Literal["dashboard"]


class Clock(Incoming):
    sent: float


def mount(server: Server) -> None:
    feed = Feed(server)

    async def socket(ctx: Context) -> None:
        try:
            async for got in read(ctx, (Subscribe, Unsubscribe, Clock)):
                await answer(ctx, feed, got)
        finally:
            feed.unwatch(ctx)

    async def events(ctx: Context) -> None:
        since = ctx.last_event_id or ctx.query.get("since")
        feed.watch(ctx)
        feed.streams += 1
        try:
            await ctx.send_event(None, retry=1000)
            subscription = await ctx.subscribe(feed.topic, since=since, policy="latest")
            if subscription.recovered is False:
                await ctx.send_event("Some points are lost", event="lost")
            await ctx.wait_closed()
        finally:
            feed.streams -= 1
            feed.unwatch(ctx)

    async def poll(ctx: Context) -> None:
        since = ctx.query.get("since")
        if since is not None and not re.fullmatch(AT, since):
            raise BadRequest(400, 'since takes the "at" of a point.')
        feed.look()
        recovered, points = feed.after(since)
        ctx.set_response_header("cache-control", "no-store")
        await ctx.json({"recovered": recovered, "points": [Raw(point) for point in points]})

    @server.on_ws_connected
    def connected(ctx: Context) -> None:
        feed.sockets += 1

    @server.on_ws_closed
    def closed(ctx: Context) -> None:
        feed.sockets -= 1

    @server.response_middleware
    def answered(ctx: Context) -> None:
        feed.answers += 1

    server.route("/data", socket, websocket=True)
    pages.show(server, "/data", Path(__file__).parent)
    server.route("/data/events", events, methods=["GET"], websocket=False)
    server.route("/data/poll", poll, methods=["GET"], websocket=False)


async def answer(ctx: Context, feed: Feed, got: Incoming) -> None:
    match got:
        case Clock():
            await ctx.send(message("clock", sent=got.sent, now=monotonic()))
        case Unsubscribe():
            ctx.unsubscribe(feed.topic)
            feed.unwatch(ctx)
        case Subscribe():
            feed.watch(ctx)
            ctx.unsubscribe(feed.topic)  # where one asks again, since another point
            subscription = await ctx.subscribe(feed.topic, since=got.since, policy="latest")
            at = f"{subscription.epoch}:{subscription.offset}"
            await ctx.send(message("subscribed", topic=got.topic, at=at, recovered=subscription.recovered))
