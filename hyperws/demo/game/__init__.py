"""The game, at /game/{room}: snakes in one arena, for as many as there is place for. All messages are JSON.

From a visitor:  {"type": "join", "token": TOKEN, "name": "Quiet Otter"}
                 {"type": "turn", "to": "up"}           or "right", "down", "left"
                 {"type": "snapshot"}                   one, please: something was missed
To a visitor:    {"type": "joined", "you": PLAYER}      the name of one's own snake in what follows
                 {"type": "snapshot", "epoch": EPOCH, "state": {"tick": 7, ...}, "hash": "0f3a..."}
                 {"type": "delta", "epoch": EPOCH, "delta": {"tick": 8, ...}, "hash": "..." now and then}
                 {"type": "error", "text": "what was wrong with the last message"}

A snapshot comes first, and every few seconds; then a delta ten times a second. One that is not of the same
epoch, or not of the next tick, can't be applied: ask for a snapshot. What is in them is said in rules.py, in
which process the arena is, in room.py. Who has not joined, watches.

TOKEN is a secret of the visitor's, 24 hexadecimal digits: whoever comes back with it in time has the same
snake and score again. Others only get to know PLAYER, which is made from it, but does not lead back to it.

Each arena takes time, so that there are MOST_ROOMS in a process. The latest that nobody is connected to here
makes way for a new one; where somebody is in each, the connection ends with 1013.
"""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta

from hyperws import Context, Server

from .. import pages
from ..leader import member
from ..messages import Incoming, Name, Refused, message, read
from .room import Room, Turned
from .rules import MOST_PLAYERS

PATTERN = r"/game/{room:[\w-]{1,40}}"
MOST_ROOMS = 100


class Join(Incoming):
    token: Annotated[str, Meta(pattern=r"^[0-9a-f]{24}\Z")]
    name: Name


class Turn(Incoming):
    to: Literal["up", "right", "down", "left"]


class Snapshot(Incoming):
    pass


def mount(server: Server) -> None:
    rooms: dict[str, Room] = {}
    running: dict[str, asyncio.Task[None]] = {}

    async def game(ctx: Context) -> None:
        try:
            room = enter(ctx.params["room"])
        except Refused as refused:
            return await ctx.close(1013, str(refused))
        try:
            await play(ctx, room)
        finally:
            room.visitors -= 1

    def enter(name: str) -> Room:
        if name not in rooms:
            if len(rooms) >= MOST_ROOMS:
                close_one()
            room = rooms[name] = Room(server, name)
            running[name] = asyncio.create_task(run(name, room), name=room.topic)
        rooms[name].visitors += 1
        return rooms[name]

    def close_one() -> None:
        deserted = next((name for name in reversed(rooms) if not rooms[name].visitors), None)
        if deserted is None:
            raise Refused(f"There are {MOST_ROOMS} arenas already: go to one of them, or try again later")
        del rooms[deserted]
        running.pop(deserted).cancel()

    async def run(name: str, room: Room) -> None:
        try:
            await room.run()
        finally:
            if rooms.get(name) is room:
                del rooms[name], running[name]

    @server.on_shutdown
    def stop() -> None:
        for task in running.values():
            task.cancel()

    pages.show(server, PATTERN, Path(__file__).parent)
    server.route(PATTERN, game, websocket=True)


async def play(ctx: Context, room: Room) -> None:
    """Serve one visitor."""
    ctx.subscribe(room.topic, policy="drop")    # who misses something asks for a snapshot
    if snapshot := room.snapshot():
        ctx.send(snapshot)
    seat = member()
    player: str | None = None
    async for got in read(ctx, (Join, Turn, Snapshot)):
        match got:
            case Join(token, name):
                wanted = player_of(token, room)
                if room.has_place_for(wanted):
                    player = wanted
                    ctx.subscribe(room.topic, policy="drop", member={**seat, "player": player, "name": name})
                    await ctx.send(message("joined", you=player))
                else:
                    words = f"The arena is full: {MOST_PLAYERS} play. You can watch"
                    await ctx.send(message("error", text=words))
            case Turn(to) if player is not None:
                room.tell(Turned(player, to))
            case Turn():
                await ctx.send(message("error", text="You only watch: join to play"))
            case Snapshot():
                if snapshot := room.snapshot():
                    await ctx.send(snapshot)


def player_of(token: str, room: Room) -> str:
    return hashlib.sha256(f"{room.topic}/{token}".encode()).hexdigest()[:16]
