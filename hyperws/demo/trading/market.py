"""The market: what everything costs at every moment, which follows from the time alone.

Each process makes the market by itself, and all make the same: a tick has a number, counted from 1970 on, and
in each session dice fall as its number has them fall. So nobody has to be asked, and whoever comes in late
replays the session, which takes milliseconds.

Prices are integers, so many of the smallest unit: 22841 cents. `price_text` makes "228.41" of them. There is
no float in here.
"""

from __future__ import annotations

from collections import deque
from random import Random
from typing import NamedTuple
from zlib import crc32

RATE = 10  # ticks a second
SESSION = 300 * RATE  # ticks, after which the market opens anew
LEVELS = 6  # prices on each side of a book
MEMORY = 60 * RATE  # the last ticks that are kept
PULSE = RATE  # ticks from one price of the line to the next
LINE = 180  # prices of the line: three minutes
CHECKED = 10  # every tenth tick has a checksum


class Instrument(NamedTuple):
    symbol: str
    name: str
    places: int  # digits after the point
    price: int  # around which it moves


INSTRUMENTS = {
    each.symbol: each
    for each in (
        Instrument("AAPL", "Apple", 2, 22_841),
        Instrument("GOOGL", "Alphabet", 2, 17_566),
        Instrument("MSFT", "Microsoft", 2, 41_520),
        Instrument("AMZN", "Amazon", 2, 18_973),
        Instrument("TEAPOT", "Teapot Works", 2, 1_204_500),
        Instrument("OTTER", "Otter Rafts", 3, 41_250),
        Instrument("KELP", "Kelp Forest", 4, 73_150),
        Instrument("PEBBLE", "Pebble Coin", 6, 41_200),
    )
}


class Tick(NamedTuple):
    """What has changed since the tick before it."""

    number: int
    bids: dict[int, int]  # {price: size}, and a size of 0 for a price that is gone
    asks: dict[int, int]
    last: int
    volume: int
    checksum: int | None


class Side:
    """What is bid, or asked: {price: size}. Bids are the better the higher they are, asks the lower."""

    def __init__(self, better: int) -> None:
        self.better = better  # +1 or -1: the way to better prices
        self.levels: dict[int, int] = {}
        self.changes: dict[int, int] = {}  # since the last tick

    @property
    def best(self) -> int:
        return max(self.levels) if self.better > 0 else min(self.levels)

    @property
    def worst(self) -> int:
        return min(self.levels) if self.better > 0 else max(self.levels)

    def put(self, price: int, size: int) -> None:
        self.changes[price] = size
        if size:
            self.levels[price] = size
        else:
            del self.levels[price]

    def take_changes(self) -> dict[int, int]:
        changes, self.changes = self.changes, {}
        return changes

    def from_best(self) -> list[tuple[int, int]]:
        return sorted(self.levels.items(), reverse=self.better > 0)


class Market:
    """The market for one instrument. It is as of tick `number`, and `tick()` makes the next one."""

    def __init__(self, instrument: Instrument, number: int) -> None:
        self.instrument = instrument
        self.bids, self.asks = Side(+1), Side(-1)
        self.ticks: deque[Tick] = deque(maxlen=MEMORY)
        self.line: deque[int] = deque(maxlen=LINE)
        start = number - max(MEMORY, LINE * PULSE)  # so that it remembers what all others do
        self.number = start - start % SESSION - 1
        while self.number < number:
            self.tick()

    def tick(self) -> Tick:
        self.number += 1
        session, age = divmod(self.number, SESSION)
        if age == 0:
            self._open(session)
        else:
            self._trade(self.opening + (self.next_opening - self.opening) * age // SESSION)
            self._order(self.bids, self.asks)
            self._order(self.asks, self.bids)
        if self.number % PULSE == 0:
            self.line.append(self.last)
        checksum = self.checksum() if self.number % CHECKED == 0 else None
        bids, asks = self.bids.take_changes(), self.asks.take_changes()
        self.ticks.append(Tick(self.number, bids, asks, self.last, self.volume, checksum))
        return self.ticks[-1]

    def since(self, number: int) -> list[Tick] | None:
        """The ticks after that one, or None where they are not all remembered, or are yet to come."""
        missed = self.number - number
        if not 0 <= missed <= len(self.ticks):
            return None
        return list(self.ticks)[len(self.ticks) - missed :]

    def checksum(self) -> int:
        """The CRC-32 of what a reader has, each side from its best price on, in a form such as
        "17 228.40x120,228.39x40 228.42x300,228.45x20 228.41 900"."""
        bids, asks = (
            ",".join(f"{self.text(price)}x{size}" for price, size in side.from_best())
            for side in (self.bids, self.asks)
        )
        return crc32(f"{self.number} {bids} {asks} {self.text(self.last)} {self.volume}".encode())

    def text(self, price: int) -> str:
        return price_text(price, self.instrument.places)

    def _open(self, session: int) -> None:
        self.opening, self.next_opening = self._opening(session), self._opening(session + 1)
        self.dice = Random(f"{self.instrument.symbol} {session}")  # falls alike in every Python
        self.last, self.volume = self.opening, 0
        for side in (self.bids, self.asks):
            for price in list(side.levels):
                side.put(price, 0)
            for distance in range(1, LEVELS + 1):
                side.put(self.last - side.better * distance, self._size())

    def _opening(self, session: int) -> int:
        swing = Random(f"{self.instrument.symbol} opens {session}").getrandbits(32) % 241 - 120
        return self.instrument.price + swing

    def _trade(self, target: int) -> None:
        """Somebody takes the best of a side, or nobody does. The farther the target, the more go there."""
        if self._one_of(2):
            return
        buys = self._one_of(100) < 50 + max(-30, min(30, target - self.last))
        side = self.asks if buys else self.bids
        wanted = self._size()
        while wanted and len(side.levels) > 1:
            self.last = side.best
            taken = min(wanted, side.levels[self.last])
            side.put(self.last, side.levels[self.last] - taken)
            self.volume += taken
            wanted -= taken

    def _order(self, side: Side, other: Side) -> None:
        """Others want more, or less, or at another price."""
        between = abs(other.best - side.best) - 1
        if between and self._one_of(2):
            side.put(side.best + side.better * (1 + self._one_of(between)), self._size())
        while len(side.levels) < LEVELS:
            side.put(side.worst - side.better * (1 + self._one_of(2)), self._size())
        while len(side.levels) > LEVELS:
            side.put(side.worst, 0)
        price = sorted(side.levels)[self._one_of(LEVELS)]
        side.put(price, self._size())

    def _size(self) -> int:
        return 10 * (1 + self._one_of(50))

    def _one_of(self, count: int) -> int:
        return self.dice.getrandbits(32) % count


def tick_number(nanoseconds: int) -> int:
    """The number of the tick at a time, as `time.time_ns()` has it."""
    return nanoseconds * RATE // 1_000_000_000


def price_text(price: int, places: int) -> str:
    whole, rest = divmod(price, 10**places)
    return f"{whole}.{rest:0{places}}"
