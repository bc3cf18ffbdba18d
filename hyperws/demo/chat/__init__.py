"""Chat, at /chat/ROOM: what one visitor says, everyone in the room reads, all in the same order.

From a visitor:  {"type": "subscribe", "topic": "chat:ROOM", "since": "the last `at`, after a reconnect"}
                 {"type": "enter", "name": "Ada", "id": "a secret of this tab"}, and again for another name
                 {"type": "say", "id": "1", "text": "hello"}
                 {"type": "writing"}

To a visitor:    {"type": "welcome", "text": "Welcome to chat, client: 127.0.0.1:50000"}
                 {"type": "said", "topic": "chat:ROOM", "at": "...", "id": "1", "visitor": "3f2a...",
                     "name": "Ada #3f2a", "text": "hello", "time": milliseconds since 1970}
                 {"type": "subscribed", "topic": "chat:ROOM", "at": "...", "recovered": true}
                 {"type": "missing"}: something was said that will not come
                 {"type": "you", "visitor": "3f2a...", "name": "Ada #3f2a"}, the answer to "enter"
                 {"type": "members", "members": [{"member": "...", "visitor": "...", "name": "..."}]}
                 {"type": "here", "member": ..., "visitor": ..., "name": ...}: has come, or has another name
                 {"type": "left", "member": ..., "visitor": ..., "name": ...}
                 {"type": "writing", "visitor": ..., "name": ...}
                 {"type": "refused", "id": "1", "wait": seconds, "text": "why"}, where one is too fast
                 {"type": "error", "text": "what is wrong with the last message"}

A connection is one member, so two tabs are two. Anyone may take any name; the sign behind it follows from the
tab's secret and tells namesakes apart. What was said is one history for all processes, so that its order is
the same everywhere; who is there is told by each process to its own visitors. Where MOST_ROOMS are kept
already, what is said in others is heard by those who are there, but not kept, and has no "at"; who comes to
such a room of the same process later is told that something is missing.
"""

from __future__ import annotations

import time
from hashlib import sha256
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from hyperws import Context, Member, Server

from .. import pages
from ..messages import Incoming, Name, Rate, message, read, too_fast
from .rooms import Kept

PATTERN = r"/chat/{room:[\w-]{1,40}}"
KEPT = 100  # things said in a room: even the longest together fit into a visitor's Limits.send_queue
KEPT_SECONDS = 3600.0
MOST_ROOMS = 200  # that one process keeps; one may take a megabyte, if somebody is after that


class Subscribe(Incoming):
    topic: str
    since: Annotated[str, Meta(max_length=80)] = "start"


class Enter(Incoming):
    name: Name
    id: Annotated[str, Meta(min_length=8, max_length=64)]


class Say(Incoming):
    id: Annotated[str, Meta(max_length=32)]
    text: Annotated[str, Meta(max_length=1000, pattern=r"\S")]


class Writing(Incoming):
    pass


def mount(server: Server) -> None:
    pages.show(server, PATTERN, Path(__file__).parent)
    server.history("chat:*", messages=KEPT, seconds=KEPT_SECONDS, wrap=numbered)
    kept = Kept(MOST_ROOMS, KEPT_SECONDS)

    @server.route("/chat", methods=["GET", "HEAD"], websocket=False)
    async def lobby(ctx: Context) -> None:
        await ctx.redirect("/chat/lobby")

    @server.route(PATTERN, websocket=True)
    async def chat(ctx: Context) -> None:
        topic = f"chat:{ctx.params['room']}"
        beside = f"writing:{ctx.params['room']}"  # what is not worth keeping
        me: dict[str, str] | None = None
        pace = Rate(0.5, 7)  # to subscribe, to enter, and to say five things at once
        await ctx.send(message("welcome", text=f"Welcome to chat, client: {ctx.client}"))
        ctx.subscribe(beside, policy="drop")
        async for wish in read(ctx, (Subscribe, Enter, Say, Writing)):
            if not isinstance(wish, Writing) and (wait := pace.wait()):
                id = wish.id if isinstance(wish, Say) else None
                await ctx.send(message("refused", id=id, wait=wait, text=too_fast(wait)))
                continue
            match wish:
                case Subscribe(topic=wanted) if wanted != topic:
                    await ctx.send(message("error", text=f"The topic of this room is {topic}"))
                case Subscribe(since=since):
                    await catch_up(ctx, topic, since, me)
                case Enter(name=name, id=id):
                    visitor = sha256(id.encode()).hexdigest()[:16]
                    me = {"visitor": visitor, "name": f"{name} #{visitor[:4]}"}
                    await ctx.send(message("you", **me))
                    ctx.subscribe(topic, member=me)
                case _ if me is None:
                    await ctx.send(message("error", text="Say who you are first"))
                case Say(id=id, text=text):
                    said = {"id": id, "text": text, "time": round(time.time() * 1000), **me}
                    if kept.has_place_for(topic):
                        server.publish(topic, msgspec.json.encode(said).decode())
                    else:
                        server.publish(beside, message("said", topic=topic, **said))
                case Writing():
                    ctx.publish(beside, message("writing", **me))

    async def catch_up(ctx: Context, topic: str, since: str, me: dict[str, str] | None) -> None:
        """Give a visitor what was said, and who is there."""
        ctx.unsubscribe(topic)
        subscription = await ctx.subscribe(topic, since, member=me)
        whole = bool(subscription.recovered) and not kept.lacks(topic)
        if not whole:
            await ctx.send(message("missing"))
        if not subscription.recovered:
            ctx.unsubscribe(topic)
            subscription = await ctx.subscribe(topic, "start", member=me)  # then at least what there is
        at = f"{subscription.epoch}:{subscription.offset}"
        await ctx.send(message("subscribed", topic=topic, at=at, recovered=whole))
        members = [described(member) for member in await server.members(topic)]
        await ctx.send(message("members", members=members))

    @server.on_member_joined
    def here(topic: str, member: Member) -> None:
        tell(topic, "here", member)

    @server.on_member_left
    def left(topic: str, member: Member) -> None:
        tell(topic, "left", member)

    @server.on_gap
    def gap(topic: str) -> None:
        tell(topic, "missing")

    def tell(topic: str, type: str, member: Member | None = None) -> None:
        """Tell the visitors of a room who are in this process: the other processes do the same."""
        if topic.startswith("chat:"):
            server.publish(topic, message(type, **described(member) if member else {}), local=True)


def numbered(topic: str, said: str | bytes, epoch: str, offset: int) -> str:
    return message("said", topic=topic, at=f"{epoch}:{offset}", **msgspec.json.decode(said))


def described(member: Member) -> dict[str, str]:
    return {"member": member.id, **member.data}
