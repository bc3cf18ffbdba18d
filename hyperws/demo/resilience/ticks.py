"""The ticks: a numbered message four times a second, kept for those who come back."""

from __future__ import annotations

import asyncio
from time import monotonic

from hyperws import Context, Server, Subscription

from ..leader import leads, member
from ..messages import message

TOPIC = "resilience"
PERIOD = 0.25  # seconds
KEPT = 120
LINGER = 60  # for which they go on when the last visitor has left, who may only be cut off


class Ticks:
    def __init__(self, server: Server) -> None:
        self.server = server
        self.visitors: set[Context] = set()
        self.task: asyncio.Task[None] | None = None
        server.history(TOPIC, messages=round(KEPT / PERIOD), seconds=KEPT, wrap=numbered)
        server.on_shutdown(self.stop)

    async def join(self, ctx: Context, since: str | None) -> Subscription:
        """Give a visitor the ticks since one, and those to come."""
        self.visitors.add(ctx)
        if self.task is None or self.task.done():
            self.task = asyncio.create_task(self.run())
        ctx.unsubscribe(TOPIC)  # where one asks again, since another tick
        return await ctx.subscribe(TOPIC, since=since, member=member())

    def leave(self, ctx: Context) -> None:
        self.visitors.discard(ctx)
        ctx.unsubscribe(TOPIC)

    async def run(self) -> None:
        """Make them, while this process leads or has been the last to lead."""
        due = looked = monotonic()
        leading = False
        while self.visitors or (leading and monotonic() < looked + LINGER):
            due = max(due + PERIOD, monotonic())
            await asyncio.sleep(due - monotonic())
            if self.visitors:
                looked = monotonic()
            leading = await leads(self.server, TOPIC) or (leading and not await self.server.members(TOPIC))
            if leading:
                self.server.publish(TOPIC, "tick")

    def stop(self) -> None:
        if self.task is not None:
            self.task.cancel()


def numbered(topic: str, tick: str | bytes, epoch: str, offset: int) -> str:
    """What visitors get: a tick with its place."""
    return message(str(tick), topic=topic, at=f"{epoch}:{offset}", n=offset)
