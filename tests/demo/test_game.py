"""The game, by raw clients that check each tick, and across processes."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import zlib
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as connect_async
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from hyperws.demo import create_server, game
from hyperws.demo.game import rules
from hyperws.demo.game.rules import (
    MOST_PLAYERS,
    OPPOSITE,
    STEPS,
)

from .conftest import Demo, running_demo

TIMEOUT = 10  # seconds
CLOCKWISE = dict(zip(STEPS, [*list(STEPS)[1:], "up"], strict=True))


# --- clients that check everything


class Copy:
    """An arena from snapshots and deltas, made by other means than the game's own; every hash is checked."""

    def __init__(self) -> None:
        self.epoch: Any = None
        self.state: Any = None
        self.checked = 0
        self.hashes: dict[tuple[str, int], str] = {}

    def take(self, message: Any) -> None:
        if message["type"] == "snapshot":
            self.epoch, self.state = message["epoch"], message["state"]
        elif message["type"] == "delta" and self.state is not None:
            delta = message["delta"]
            if message["epoch"] == self.epoch and delta["tick"] <= self.state["tick"]:
                return
            assert message["epoch"] == self.epoch
            assert delta["tick"] == self.state["tick"] + 1, "a tick is missing"
            self.change(delta)
        else:
            return
        own = self.hashes[str(self.epoch), self.state["tick"]] = self.hash()
        if "hash" in message:
            assert message["hash"] == own
            self.checked += 1

    def change(self, delta: Any) -> None:
        state = self.state
        kept = [cell for cell in state["food"] if cell not in delta.get("eaten", [])]
        snakes = {**state["snakes"], **delta.get("snakes", {})}
        bodies = {**state["bodies"], **delta.get("bodies", {})}
        for player, (head, length) in delta.get("moved", {}).items():
            bodies[player] = ([head] + bodies[player])[:length]
        there = [player for player in snakes if player not in delta.get("gone", [])]
        self.state = {
            "seed": state["seed"],
            "tick": delta["tick"],
            "food": kept + delta.get("food", []),
            "snakes": {player: snakes[player] for player in there},
            "bodies": {player: bodies[player] for player in there},
            "crown": delta.get("crown", state["crown"]),
        }

    def hash(self) -> str:
        def row(cells: list[int]) -> str:
            return ",".join(str(cell) for cell in cells)

        state = self.state
        text = f"{state['seed']} {state['tick']} {state['crown']} {row(sorted(state['food']))}"
        for player, snake in sorted(state["snakes"].items()):
            text += f"\n{player} {snake['score']} {snake['heading']} {snake['due']} {snake['away']} "
            text += f"{row(state['bodies'][player])} {snake['name']}"
        return format(zlib.crc32(text.encode()), "08x")


class Client:
    def __init__(self, socket: Any) -> None:
        self.socket = socket
        self.copy = Copy()
        self.me = ""
        self.news: list[str] = []

    def say(self, type: str, **fields: Any) -> None:
        self.socket.send(json.dumps({"type": type, **fields}))

    def hear(self) -> Any:
        message = json.loads(self.socket.recv(TIMEOUT))
        self.copy.take(message)
        if message["type"] == "joined":
            self.me = message["you"]
        self.news += message.get("delta", {}).get("news", [])
        return message

    def until(self, true: Callable[[Any], object]) -> Any:
        """Listen until something is true of a message. Returns what is."""
        for _ in range(600):
            if found := true(self.hear()):
                return found
        raise AssertionError("it did not come about")

    def error(self) -> str:
        text: str = self.until(lambda message: message["type"] == "error" and message["text"])
        return text

    def join(self, token: str, name: str = "Somebody") -> None:
        self.say("join", token=token * 24, name=name)
        self.until(lambda _: self.body())

    def body(self, player: str | None = None) -> Any:
        return (self.copy.state or {"bodies": {}})["bodies"].get(player or self.me)

    def snake(self) -> Any:
        return self.copy.state["snakes"][self.me]

    def turn(self) -> None:
        """Turn, and again if it crashes meanwhile."""
        to = ""
        while not to or self.snake()["heading"] != to:
            self.until(lambda _: self.body())
            to = CLOCKWISE[self.snake()["heading"]]
            self.say("turn", to=to)
            self.until(lambda _, to=to: self.snake()["heading"] == to or not self.body())


@contextmanager
def client(demo: Demo, room: str) -> Iterator[Client]:
    url = demo.socket(f"/game/{room}")
    with connect(url, proxy=None, open_timeout=TIMEOUT, max_queue=None) as socket:
        yield Client(socket)


def test_two_see_the_same_at_each_tick(demo: Demo) -> None:
    with client(demo, "same") as ann, client(demo, "same") as bob:
        ann.join("a", "Ann")
        bob.join("b", "Bob")
        ann.turn()
        bob.turn()
        last = bob.copy.state["tick"] + 60      # longer than from one snapshot to the next
        for each in (ann, bob):
            each.until(lambda _, each=each: each.copy.state["tick"] >= last)
        both = ann.copy.hashes.keys() & bob.copy.hashes.keys()
        assert len(both) > 50
        assert all(ann.copy.hashes[at] == bob.copy.hashes[at] for at in both)
        assert ann.copy.checked > 6
        assert ann.copy.state["snakes"][bob.me]["name"] == "Bob"


def test_who_comes_back_has_the_same_snake_and_score(demo: Demo) -> None:
    with client(demo, "back") as watcher:
        with client(demo, "back") as ann:
            ann.join("a", "Ann")
            before = ann.me
        watcher.until(lambda _: "Ann is away." in watcher.news)
        assert watcher.copy.state["snakes"][before]["away"]
        with client(demo, "back") as ann:
            ann.join("a", "Ann B.")
            assert ann.me == before
            assert len(ann.copy.state["snakes"]) == 1
            tick = ann.copy.state["tick"]
            watcher.until(lambda _: watcher.copy.state["tick"] >= tick)
            assert "Ann B. is back." in watcher.news
            assert watcher.copy.hashes[str(ann.copy.epoch), tick] == ann.copy.hash()
            ann.turn()


def test_a_token_is_told_to_nobody(demo: Demo) -> None:
    with client(demo, "secret") as ann, client(demo, "secret") as bob:
        ann.join("a")
        bob.join("b")
        for _ in range(60):
            assert "aaaaaa" not in json.dumps(bob.hear())
        assert ann.me not in ("a" * 24, bob.me)


@pytest.mark.parametrize(
    ("message", "complaint"),
    [
        (b"\x00\xff", "not bytes"),
        ("", "Input data was truncated"),
        ("hello", "invalid"),
        ("[" * 100_000, ""),
        ("null", "Expected `object`"),
        ('{"type": "eat"}', "Invalid value 'eat'"),
        ('{"type": "turn", "to": "back"}', "Invalid enum value 'back'"),
        ('{"type": "turn", "to": 1}', "Expected `str`"),
        ('{"type": "turn"}', "missing required field `to`"),
        ('{"type": "turn", "to": "up", "player": "bob"}', "unknown field `player`"),
        ('{"type": "turn", "to": "up"}', "You only watch"),
        ('{"type": "join", "name": "Ann"}', "missing required field `token`"),
        ('{"type": "join", "name": "Ann", "token": "short"}', "matching regex"),
        (json.dumps({"type": "join", "token": "a" * 24, "name": "x" * 21}), "of length <= 20"),
        (json.dumps({"type": "join", "token": "a" * 24, "name": "Ann\n"}), "matching regex"),
        (json.dumps({"type": "join", "token": "a" * 24 + "\n", "name": "Ann"}), "matching regex"),
        (json.dumps({"type": "join", "token": "a" * 24, "name": " "}), "matching regex"),
        (json.dumps({"type": "join", "token": "a" * 24, "name": "\ud800"}), ""),
        (json.dumps({"type": "join", "token": "a" * 24, "name": "x" * 500_000}), "of length <= 20"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused_in_words(demo: Demo, message: str | bytes, complaint: str) -> None:
    with client(demo, "nonsense") as ann:
        ann.socket.send(message)
        assert complaint in ann.error()
        ann.join("c", "Ann")       # and may go on


def test_a_flood_is_refused_and_disturbs_nobody(demo: Demo) -> None:
    with client(demo, "flood") as ann, client(demo, "flood") as bob:
        ann.join("a", "Ann")
        bob.join("b", "Bob")
        for _ in range(300):
            ann.say("turn", to="up")
        assert "Too fast" in ann.error()
        first = bob.copy.state["tick"]
        bob.until(lambda _: bob.copy.state["tick"] > first + 10)    # none is missing, or it would fail
        bob.turn()


def test_turning_back_is_refused_in_words(demo: Demo) -> None:
    with client(demo, "turning-back") as ann:
        ann.join("a")
        ann.say("turn", to=OPPOSITE[ann.snake()["heading"]])
        words = ann.until(lambda message: message.get("delta", {}).get("refused", {}).get(ann.me))
        assert words == "A snake can't turn back on itself"


def test_a_full_arena_can_be_watched(demo: Demo) -> None:
    with ExitStack() as stack:
        for each in "0123456789ab":
            stack.enter_context(client(demo, "full")).join(each)
        late = stack.enter_context(client(demo, "full"))
        late.say("join", token="c" * 24, name="Late")
        assert late.error() == f"The arena is full: {MOST_PLAYERS} play. You can watch"
        seen = late.copy.state["tick"]
        late.until(lambda _: late.copy.state["tick"] > seen + 10)
        late.say("turn", to="up")
        assert "You only watch" in late.error()


def test_a_snapshot_comes_for_the_asking(demo: Demo) -> None:
    with client(demo, "asking") as ann:
        ann.join("a")
        ann.say("snapshot")
        tick = ann.copy.state["tick"]
        snapshot = ann.until(lambda message: message["type"] == "snapshot" and message)
        assert tick <= snapshot["state"]["tick"] <= tick + 10


def test_rooms_are_apart(demo: Demo) -> None:
    with client(demo, "one") as ann, client(demo, "other") as bob:
        ann.join("a", "Ann")
        bob.join("a", "Bob")
        assert ann.me != bob.me         # nor can one be told to be the other's
        assert list(bob.copy.state["snakes"]) == [bob.me]


def test_an_arena_is_forgotten_after_its_players(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, "AWAY", 2)
    monkeypatch.setattr(rules, "FORGOTTEN", 4)

    async def play() -> None:
        async with create_server(port=0, folder=str(tmp_path)) as server:
            url = "ws://{}:{}/game/lone".format(*server.address)
            async with connect_async(url, proxy=None) as socket:
                await socket.send(json.dumps({"type": "join", "token": "a" * 24, "name": "Ann"}))
                while "moved" not in str(await socket.recv()):
                    pass
                [room] = [task for task in asyncio.all_tasks() if task.get_name() == "game:lone"]
            await asyncio.wait_for(room, TIMEOUT)
            assert not [topic for topic in server.topics.in_use() if topic.startswith("game:")]

    asyncio.run(play())


def test_arenas_are_only_so_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(game, "MOST_ROOMS", 3)

    async def play() -> None:
        async with create_server(port=0) as server, AsyncExitStack() as open:

            async def enter(room: str) -> ClientConnection:
                url = "ws://{}:{}/game/{}".format(*server.address, room)
                return await open.enter_async_context(connect_async(url, proxy=None))

            async def is_playing(socket: ClientConnection) -> None:
                await socket.send(json.dumps({"type": "join", "token": "a" * 24, "name": "Ann"}))
                while "moved" not in str(await socket.recv()):
                    pass

            def rooms() -> set[str]:
                return {name for task in asyncio.all_tasks() if (name := task.get_name()).startswith("game:")}

            first, second, third = [await enter(f"room{number}") for number in (1, 2, 3)]
            for socket in (first, second, third):
                await is_playing(socket)
            refused = await enter("room4")
            with pytest.raises(ConnectionClosed):
                await refused.recv()
            assert (refused.close_code, refused.close_reason) == (
                1013,
                "There are 3 arenas already: go to one of them, or try again later",
            )
            await first.close()
            await third.close()
            await is_playing(await enter("room4"))      # in place of the latest that is deserted
            assert rooms() == {"game:room1", "game:room2", "game:room4"}
            await is_playing(await enter("room1"))      # where the snake was all the time
            await is_playing(second)

    asyncio.run(asyncio.wait_for(play(), TIMEOUT))


# --- several processes


@contextmanager
def client_elsewhere(demo: Demo, room: str, worker: int) -> Iterator[Client]:
    """One whose connection is not in this worker."""
    for _ in range(100):
        with client(demo, room) as one:
            if demo.worker_of(one.socket) != worker:
                yield one
                return
    raise AssertionError("all connections are in one worker")


@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="needs Linux's /proc")
def test_players_in_two_processes_play_on_when_the_leading_one_is_killed(tmp_path: Path) -> None:
    with running_demo(tmp_path, "--workers", "2") as demo, client(demo, "workers") as ann:
        ann.join("a", "Ann")
        leading = demo.worker_of(ann.socket)
        with client_elsewhere(demo, "workers", leading) as bob:
            bob.join("b", "Bob")
            ann.until(lambda _: ann.body(bob.me))
            bob.turn()
            tick = bob.copy.state["tick"]
            ann.until(lambda _: ann.copy.state["tick"] >= tick)
            assert ann.copy.hashes[str(bob.copy.epoch), tick] == bob.copy.hashes[str(bob.copy.epoch), tick]

            os.kill(leading, signal.SIGKILL)
            before = bob.copy.epoch
            bob.until(lambda _: bob.copy.epoch != before)
            assert bob.copy.epoch[0] == before[0] + 1
            assert bob.copy.state["tick"] >= tick       # it goes on from where it was
            bob.until(lambda _: bob.body())
            bob.turn()
            with client(demo, "workers") as again:
                again.join("a", "Ann")
                assert again.me == ann.me
                assert set(again.copy.state["snakes"]) == {ann.me, bob.me}
                again.turn()
