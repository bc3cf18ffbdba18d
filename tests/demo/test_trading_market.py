"""The market by itself: the same everywhere, sound at every tick, with exact prices."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hyperws import Server
from hyperws.demo.trading.feed import Feed, delta, snapshot
from hyperws.demo.trading.market import (
    INSTRUMENTS,
    LEVELS,
    MEMORY,
    SESSION,
    Instrument,
    Market,
    price_text,
)

from .test_trading import TIMEOUT

instruments = st.sampled_from(list(INSTRUMENTS.values()))
numbers = st.integers(10**10, 2 * 10**10)


def everything(market: Market) -> tuple[Any, ...]:
    sides = [market.bids.from_best(), market.asks.from_best()]
    return market.number, sides, market.last, market.volume, list(market.ticks), list(market.line)


@given(instruments, numbers, st.integers(0, 2 * SESSION))
@settings(max_examples=15, deadline=None)
def test_markets_agree_however_they_got_there(instrument: Instrument, number: int, watched: int) -> None:
    early, late = Market(instrument, number - watched), Market(instrument, number)
    for _ in range(watched):
        early.tick()
    assert everything(early) == everything(late)


def test_processes_agree() -> None:
    program = """if 1:
        from hyperws.demo.trading.market import INSTRUMENTS, Market
        print([Market(each, 17_955_486_720).checksum() for each in INSTRUMENTS.values()])
    """
    here = [Market(each, 17_955_486_720).checksum() for each in INSTRUMENTS.values()]
    for seed in ("1", "2"):
        there = subprocess.run(
            [sys.executable, "-c", program], env=os.environ | {"PYTHONHASHSEED": seed},
            stdout=subprocess.PIPE, check=True, timeout=60,
        )  # fmt: skip
        assert json.loads(there.stdout) == here


@given(instruments, numbers)
@settings(max_examples=10, deadline=None)
def test_a_book_is_sound_at_every_tick_and_the_changes_make_it(instrument: Instrument, number: int) -> None:
    market = Market(instrument, number)
    bids, asks = dict(market.bids.levels), dict(market.asks.levels)
    for _ in range(SESSION + 1):  # so that it opens anew meanwhile
        tick = market.tick()
        for levels, changes in ((bids, tick.bids), (asks, tick.asks)):
            levels.update(changes)
            for price in [price for price, size in levels.items() if not size]:
                del levels[price]
        assert (bids, asks) == (market.bids.levels, market.asks.levels)
        assert len(bids) == len(asks) == LEVELS
        assert 0 < max(bids) < min(asks)
        assert all(type(each) is int and each > 0 for each in (*bids, *bids.values(), *asks.values()))
        assert (tick.last, tick.volume) == (market.last, market.volume)


@given(instruments, numbers)
@settings(max_examples=10, deadline=None)
def test_a_market_remembers_what_was_missed(instrument: Instrument, number: int) -> None:
    market = Market(instrument, number)
    assert market.since(number) == []
    assert [tick.number for tick in market.since(number - 3) or ()] == [number - 2, number - 1, number]
    assert len(market.since(number - MEMORY) or ()) == MEMORY
    assert market.since(number - MEMORY - 1) is None
    assert market.since(number + 1) is None


def test_a_new_session_opens_near_the_last_price() -> None:
    for instrument in INSTRUMENTS.values():
        market = Market(instrument, 6_000_000 * SESSION - 1)
        before = market.last
        market.tick()
        assert market.volume == 0
        assert abs(market.last - before) < 60


@given(st.lists(st.integers(0, 10**18), min_size=1), st.integers(1, 9))
def test_texts_of_prices_are_exact(prices: list[int], places: int) -> None:
    texts = [price_text(price, places) for price in prices]
    assert all(len(text.rpartition(".")[2]) == places for text in texts)
    assert sum(map(Decimal, texts)) == Decimal(sum(prices)).scaleb(-places)


def test_a_market_is_made_once_for_all_who_wait_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Market] = []

    def make(instrument: Instrument, number: int) -> Market:
        made.append(Market(instrument, number))
        return made[-1]

    async def ask() -> list[Market]:
        feed = Feed(Server())
        return await asyncio.gather(*(feed.market("PEBBLE") for _ in range(50)))

    monkeypatch.setattr("hyperws.demo.trading.feed.Market", make)
    markets = asyncio.run(ask())
    assert len(made) == 1
    assert markets == made * 50


def test_the_feed_rests_when_nobody_reads() -> None:
    async def read_and_leave() -> None:
        feed = Feed(Server())
        for topic in ("book:AAPL", "quote:AAPL"):
            feed.came(topic)
        feed.left(["book:AAPL", "quote:AAPL"])
        assert feed.ticking is not None
        await asyncio.wait_for(feed.ticking, TIMEOUT)

    asyncio.run(read_and_leave())


def test_messages_stay_small() -> None:
    market = Market(INSTRUMENTS["TEAPOT"], 17_955_486_720)
    assert len(snapshot("book:TEAPOT", market)) < 4096
    assert all(len(delta("book:TEAPOT", market, tick)) < 1024 for tick in market.ticks)
