"""The game: its rules by themselves, by raw clients that check each tick, and on two pages."""

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

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as connect_async
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from hyperws.demo import create_server, game
from hyperws.demo.game import rules
from hyperws.demo.game.room import every
from hyperws.demo.game.rules import (
    AWAY,
    CLEAR,
    FOOD,
    FORGOTTEN,
    HEIGHT,
    MOST_PLAYERS,
    OPPOSITE,
    RESPAWN,
    START,
    STEPS,
    WIDTH,
    Arena,
    Delta,
    Snake,
    State,
    digest,
)

from .conftest import Demo, Visitors, running_demo, wait_for_state

TIMEOUT = 10  # seconds
CLOCKWISE = dict(zip(STEPS, [*list(STEPS)[1:], "up"], strict=True))
LARDER = set(range((HEIGHT - 1) * WIDTH, HEIGHT * WIDTH))  # the last row: enough, nothing is added elsewhere


# --- the rules


def cell(x: int, y: int) -> int:
    return y % HEIGHT * WIDTH + x % WIDTH


def arena(**snakes: tuple[str, list[tuple[int, int]]]) -> Arena:
    """An arena of snakes, each by its heading and where it is; with food in the last row only."""
    state = State(seed=1, tick=100, food=LARDER.copy())
    for player, (heading, places) in snakes.items():
        state.snakes[player] = Snake(player.title(), heading=heading)
        state.bodies[player] = tuple(cell(*place) for place in places)
    return Arena(state)


def step(arena: Arena, ticks: int = 1, without: tuple[str, ...] = ()) -> Delta:
    """Let ticks pass, with everyone but some there. Returns the last delta."""
    for _ in range(ticks):
        there = {name: snake.name for name, snake in arena.state.snakes.items() if name not in without}
        delta = arena.step(there)
    return delta


@pytest.mark.parametrize(
    ("heading", "before", "after"),
    [
        ("right", (WIDTH - 1, 5), (0, 5)),
        ("left", (0, 5), (WIDTH - 1, 5)),
        ("up", (5, 0), (5, HEIGHT - 1)),
        ("down", (5, HEIGHT - 1), (5, 0)),
        ("down", (5, 6), (5, 7)),
    ],
)
def test_a_snake_goes_on_and_edges_wrap(
    heading: str, before: tuple[int, int], after: tuple[int, int]
) -> None:
    x, y = before
    back_x, back_y = STEPS[OPPOSITE[heading]]
    body = [(x + back_x * each, y + back_y * each) for each in range(3)]
    game = arena(ann=(heading, body))
    game.state.food = set(range(20 * WIDTH, 21 * WIDTH))
    delta = step(game)
    assert game.state.bodies["ann"] == tuple(cell(*place) for place in [after, *body[:-1]])
    assert delta.moved == {"ann": (cell(*after), 3)}


def test_who_eats_grows_by_one_and_scores() -> None:
    game = arena(ann=("right", [(5, 5), (4, 5), (3, 5)]))
    game.state.food.add(cell(6, 5))
    delta = step(game)
    assert game.state.bodies["ann"] == (cell(6, 5), cell(5, 5), cell(4, 5), cell(3, 5))
    assert game.state.snakes["ann"].score == 1
    assert delta.eaten == [cell(6, 5)]
    assert game.state.food == LARDER


def test_who_runs_into_another_becomes_food() -> None:
    game = arena(
        ann=("right", [(5, 5), (4, 5), (3, 5), (2, 5)]),
        bob=("down", [(6, 7), (6, 6), (6, 5), (6, 4)]),
    )
    game.state.snakes["ann"] = Snake("Ann", score=7)
    delta = step(game)
    assert game.state.bodies["ann"] == ()
    assert game.state.bodies["bob"][0] == cell(6, 8)
    assert game.state.food - LARDER == {cell(4, 5)}     # every second piece, but not under Bob
    assert game.state.snakes["ann"].score == 7
    assert delta.news == ["Ann ran into Bob.", "Bob has the crown."]


@pytest.mark.parametrize("gap", [0, 1])
def test_head_to_head_ends_both(gap: int) -> None:
    game = arena(
        ann=("right", [(5, 5), (4, 5), (3, 5)]),
        bob=("left", [(6 + gap, 5), (7 + gap, 5), (8 + gap, 5)]),
    )
    delta = step(game)
    assert game.state.bodies == {"ann": (), "bob": ()}
    assert delta.news == ["Ann ran into Bob.", "Bob ran into Ann."]


def test_it_may_follow_its_own_end_but_not_run_into_itself() -> None:
    ring = [(5, 5), (6, 5), (6, 6), (5, 6)]
    game = arena(ann=("left", ring))
    game.turn("ann", "down")
    step(game)
    assert game.state.bodies["ann"][0] == cell(5, 6)
    game = arena(ann=("left", [*ring, (4, 6)]))
    game.turn("ann", "down")
    assert "Ann ran into itself." in step(game).news
    assert game.state.bodies["ann"] == ()


def test_who_has_crashed_is_back_after_a_while() -> None:
    game = arena(
        ann=("right", [(5, 5), (4, 5), (3, 5)]), bob=("down", [(6, 7), (6, 6), (6, 5), (6, 4), (6, 3)])
    )
    step(game)
    step(game, RESPAWN - 1)
    assert game.state.bodies["ann"] == ()
    delta = step(game)
    assert len(delta.bodies["ann"]) == START
    way = set(game.state.bodies["ann"])
    for _ in range(CLEAR):      # straight on, nothing is in the way
        step(game)
        way.add(game.state.bodies["ann"][0])
    assert len(way) == START + CLEAR


def test_turns_wait_for_their_ticks_and_some_are_refused() -> None:
    game = arena(ann=("right", [(5, 5), (4, 5), (3, 5)]))
    game.turn("ann", "left")
    assert step(game).refused == {"ann": "A snake can't turn back on itself"}
    game.turn("ann", "up")
    game.turn("ann", "left")    # back, but by way of up
    game.turn("ann", "down")
    assert step(game).refused == {"ann": "Too many turns at once"}
    assert game.state.bodies["ann"][0] == cell(6, 4)
    assert step(game).refused == {}
    assert game.state.bodies["ann"][0] == cell(5, 4)
    game.turn("nobody", "up")
    assert step(game).refused == {"nobody": "Your snake is not in the arena"}
    assert game.state.bodies["ann"][0] == cell(4, 4)


def test_who_is_away_goes_on_then_ends_and_may_come_back() -> None:
    game = arena(ann=("right", [(5, 5), (4, 5), (3, 5)]))
    game.state.snakes["ann"] = Snake("Ann", score=3)
    assert step(game, without=("ann",)).news == ["Ann is away."]
    step(game, AWAY - 1, without=("ann",))
    assert game.state.bodies["ann"][0] == cell(5 + AWAY, 5)
    step(game, without=("ann",))
    assert game.state.bodies["ann"] == ()
    step(game, RESPAWN, without=("ann",))
    assert game.state.bodies["ann"] == ()       # nobody is there to steer
    delta = step(game)
    assert delta.news == ["Ann is back."]
    assert len(game.state.bodies["ann"]) == START
    assert game.state.snakes["ann"].score == 3


def test_who_stays_away_is_forgotten() -> None:
    game = arena(ann=("right", [(5, 5), (4, 5), (3, 5)]), bob=("right", [(5, 9), (4, 9), (3, 9)]))
    step(game, FORGOTTEN, without=("ann",))
    assert "ann" in game.state.snakes
    delta = step(game, without=("ann",))
    assert delta.gone == ["ann"]
    assert delta.news == ["Ann has left."]
    assert set(game.state.snakes) == set(game.state.bodies) == {"bob"}


def test_an_arena_is_full_until_somebody_has_ended_who_is_away() -> None:
    game = Arena(State(seed=1))
    names = {f"p{number}": f"P{number}" for number in range(MOST_PLAYERS)}
    game.step(names)
    assert len(game.state.snakes) == MOST_PLAYERS
    assert game.has_place_for("p3")
    assert not game.has_place_for("late")
    game.step({**names, "late": "Late"})
    assert "late" not in game.state.snakes
    del names["p3"]
    for _ in range(AWAY + 1):
        game.step(names)
    assert game.has_place_for("late")
    game.step({**names, "late": "Late"})
    assert "late" in game.state.snakes
    assert "p3" not in game.state.snakes


def test_the_crown_stays_until_another_is_longer() -> None:
    game = arena(
        ann=("right", [(5, 5), (4, 5), (3, 5), (2, 5)]), bob=("right", [(5, 9), (4, 9), (3, 9), (2, 9)])
    )
    step(game)
    assert game.state.crown == "ann"
    step(game)
    assert game.state.crown == "ann"
    game.state.food.add(cell(8, 9))
    assert step(game).news == ["Bob has the crown."]
    assert game.state.crown == "bob"
    step(game, AWAY + 1, without=("ann", "bob"))
    assert game.state.crown == ""


PLAYERS = [f"player{number}" for number in range(5)]
ticks = st.lists(
    st.tuples(
        st.sets(st.sampled_from(PLAYERS)),
        st.lists(st.tuples(st.sampled_from(PLAYERS), st.sampled_from(list(STEPS))), max_size=4),
        st.integers(1, 12),
    ),
    max_size=30,
)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), ticks=ticks)
def test_copies_are_the_same_at_each_tick(seed: int, ticks: list[Any]) -> None:
    """A snapshot and the deltas since, by the rules' own copy and by ours. Chance is the same each time."""
    game, again = Arena(State(seed)), Arena(State(seed))
    copy = Arena(msgspec.json.decode(msgspec.json.encode(game.state), type=State))
    ours = Copy()
    ours.take({"type": "snapshot", "epoch": [0, 0], "state": as_json(game.state), "hash": digest(game.state)})
    for away, turns, times in ticks:
        here = {player: player.title() for player in PLAYERS if player not in away}
        for player, to in turns:
            game.turn(player, to)
            again.turn(player, to)
        for _ in range(times):
            delta = msgspec.json.encode(game.step(here))
            assert msgspec.json.encode(again.step(here)) == delta
            copy.apply(msgspec.json.decode(delta, type=Delta))
            assert copy.state == game.state
            assert list(copy.state.snakes) == list(game.state.snakes)
            proof = digest(game.state)
            ours.take({"type": "delta", "epoch": [0, 0], "delta": json.loads(delta), "hash": proof})
            check_sense(game.state)


def check_sense(state: State) -> None:
    """What holds in every arena."""
    cells = [cell for body in state.bodies.values() for cell in body]
    assert len(set(cells)) == len(cells), "two in one place"
    assert state.food.isdisjoint(cells), "food under a snake"
    assert len(state.food) >= FOOD + len(state.snakes)
    assert set(state.snakes) == set(state.bodies)
    assert all(0 <= cell < WIDTH * HEIGHT for cell in [*cells, *state.food])


def as_json(state: State) -> Any:
    return json.loads(msgspec.json.encode(state))


def test_the_beat_is_counted_from_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 5.0

    async def late_sleep(seconds: float) -> None:
        nonlocal now
        now += max(seconds, 0) + 0.03

    async def beats() -> list[float]:
        nonlocal now
        monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: now)
        monkeypatch.setattr(asyncio, "sleep", late_sleep)
        found = []
        async for _ in every(0.1):
            found.append(round(now - 5, 2))
            now += 0.45 if len(found) == 4 else 0.04
            if len(found) == 9:
                break
        return found

    assert asyncio.run(beats()) == [0.13, 0.23, 0.33, 0.43, 0.91, 0.98, 1.05, 1.13, 1.23]


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


# --- in a browser


COLLECT_HASHES = """until => {
    window.hashes = new Promise(done => {
        const canvas = document.getElementById("canvas");
        const hashes = {};
        new MutationObserver(() => {
            hashes[canvas.dataset.tick] = canvas.dataset.hash;
            if (canvas.dataset.tick >= until) done(hashes);
        }).observe(canvas, { attributes: true });
    });
}"""


def start(page: Any) -> None:
    page.get_by_role("button", name="Play").click()
    page.wait_for_selector("#canvas[data-length='3']")


def turn_all_ways(page: Any, turn: Callable[[str], None]) -> None:
    """Turn clockwise until each way was taken, a snake that crashes meanwhile some more times."""
    missing = set(STEPS)
    while missing:
        page.wait_for_selector("#canvas:not([data-length='0'])")
        to = CLOCKWISE[page.get_attribute("#canvas", "data-heading")]
        turn(to)
        page.wait_for_selector(f"#canvas[data-heading={to}], #canvas[data-length='0']")
        if page.get_attribute("#canvas", "data-heading") == to:
            missing.discard(to)


def test_two_pages_show_the_same_arena(visitors: Visitors, demo: Demo) -> None:
    ann = visitors.visit(demo, "/game/pages", name="Ann")
    bob = visitors.visit(demo, "/game/pages", name="<b>Bob</b>", has_touch=True)
    for page in (ann, bob):
        start(page)
    turn_all_ways(ann, lambda to: ann.keyboard.press(f"Arrow{to.title()}"))
    turn_all_ways(bob, lambda to: bob.keyboard.press({"up": "w", "right": "d", "down": "s", "left": "a"}[to]))
    turn_all_ways(bob, lambda to: bob.get_by_role("button", name=to).tap())
    until = int(bob.get_attribute("#canvas", "data-tick")) + 40
    for page in (ann, bob):
        page.evaluate(COLLECT_HASHES, until)
    hashes, others = (page.evaluate("() => window.hashes") for page in (ann, bob))
    for page in (ann, bob):
        assert page.inner_text("#sync") == "✓ in sync"
        assert sorted(page.locator("#scores li span:first-child").all_inner_texts()) == ["<b>Bob</b>", "Ann"]
    both = hashes.keys() & others.keys()
    assert len(both) > 15
    assert all(hashes[tick] == others[tick] for tick in both)


def test_a_swipe_turns(visitors: Visitors, demo: Demo) -> None:
    page = visitors.visit(demo, "/game/swipe", viewport={"width": 390, "height": 844})
    start(page)
    assert page.evaluate("document.documentElement.scrollHeight") == 844

    def swipe(to: str) -> None:
        across, down = STEPS[to]
        page.mouse.move(200, 250)
        page.mouse.down()
        page.mouse.move(200 + 50 * across, 250 + 50 * down, steps=5)
        page.mouse.up()

    turn_all_ways(page, swipe)


def test_who_finds_no_place_watches(visitors: Visitors, demo: Demo) -> None:
    with ExitStack() as stack:
        for each in "0123456789ab":
            stack.enter_context(client(demo, "watched")).join(each)
        page = visitors.visit(demo, "/game/watched")
        page.get_by_role("button", name="Play").click()
        page.wait_for_selector("#complaint:text('The arena is full')")
        assert page.is_visible("#entrance")
        assert not page.is_visible("#pad")
        page.evaluate(COLLECT_HASHES, int(page.get_attribute("#canvas", "data-tick")) + 20)
        page.evaluate("() => window.hashes")
    page.wait_for_selector("#scores span:text('(away)')")


def test_after_a_cut_it_is_the_same_snake(visitors: Visitors, demo: Demo) -> None:
    page = visitors.visit(demo, "/game/cut", name="Ann")
    start(page)
    player = page.get_attribute("#canvas", "data-player")
    with client(demo, "cut") as bob:
        page.get_by_role("button", name="Cut").click()
        bob.until(lambda _: "Ann is away." in bob.news)
        wait_for_state(page, "open")
        bob.until(lambda _: "Ann is back." in bob.news)
    assert page.get_attribute("#canvas", "data-player") == player
    turn_all_ways(page, lambda to: page.keyboard.press(f"Arrow{to.title()}"))
    page.reload()
    page.wait_for_selector(f"#canvas[data-player='{player}']")
    assert page.locator("#scores li").count() == 1


def test_a_copy_that_went_wrong_is_mended(visitors: Visitors, demo: Demo) -> None:
    """A page that is given one wrong delta notices at the next hash, and asks for a snapshot."""
    page = visitors.visit(demo, "/game/arena", wait=False)
    page.add_init_script("""
        const { prototype } = WebSocket;
        const { set } = Object.getOwnPropertyDescriptor(prototype, "onmessage");
        let spoilt = false;
        Object.defineProperty(prototype, "onmessage", { set(take) {
            set.call(this, take && ((event) => {
                const message = JSON.parse(event.data);
                if (message.type !== "delta" || spoilt || !message.delta.moved) return take(event);
                spoilt = true;
                message.delta.food = [0];
                take(new MessageEvent("message", { data: JSON.stringify(message) }));
            }));
        }});
        const { send } = prototype;
        prototype.send = function (data) {
            if (data.includes('"snapshot"')) document.body.dataset.asked = "yes";
            send.call(this, data);
        };
    """)
    page.goto(demo.url + "game/spoilt")
    wait_for_state(page, "open")
    start(page)
    page.wait_for_selector("body[data-asked]")
    page.wait_for_selector("#sync:text('✓ in sync')")
