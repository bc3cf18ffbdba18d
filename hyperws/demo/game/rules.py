"""The rules: what an arena is, and what becomes of it with each tick. No clock, no network.

The same calls of `turn` and `step` always lead to the same arena, as chance follows from its seed and tick.
Others have copies of it: a snapshot, to which the delta of each tick is applied in order. Copies with the
same `digest` are the same. (`page/arena.js` applies and digests in the same way.)

A cell is a number: row * WIDTH + column. Edges wrap. A body is a row of cells, the head first.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from random import Random

import msgspec
from msgspec.structs import replace

WIDTH, HEIGHT = 32, 24
CELLS = WIDTH * HEIGHT
STEPS = {"up": (0, -1), "right": (1, 0), "down": (0, 1), "left": (-1, 0)}
OPPOSITE = {"up": "down", "down": "up", "left": "right", "right": "left"}

MOST_PLAYERS = 12
MOST_TURNS = 2      # that a snake has in mind
START = 3           # cells of a new snake
CLEAR = 6           # cells that are free before it
FOOD = 5            # cells of it that there are at least, and one more for each player
AWAY = 50           # ticks that a snake goes on without its player
FORGOTTEN = 300     # ticks until its score is forgotten, too
RESPAWN = 20        # ticks from a crash until it is back


class Snake(msgspec.Struct, frozen=True):
    name: str
    score: int = 0
    heading: str = "right"
    due: int = 0
    """While it has no body: the tick at which it gets one."""
    away: int = 0
    """The tick since which its player is away, 0 for one who is here."""


class State(msgspec.Struct):
    """All that there is to know of an arena: its snapshot."""

    seed: int
    tick: int = 0
    food: set[int] = msgspec.field(default_factory=set)
    snakes: dict[str, Snake] = msgspec.field(default_factory=dict)
    bodies: dict[str, tuple[int, ...]] = msgspec.field(default_factory=dict)
    """Of each snake; empty for one that is not in the arena."""
    crown: str = ""
    """Who wears it: the longest, until another one is longer."""


class Delta(msgspec.Struct, omit_defaults=True):
    """What a tick has changed, and what is to be said about it."""

    tick: int
    food: list[int] = []
    eaten: list[int] = []
    snakes: dict[str, Snake] = {}
    bodies: dict[str, tuple[int, ...]] = {}
    moved: dict[str, tuple[int, int]] = {}
    """Bodies that have gone one cell on: where the head is, how long they are."""
    gone: list[str] = []
    crown: str | None = None
    news: list[str] = []
    refused: dict[str, str] = {}
    """Players whose turns were not possible, and why."""


class Arena:
    def __init__(self, state: State) -> None:
        self.state = state
        self.turns: dict[str, list[str]] = {}
        self.news: list[str] = []
        self.refused: dict[str, str] = {}

    def turn(self, player: str, to: str) -> None:
        """Have a snake turn at the next tick, or after the turns that it has in mind."""
        if not self.state.bodies.get(player):
            self.refused[player] = "Your snake is not in the arena"
            return
        turns = self.turns.setdefault(player, [])
        before = turns[-1] if turns else self.state.snakes[player].heading
        if to == OPPOSITE[before]:
            self.refused[player] = "A snake can't turn back on itself"
        elif to != before and len(turns) == MOST_TURNS:
            self.refused[player] = "Too many turns at once"
        elif to != before:
            turns.append(to)

    def has_place_for(self, player: str) -> bool:
        snakes = self.state.snakes
        return player in snakes or len(snakes) < MOST_PLAYERS or self.dispensable() is not None

    def step(self, here: Mapping[str, str]) -> Delta:
        """Let a tick pass. `here` are the players who are there, with their names."""
        state = self.state
        before = replace(
            state, food=state.food.copy(), snakes=state.snakes.copy(), bodies=state.bodies.copy()
        )
        state.tick += 1
        chance = Random(f"{state.seed}:{state.tick}")
        self.call_the_roll(here)
        self.move()
        self.bring_back(chance)
        self.feed(chance)
        self.give_crown()
        delta = difference(before, state)
        delta.news, self.news = self.news, []
        delta.refused, self.refused = self.refused, {}
        return delta

    def apply(self, delta: Delta) -> None:
        """Let the tick pass that has passed elsewhere."""
        state = self.state
        state.tick = delta.tick
        state.food -= set(delta.eaten)
        state.food |= set(delta.food)
        for player in delta.gone:
            del state.snakes[player], state.bodies[player]
        state.snakes |= delta.snakes
        state.bodies |= delta.bodies
        for player, (head, length) in delta.moved.items():
            state.bodies[player] = (head, *state.bodies[player])[:length]
        if delta.crown is not None:
            state.crown = delta.crown

    # ------------------------------------------------------------------ parts of a tick

    def call_the_roll(self, here: Mapping[str, str]) -> None:
        state = self.state
        for player, name in here.items():
            snake = state.snakes.get(player)
            if snake is None:
                if not self.has_place_for(player):
                    continue
                if len(state.snakes) == MOST_PLAYERS:
                    self.forget(self.dispensable())
                state.snakes[player] = Snake(name, due=state.tick)
                state.bodies[player] = ()
                self.news.append(f"{name} joins.")
            elif snake.away or snake.name != name:
                state.snakes[player] = replace(snake, name=name, away=0)
                if snake.away:
                    self.news.append(f"{name} is back.")
        for player, snake in list(state.snakes.items()):
            if player in here:
                continue
            if not snake.away:
                state.snakes[player] = replace(snake, away=state.tick)
                self.news.append(f"{snake.name} is away.")
            elif state.tick >= snake.away + FORGOTTEN:
                self.forget(player)
                self.news.append(f"{snake.name} has left.")
            elif state.tick >= snake.away + AWAY and state.bodies[player]:
                self.end([player])

    def move(self) -> None:
        state = self.state
        moved: dict[str, tuple[int, ...]] = {}
        for player, body in state.bodies.items():
            if not body:
                continue
            snake = state.snakes[player]
            turns = self.turns.get(player)
            heading = turns.pop(0) if turns else snake.heading
            head = beside(body[0], heading)
            eats = head in state.food
            moved[player] = (head, *body) if eats else (head, *body[:-1])
            if eats or heading != snake.heading:
                state.snakes[player] = replace(snake, heading=heading, score=snake.score + eats)
        state.bodies |= moved
        state.food -= {body[0] for body in moved.values()}
        crashes = {player: hit for player in moved if (hit := whom_it_hits(player, moved))}
        for player, hit in crashes.items():
            whom = "itself" if hit == player else state.snakes[hit].name
            self.news.append(f"{state.snakes[player].name} ran into {whom}.")
        self.end(list(crashes))

    def end(self, players: list[str]) -> None:
        """Take snakes out of the arena. Every second piece of them becomes food."""
        state = self.state
        ended = [state.bodies[player] for player in players]
        for player in players:
            state.bodies[player] = ()
            state.snakes[player] = replace(state.snakes[player], due=state.tick + RESPAWN)
            self.turns.pop(player, None)
        for body in ended:
            state.food |= set(body[::2]) - self.occupied()

    def bring_back(self, chance: Random) -> None:
        state = self.state
        for player, snake in state.snakes.items():
            if state.bodies[player] or snake.away or state.tick < snake.due:
                continue
            if place := find_place(self.occupied(), chance):
                heading, body = place
                state.bodies[player] = body
                state.snakes[player] = replace(snake, heading=heading)
                state.food -= set(body)

    def feed(self, chance: Random) -> None:
        state = self.state
        missing = FOOD + len(state.snakes) - len(state.food)
        if missing > 0:
            free = sorted(set(range(CELLS)) - self.occupied() - state.food)
            state.food |= set(chance.sample(free, min(missing, len(free))))

    def give_crown(self) -> None:
        state = self.state
        length = len(state.bodies.get(state.crown, ()))
        longest = max(state.bodies, key=lambda player: len(state.bodies[player]), default="")
        if longest and len(state.bodies[longest]) > max(length, START):
            state.crown = longest
            self.news.append(f"{state.snakes[longest].name} has the crown.")
        elif not length:
            state.crown = ""

    def occupied(self) -> set[int]:
        return {cell for body in self.state.bodies.values() for cell in body}

    def dispensable(self) -> str | None:
        """Who makes way for somebody new: the one who has been away for longest, if the snake is gone."""
        state = self.state
        gone = [player for player, snake in state.snakes.items() if snake.away and not state.bodies[player]]
        return min(gone, key=lambda player: state.snakes[player].away, default=None)

    def forget(self, player: str | None) -> None:
        if player is not None:
            del self.state.snakes[player], self.state.bodies[player]
            self.turns.pop(player, None)


def beside(cell: int, heading: str) -> int:
    across, down = STEPS[heading]
    return (cell // WIDTH + down) % HEIGHT * WIDTH + (cell + across) % WIDTH


def whom_it_hits(player: str, bodies: Mapping[str, tuple[int, ...]]) -> str | None:
    head = bodies[player][0]
    for other, body in bodies.items():
        if head in (body[1:] if other == player else body):
            return other
    return None


def find_place(occupied: set[int], chance: Random) -> tuple[str, tuple[int, ...]] | None:
    """A heading and a body with nothing in its way. None where there is hardly any."""
    for _ in range(40):
        heading = chance.choice(list(STEPS))
        cells = [chance.randrange(CELLS)]
        while len(cells) < START + CLEAR:
            cells.append(beside(cells[-1], heading))
        if occupied.isdisjoint(cells):
            return heading, tuple(reversed(cells[:START]))
    return None


def difference(before: State, after: State) -> Delta:
    """The delta that makes one from the other."""
    delta = Delta(
        after.tick,
        food=sorted(after.food - before.food),
        eaten=sorted(before.food - after.food),
        snakes={name: snake for name, snake in after.snakes.items() if before.snakes.get(name) != snake},
        bodies={},
        moved={},
        gone=[player for player in before.snakes if player not in after.snakes],
        crown=None if before.crown == after.crown else after.crown,
    )
    for player, body in after.bodies.items():
        old = before.bodies.get(player)
        if body == old:
            continue
        if old and body and body[1:] == old[: len(body) - 1]:
            delta.moved[player] = body[0], len(body)
        else:
            delta.bodies[player] = body
    return delta


def digest(state: State) -> str:
    """Eight hexadecimal digits: the CRC-32 of the state as one text in UTF-8."""
    lines = [f"{state.seed} {state.tick} {state.crown} {comma(sorted(state.food))}"]
    for player in sorted(state.snakes):
        snake = state.snakes[player]
        facts = f"{snake.score} {snake.heading} {snake.due} {snake.away}"
        lines.append(f"{player} {facts} {comma(state.bodies[player])} {snake.name}")
    text = "\n".join(lines)
    return f"{zlib.crc32(text.encode()):08x}"


def comma(cells: list[int] | tuple[int, ...]) -> str:
    return ",".join(map(str, cells))
