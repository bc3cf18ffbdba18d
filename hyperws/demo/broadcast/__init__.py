"""Groups, at /broadcast: join some, speak to them, see who is there, and what becomes of a reader that is too
slow. All messages are JSON.

From a visitor:

    {"type": "subscribe", "topic": "tea", "name": "Calm Otter"}     join a group, or take another name in it
    {"type": "unsubscribe", "topic": "tea"}
    {"type": "publish", "topic": "tea", "message": "hello", "myself": false}
    {"type": "start", "policy": "drop", "rate": 100}    a feed of one's own, and a reader that can be slow
    {"type": "reading", "on": false}                    have that one stop reading
    {"type": "stop"}

To a visitor:

    {"type": "joined", "client_id": "9f86d081"}         first of all: who one is
    {"type": "subscribed", "topic": "tea", "members": [{"client_id": "9f86d081", "name": "Calm Otter"}, ...]}
    {"type": "published", "topic": "tea", "here": 3}    so many got it here, in this process
    {"type": "error", "text": "what was wrong", "about": "subscribe", "topic": "tea"}

To all in the group:

    {"type": "joined", "topic": "tea", "client_id": "9f86d081", "name": "Calm Otter"}
    {"type": "broadcast", "topic": "tea", "from": "9f86d081", "name": "Calm Otter", "message": "hello"}
    {"type": "left", "topic": "tea", "client_id": "9f86d081", "name": "Calm Otter"}
    {"type": "missing", "topic": "tea"}     the way to other processes was cut: something may be lost

A group's topic is also what hyperws.js subscribes to, so that a page is back in its groups after each
reconnect. What the feed adds is in feed.py.
"""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Annotated

from msgspec import Meta

from hyperws import Context, Member, Server

from .. import pages
from ..messages import Incoming, Name, Refused, message, read
from . import feed
from .feed import Feed, Reading, Start, Stop

PREFIX = "group:"
MOST_GROUPS = 5     # that one client may be in

Group = Annotated[str, Meta(pattern=r"^[\w-]+\Z", max_length=30)]
Text = Annotated[str, Meta(min_length=1, max_length=500)]


class Subscribe(Incoming):
    topic: Group
    name: Name


class Unsubscribe(Incoming):
    topic: Group


class Publish(Incoming):
    topic: Group
    message: Text
    myself: bool = True


KINDS = (Subscribe, Unsubscribe, Publish, Start, Reading, Stop)


def mount(server: Server) -> None:
    pages.show(server, "/broadcast", Path(__file__).parent)
    server.route("/broadcast", broadcast, websocket=True)
    feed.mount(server)

    @server.on_member_joined
    def joined(topic: str, member: Member) -> None:
        tell_group("joined", topic, **member.data)

    @server.on_member_left
    def left(topic: str, member: Member) -> None:
        tell_group("left", topic, **member.data)

    @server.on_gap
    def gap(topic: str) -> None:
        tell_group("missing", topic)

    def tell_group(type: str, of: str, **what: str) -> None:
        """Each process is told of what happens in all topics, and tells those who are connected to it."""
        if of.startswith(PREFIX):
            server.publish(of, message(type, topic=of.removeprefix(PREFIX), **what), local=True)


async def broadcast(ctx: Context) -> None:
    client = Client(ctx)
    await ctx.send(message("joined", client_id=client.id))
    async for got in read(ctx, KINDS):
        try:
            await client.do(got)
        except Refused as error:
            about, topic = type(got).__name__.lower(), getattr(got, "topic", None)
            await ctx.send(message("error", about=about, topic=topic, text=str(error)))


class Client:
    """One connection: the groups that it is in, and its feed."""

    def __init__(self, ctx: Context) -> None:
        self.ctx = ctx
        self.id = secrets.token_hex(4)
        self.groups: dict[str, str] = {}    # what it is called in each
        self.feed: Feed | None = None

    async def do(self, got: Incoming) -> None:
        """What a message asks for. Raises Refused."""
        match got:
            case Subscribe():
                await self.join(got.topic, got.name)
            case Unsubscribe():
                await self.leave(got.topic)
            case Publish():
                await self.publish(got)
            case Start():
                if self.feed is not None and self.feed.running:
                    raise Refused("Your feed runs already: stop it first")
                self.feed = Feed(self.ctx, got.policy, got.rate)
            case Reading() if self.feed is not None:
                self.feed.set_reading(got.on)
            case Stop() if self.feed is not None:
                self.feed.stopping = True

    async def join(self, group: str, name: str) -> None:
        if group not in self.groups and len(self.groups) == MOST_GROUPS:
            raise Refused(f"You are in {MOST_GROUPS} groups, which is the most: leave one first")
        self.groups[group] = name
        topic = PREFIX + group
        await self.ctx.subscribe(topic, member={"client_id": self.id, "name": name})
        members = [member.data for member in await self.ctx.server.members(topic)]
        await self.ctx.send(message("subscribed", topic=group, members=members))

    async def leave(self, group: str) -> None:
        name = self.groups.pop(group, None)
        if name is not None:
            self.ctx.unsubscribe(PREFIX + group)
            await self.ctx.send(message("left", topic=group, client_id=self.id, name=name))

    async def publish(self, said: Publish) -> None:
        name = self.groups.get(said.topic)
        if name is None:
            raise Refused(f"You are not in {said.topic}: join it first")
        what = {"topic": said.topic, "from": self.id, "name": name, "message": said.message}
        publish = self.ctx.server.publish if said.myself else self.ctx.publish
        here = publish(PREFIX + said.topic, message("broadcast", **what))
        await self.ctx.send(message("published", topic=said.topic, here=here))
