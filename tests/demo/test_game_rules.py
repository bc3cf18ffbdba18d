"""The rules of the game by themselves, and that copies of an arena stay the same."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

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

from .test_game import Copy

LARDER = set(range((HEIGHT - 1) * WIDTH, HEIGHT * WIDTH))  # the last row: enough, nothing is added elsewhere


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
