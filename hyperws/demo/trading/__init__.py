"""Trading, at /trading: one invented market for all, with exact prices, read at one's own pace.

From a visitor:  {"type": "subscribe", "topic": "book:AAPL", "since": 17}    since: the tick it has, if any
                 {"type": "subscribe", "topic": "quote:AAPL"}
                 {"type": "unsubscribe", "topic": "book:AAPL"}
                 {"type": "hold", "seconds": 3}    for so long it gets nothing, as if it were slow
To a visitor:    {"type": "welcome", "trader": "trader-4f1c", "process": 4711, "rate": 10,
                  "symbols": [{"symbol": "AAPL", "name": "Apple", "places": 2}, ...]}
                 {"type": "subscribed", "topic": "book:AAPL", "recovered": null}
                 {"type": "unsubscribed", "topic": "book:AAPL"}
                 {"type": "resumed"}    after a hold, and all that was missed
                 {"type": "error", "text": "what is wrong with the last message"}
Of a book:       {"type": "snapshot", "topic": "book:AAPL", "at": 17, "bids": [["228.40", 120], ...],
                  "asks": [["228.42", 300], ...], "last": "228.41", "volume": 900, "checksum": 123456,
                  "line": ["228.31", ...]}    one price for each second of the last three minutes
                 {"type": "delta", "topic": "book:AAPL", "at": 18, "prev": 17, "bids": [["228.40", 0]],
                  "asks": [], "last": "228.40", "volume": 1020, "checksum": 654321}
Of quotes:       {"type": "quote", "topic": "quote:AAPL", "at": 18, "bid": "228.39", "ask": "228.42",
                  "last": "228.40", "volume": 1020}

Prices are strings of decimals, which nobody may turn into floats. `at` is the number of the tick. Books come
as a snapshot and then as deltas: prices with their new size, 0 for those that are gone. A reader who is too
slow misses some, and sees it by `prev`; each tenth delta has a checksum of the book (see `Market.checksum`).
Then it subscribes again, with `since`: `recovered` is true where all that it missed comes, false where a
snapshot comes instead. Of quotes, one who is too slow gets the newest only.

All processes and machines have the same market, as it follows from the time (see `market.py`): whoever comes
back to another one goes on where it was.
"""

from __future__ import annotations

import asyncio
import os
import secrets
from pathlib import Path
from typing import Annotated

from msgspec import Meta

from hyperws import Context, Server

from .. import pages
from ..messages import Incoming, message, read
from .feed import Feed, quotation, symbol_of, topic_name
from .market import INSTRUMENTS, RATE

TOPICS = [f"{kind}:{symbol}" for kind in ("book", "quote") for symbol in INSTRUMENTS]
SYMBOLS = [{"symbol": each.symbol, "name": each.name, "places": each.places} for each in INSTRUMENTS.values()]

Topic = Annotated[str, Meta(max_length=20)]


class Subscribe(Incoming):
    topic: Topic
    since: Annotated[int, Meta(ge=0, lt=2**53)] | None = None


class Unsubscribe(Incoming):
    topic: Topic


class Hold(Incoming):
    seconds: Annotated[int, Meta(ge=1, le=10)]


def mount(server: Server) -> None:
    feed = Feed(server)

    async def trade(ctx: Context) -> None:
        trader = Trader(ctx, feed)
        await trader.welcome()
        try:
            async for wish in read(ctx, (Subscribe, Unsubscribe, Hold)):
                match wish:
                    case Hold(seconds):
                        await trader.hold(seconds)
                    case Subscribe(topic) | Unsubscribe(topic) if topic not in TOPICS:
                        text = f"There is no topic {topic!r}. There are {', '.join(TOPICS)}"
                        await ctx.send(message("error", text=text))
                    case Subscribe(topic, since):
                        await trader.subscribe(topic, since)
                    case Unsubscribe(topic):
                        await trader.unsubscribe(topic)
        finally:
            feed.left(trader.reads)

    server.route("/trading", trade, websocket=True)
    pages.show(server, "/trading", Path(__file__).parent)


class Trader:
    """A connection, and the topics that it reads."""

    def __init__(self, ctx: Context, feed: Feed) -> None:
        self.ctx = ctx
        self.feed = feed
        self.reads: set[str] = set()

    async def welcome(self) -> None:
        name = f"trader-{secrets.token_hex(2)}"
        words = {"trader": name, "process": os.getpid(), "rate": RATE, "symbols": SYMBOLS}
        await self.ctx.send(message("welcome", **words))

    async def subscribe(self, topic: str, since: int | None) -> None:
        market = await self.feed.market(symbol_of(topic))
        self.feed.catch_up(market)
        if topic not in self.reads:
            self.reads.add(topic)
            self.feed.came(topic)
        self.ctx.unsubscribe(topic_name(topic))  # what is held back for a slow reader is older
        if topic.startswith("quote:"):
            self.ctx.subscribe(topic_name(topic), policy="latest")
            recovered, past = None, [quotation(topic, market)]
        else:
            self.ctx.subscribe(topic_name(topic), policy="drop")
            recovered, past = self.feed.past(topic, market, since)
        # All of it is queued before the next tick: there is no await but for a reader who is slow.
        queued = self.ctx.send(message("subscribed", topic=topic, recovered=recovered))
        for each in past:
            queued = self.ctx.send(each)
        await queued

    async def unsubscribe(self, topic: str) -> None:
        self.ctx.unsubscribe(topic_name(topic))
        if topic in self.reads:
            self.reads.remove(topic)
            self.feed.left([topic])
        await self.ctx.send(message("unsubscribed", topic=topic))

    async def hold(self, seconds: int) -> None:
        """Give it nothing for a while, and then what it missed."""
        had = {topic: self.feed.markets[symbol_of(topic)].number for topic in self.reads}
        for topic in had:
            self.ctx.unsubscribe(topic_name(topic))
        await asyncio.sleep(seconds)
        for topic, number in had.items():
            await self.subscribe(topic, number)
        await self.ctx.send(message("resumed"))
