"""The feed: brings what the market does to the subscribers in this process.

It ticks while there are some. When nobody has looked for a while, the market is made up to now.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterable
from typing import Any

from hyperws import Server

from ..messages import message
from .market import INSTRUMENTS, MEMORY, RATE, Market, Side, Tick, price_text, tick_number

PERIOD = 1_000_000_000 // RATE


class Feed:
    def __init__(self, server: Server) -> None:
        self.server = server
        self.markets: dict[str, Market] = {}
        self.making = {symbol: asyncio.Lock() for symbol in INSTRUMENTS}
        self.readers: Counter[str] = Counter()  # of each topic, in this process
        self.ticking: asyncio.Task[None] | None = None

    def came(self, topic: str) -> None:
        self.readers[topic] += 1
        if self.ticking is None or self.ticking.done():
            self.ticking = asyncio.create_task(self.tick())

    def left(self, topics: Iterable[str]) -> None:
        self.readers -= Counter(topics)  # which also forgets topics without readers

    async def tick(self) -> None:
        while self.readers:
            for symbol in {symbol_of(topic) for topic in self.readers}:
                self.catch_up(await self.market(symbol))
            await asyncio.sleep((PERIOD - time.time_ns() % PERIOD) / 1e9)

    async def market(self, symbol: str) -> Market:
        """A market that is not far behind. A new one is replayed in a thread, once for all who wait for it:
        the others go on meanwhile."""
        async with self.making[symbol]:
            market = self.markets.get(symbol)
            now = tick_number(time.time_ns())
            if market is None or abs(now - market.number) > MEMORY:
                market = self.markets[symbol] = await asyncio.to_thread(Market, INSTRUMENTS[symbol], now)
            return market

    def catch_up(self, market: Market) -> None:
        now = tick_number(time.time_ns())
        while market.number < now:
            tick = market.tick()
            book, quote = (f"{kind}:{market.instrument.symbol}" for kind in ("book", "quote"))
            if book in self.readers:
                self.server.publish(topic_name(book), delta(book, market, tick), local=True)
            if quote in self.readers:
                self.server.publish(topic_name(quote), quotation(quote, market), local=True)

    def past(self, topic: str, market: Market, since: int | None) -> tuple[bool | None, list[str]]:
        """What is to be sent to one who has a book as of tick `since`, and whether that is all it missed."""
        missed = None if since is None else market.since(since)
        if missed is None:
            return (None if since is None else False), [snapshot(topic, market)]
        return True, [delta(topic, market, tick) for tick in missed]


def topic_name(topic: str) -> str:
    """How the server knows it: other applications have topics too."""
    return f"trading:{topic}"


def symbol_of(topic: str) -> str:
    return topic.partition(":")[2]


# --- what is sent: prices as decimals in strings, sizes as integers


def snapshot(topic: str, market: Market) -> str:
    return message(
        "snapshot",
        topic=topic,
        at=market.number,
        bids=levels(market.bids, market),
        asks=levels(market.asks, market),
        last=market.text(market.last),
        volume=market.volume,
        checksum=market.checksum(),
        line=[market.text(price) for price in market.line],
    )


def levels(side: Side, market: Market) -> list[tuple[str, int]]:
    return [(market.text(price), size) for price, size in side.from_best()]


def delta(topic: str, market: Market, tick: Tick) -> str:
    places = market.instrument.places
    changes: dict[str, Any] = {
        side: [(price_text(price, places), size) for price, size in changed.items()]
        for side, changed in (("bids", tick.bids), ("asks", tick.asks))
    }
    if tick.checksum is not None:
        changes["checksum"] = tick.checksum
    last = market.text(tick.last)
    return message(
        "delta", topic=topic, at=tick.number, prev=tick.number - 1, last=last, volume=tick.volume, **changes
    )


def quotation(topic: str, market: Market) -> str:
    return message(
        "quote",
        topic=topic,
        at=market.number,
        bid=market.text(market.bids.best),
        ask=market.text(market.asks.best),
        last=market.text(market.last),
        volume=market.volume,
    )
