"""A room in one process: its arena is simulated here, or followed.

Three topics, of which visitors hear only the first:

    game:ROOM           its members are the players, in all processes; a copy of the ticks, for those here
    game:ROOM:ticks     snapshots and deltas, from the process that simulates to all that have visitors
    game:ROOM:inputs    turns, and requests for a snapshot, from all of them to the one that simulates

The process that leads (see leader.py) simulates. If another one did so before, it goes on from the last tick
that it has heard of, in a new epoch: [takeovers of this arena so far, when this one happened]. Who hears of a
better epoch stops and follows. The better one has more takeovers, or as many and began earlier: so an arena
that was begun anew, as nobody knew better, never replaces one that goes on. After a silence, any epoch is as
good.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator

import msgspec

from hyperws import Server

from ..leader import leads, seniority
from .rules import Arena, Delta, State, digest

TICK = 0.1          # seconds
PROOF = 10          # ticks from one digest to the next
SNAPSHOT = 50       # ticks from one snapshot to the next
PATIENCE = 5        # ticks in which others may say that they know this arena
SILENCE = 3.0       # seconds

Epoch = tuple[int, float]


class Snapshot(msgspec.Struct, tag_field="type", tag="snapshot"):
    epoch: Epoch
    state: State
    hash: str


class Tick(msgspec.Struct, tag_field="type", tag="delta", omit_defaults=True):
    epoch: Epoch
    delta: Delta
    hash: str | None = None


class Turned(msgspec.Struct, tag_field="type", tag="turn"):
    player: str
    to: str


class Asked(msgspec.Struct, tag_field="type", tag="ask"):
    pass


TICKS = msgspec.json.Decoder(Snapshot | Tick)
INPUTS = msgspec.json.Decoder(Turned | Asked)


class Room:
    def __init__(self, server: Server, name: str) -> None:
        self.server = server
        self.topic = f"game:{name}"
        self.visitors = 0
        """Connections in this process."""
        self.arena: Arena | None = None
        self.epoch: Epoch = (-1, 0.0)
        self.simulates = False
        self.heard = 0.0
        """When something last came from the one that is followed."""

    async def run(self) -> None:
        """Until nobody is here, nor any snake in an arena of ours."""
        listeners = [
            self.server.subscribe(f"{self.topic}:ticks", self.hear),
            self.server.subscribe(f"{self.topic}:inputs", self.take),
        ]
        try:
            for listener in listeners:
                await listener.subscription
            self.tell(Asked())
            waited = 0
            async for _ in every(TICK):
                waited += 1
                await self.look_who_leads(waited > PATIENCE)
                if self.simulates:
                    await self.tick()
                elif not self.visitors:
                    return
        finally:
            for listener in listeners:
                listener.close()

    def snapshot(self) -> str | None:
        """The arena as far as it is known here."""
        if self.arena is None:
            return None
        return encode(Snapshot(self.epoch, self.arena.state, digest(self.arena.state)))

    def has_place_for(self, player: str) -> bool:
        return self.arena is None or self.arena.has_place_for(player)

    def tell(self, what: Turned | Asked) -> None:
        """Tell the process that simulates."""
        self.server.publish(f"{self.topic}:inputs", encode(what))

    # --------------------------------------------------------------- where it simulates

    async def look_who_leads(self, waited: bool) -> None:
        if self.simulates or not await leads(self.server, self.topic):
            return
        if self.arena is None:
            if not waited:
                return
            self.arena = Arena(State(secrets.randbits(32)))
        self.epoch = self.epoch[0] + 1, time.time()
        self.simulates = True
        self.publish_snapshot()

    async def tick(self) -> None:
        members = sorted(await self.server.members(self.topic), key=seniority)
        arena = self.arena
        if not self.simulates or arena is None:
            return      # there was news meanwhile
        here = {member.data["player"]: member.data["name"] for member in members}
        delta = arena.step(here)
        proof = digest(arena.state) if delta.tick % PROOF == 0 else None
        self.publish(Tick(self.epoch, delta, proof))
        if delta.tick % SNAPSHOT == 0:
            self.publish_snapshot()
        if not arena.state.snakes:
            self.simulates = False      # until somebody comes

    def take(self, message: str) -> None:
        """Take what comes to the one that simulates."""
        if not self.simulates or self.arena is None:
            return
        match INPUTS.decode(message):
            case Turned(player, to):
                self.arena.turn(player, to)
            case Asked():
                self.publish_snapshot()

    def publish_snapshot(self) -> None:
        assert self.arena is not None
        self.publish(Snapshot(self.epoch, self.arena.state, digest(self.arena.state)))

    def publish(self, what: Snapshot | Tick) -> None:
        self.server.publish(f"{self.topic}:ticks", encode(what))

    # ------------------------------------------------------------------ where it follows

    def hear(self, message: str) -> None:
        """Take a snapshot or a delta, and hand it to the visitors here if it is worth it."""
        got = TICKS.decode(message)
        if got.epoch == self.epoch and self.simulates:
            self.show(message)      # our own
        elif not self.prefers(got.epoch):
            if self.simulates:
                self.publish_snapshot()     # for the other one to follow
        elif isinstance(got, Snapshot):
            self.arena, self.epoch, self.simulates = Arena(got.state), got.epoch, False
            self.show(message)
        elif self.arena is None or got.epoch != self.epoch or got.delta.tick > self.arena.state.tick + 1:
            self.tell(Asked())
        elif got.delta.tick == self.arena.state.tick + 1:
            self.arena.apply(got.delta)
            self.show(message)
            if got.hash not in (None, digest(self.arena.state)):
                self.tell(Asked())

    def prefers(self, epoch: Epoch) -> bool:
        if epoch == self.epoch or (epoch[0], -epoch[1]) > (self.epoch[0], -self.epoch[1]):
            return True
        return not self.simulates and time.monotonic() > self.heard + SILENCE

    def show(self, message: str) -> None:
        self.heard = time.monotonic()
        self.server.publish(self.topic, message, local=True)


async def every(seconds: float) -> AsyncIterator[None]:
    """A beat that does not drift: it is counted from the start. Beats that were missed are left out."""
    loop = asyncio.get_running_loop()
    start = loop.time()
    count = 0
    while True:
        count = max(count + 1, int((loop.time() - start) / seconds))
        await asyncio.sleep(start + count * seconds - loop.time())
        yield


def encode(what: msgspec.Struct) -> str:
    return msgspec.json.encode(what).decode()
