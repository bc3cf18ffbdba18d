"""Collaborative editor, at /collab/{doc}: several people edit one text at once, and all end up with the same.

The text is a CRDT: pycrdt on the server, Yjs in the page. Messages are those of y-websocket, in binary (see
`protocol.py`), so that any client of Yjs may join: `new WebsocketProvider("ws://host/collab", doc, ydoc)`.
A document is one plain text, `ydoc.getText("text")`; nothing else is let in, see `updates.py`.

    0 0 state     sync step 1, from both sides: "this is what I have"
    0 1 update    sync step 2, the answer: "and this is what you lack"
    0 2 update    a change; goes on to all others, in all processes. Where the document lacks something that
                  comes before it, the answer is step 1
    1 states      awareness: who is there, where their cursor is. A visitor speaks for one client of Yjs
                  alone, and for none that another one speaks for; what else it says is left out
    3             asks for the awareness of all

Beside them there are texts in JSON, which a client of y-websocket never causes nor gets:

    {"type": "ping", "id": 7}       answered by {"type": "pong", "id": 7} once all that came before is stored
    {"type": "error", "text": "…"}  what is wrong with a message; it is left out

One who sends too much is read more slowly: an update that is left out would make all later ones useless. What
grows too large ends the connection with 4413.

Documents are kept in an SQLite file, from which all processes of a machine read what they have missed. So
workers make sense, and a broker too, but not processes on machines that don't share a disk.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from time import monotonic

import msgspec

from hyperws import Context, Member, Server

from .. import pages
from ..messages import Incoming, Refused, Traffic, message, words
from . import protocol

try:
    from .documents import Documents, OutOfOrder, TooLarge
except ModuleNotFoundError as error:
    if error.name != "pycrdt":
        raise
    documents_can_be_kept = False
else:
    documents_can_be_kept = True

PATTERN = r"/collab/{doc:[\w-]{1,40}}"
TOPIC = "collab:"
PAUSE = 0.01  # seconds, the least between two messages of a visitor
SHARE = 0.1  # of this process's time, the most for a visitor
MOST_MISSED = 3  # updates in a row for which a visitor is asked for what comes before


class Ping(Incoming):
    id: int | None = None


def decode(data: str | bytes) -> protocol.Message | Ping:
    return protocol.read(data) if isinstance(data, bytes) else msgspec.json.decode(data, type=Ping)


def mount(server: Server, folder: Path) -> None:
    here = Path(__file__).parent
    if not documents_can_be_kept:
        return pages.show(server, PATTERN, here, "missing.html")
    pages.show(server, PATTERN, here)
    documents = Documents(folder)
    server.on_startup(documents.begin)
    server.on_shutdown(documents.close)

    async def edit(ctx: Context) -> None:
        topic = TOPIC + ctx.params["doc"]
        await ctx.subscribe(topic)  # from here on nothing is missed; what was before is in the document
        document = documents.open(ctx.params["doc"])
        await ctx.send(protocol.step1(document.state()))
        await ctx.send(await everyone(topic))
        client: int | None = None  # the one of Yjs that this visitor speaks for
        missed = 0  # updates in a row that could not be taken
        async for data in ctx:
            Traffic.messages += 1
            began = monotonic()
            try:
                match decode(data):
                    case protocol.Step1(state):
                        await ctx.send(protocol.step2(document.since(state)))
                    case protocol.Update(update, changes):
                        if news := document.take(update, changes):
                            server.publish(topic, protocol.update(news), exclude=ctx)
                        missed = 0
                    case protocol.Awareness(states):
                        client = client if client is not None or not states else states[0].client
                        for one in states:
                            if one.client == client and await may_speak(ctx, topic, client):
                                ctx.subscribe(topic, member=msgspec.to_builtins(one))
                    case protocol.Query():
                        await ctx.send(await everyone(topic))
                    case Ping(None):
                        await ctx.send(message("pong"))
                    case Ping(id) if not missed:
                        await ctx.send(message("pong", id=id))
            except OutOfOrder:
                missed += 1
                if missed <= MOST_MISSED:
                    await ctx.send(protocol.step1(document.state()))
                else:
                    await ctx.send(message("error", text="The update goes on from what is not here"))
            except TooLarge as error:
                return await ctx.close(4413, str(error))
            except (Refused, msgspec.DecodeError) as error:
                missed += isinstance(data, bytes)
                await ctx.send(message("error", text=words(error)))
            spent = monotonic() - began
            await asyncio.sleep(max(PAUSE, spent / SHARE - spent))

    async def may_speak(ctx: Context, topic: str, client: int) -> bool:
        """Whether nobody else speaks for this client of Yjs."""
        members = await server.members(topic)
        return all(member.context is ctx for member in members if member.data["client"] == client)

    async def everyone(topic: str) -> bytes:
        """The awareness of all who are there, in all processes."""
        return protocol.awareness([protocol.State(**member.data) for member in await server.members(topic)])

    @server.on_member_joined  # or has moved
    def show(topic: str, member: Member) -> None:
        if topic.startswith(TOPIC):
            server.publish(topic, protocol.awareness([protocol.State(**member.data)]), local=True)

    @server.on_member_left
    def take_away(topic: str, member: Member) -> None:
        if topic.startswith(TOPIC):
            gone = protocol.State(**member.data | {"state": None})
            server.publish(topic, protocol.awareness([gone]), local=True)

    @server.on_gap
    def make_up(topic: str) -> None:
        document = documents.opened.get(topic.removeprefix(TOPIC))
        if topic.startswith(TOPIC) and document is not None:
            server.publish(topic, protocol.update(document.since()), local=True)

    server.route(PATTERN, edit, websocket=True)
