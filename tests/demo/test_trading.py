"""Trading: books that never go wrong unnoticed, by clients that check them, and across processes."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any
from zlib import crc32

import pytest
from websockets.sync.client import ClientConnection, connect

from hyperws.demo.trading.market import CHECKED, LINE, MEMORY

from .conftest import Demo, running_demo

TIMEOUT = 10  # seconds


class Client:
    """A trader with a book, as a client in another language would have one."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.welcome = self.expect("welcome")
        self.at: int | None = None
        self.sides: dict[str, dict[str, int]] = {}
        self.line: list[str] = []
        self.checked = 0
        self.sums: dict[int, int] = {}  # of the book at each tick

    def send(self, type: str, **fields: Any) -> None:
        self.socket.send(json.dumps({"type": type, **fields}))

    def receive(self) -> Any:
        return json.loads(self.socket.recv(TIMEOUT))

    def expect(self, type: str, topic: str | None = None) -> Any:
        """The next message of this type, whatever comes before it."""
        while True:
            message = self.receive()
            if message["type"] == type and topic in (None, message.get("topic")):
                return message

    def subscribe(self, topic: str, since: int | None = None) -> bool | None:
        """Returns whether all that was missed comes."""
        self.send("subscribe", topic=topic, **({} if since is None else {"since": since}))
        recovered: bool | None = self.expect("subscribed", topic)["recovered"]
        return recovered

    def refused(self) -> str:
        text: str = self.expect("error")["text"]
        return text

    def take(self, message: Any) -> None:
        """Have the book follow a message; what does not fit is an error."""
        if message["type"] == "snapshot":
            self.sides = {side: dict(message[side]) for side in ("bids", "asks")}
            self.line = message["line"]
        elif message["type"] == "delta":
            assert message["prev"] == self.at
            for side in ("bids", "asks"):
                for price, size in message[side]:
                    self.sides[side][price] = size
                    if not size:
                        del self.sides[side][price]
        else:
            return
        self.at = message["at"]
        assert self.at is not None
        bids, asks = (
            ",".join(f"{price}x{size}" for price, size in sorted(
                self.sides[side].items(), key=lambda level: Decimal(level[0]), reverse=side == "bids"
            ))
            for side in ("bids", "asks")
        )  # fmt: skip
        text = f"{self.at} {bids} {asks} {message['last']} {message['volume']}"
        self.sums[self.at] = crc32(text.encode())
        if "checksum" in message:
            assert message["checksum"] == self.sums[self.at]
            self.checked += 1

    def follow(self, ticks: int) -> None:
        """Take so many messages of a book."""
        until = len(self.sums) + ticks
        while len(self.sums) < until:
            self.take(self.receive())


@contextmanager
def trader(demo: Demo, **options: Any) -> Iterator[Client]:
    with connect(demo.socket("/trading"), close_timeout=1, **options) as socket:
        yield Client(socket)


def test_a_book_is_a_snapshot_and_deltas_that_checksums_confirm(demo: Demo) -> None:
    with trader(demo) as client:
        assert client.subscribe("book:AAPL") is None
        client.follow(2 * CHECKED + 1)
        assert client.checked >= 3
        assert len(client.line) == LINE


def test_two_readers_have_the_same_book(demo: Demo) -> None:
    with trader(demo) as one, trader(demo) as other:
        for client in (one, other):
            client.subscribe("book:MSFT")
        for client in (one, other):
            client.follow(8)
        common = one.sums.keys() & other.sums.keys()
        assert len(common) >= 2
        assert all(one.sums[number] == other.sums[number] for number in common)


def test_only_what_was_subscribed_to_comes(demo: Demo) -> None:
    with trader(demo) as client, trader(demo) as other:
        other.subscribe("quote:AAPL")
        for topic in ("quote:AAPL", "quote:KELP", "book:AMZN"):
            client.subscribe(topic)
        seen = {client.receive()["topic"] for _ in range(20)}
        assert seen == {"quote:AAPL", "quote:KELP", "book:AMZN"}
        client.send("unsubscribe", topic="quote:AAPL")
        client.expect("unsubscribed", "quote:AAPL")
        seen = {client.receive()["topic"] for _ in range(20)}
        assert seen == {"quote:KELP", "book:AMZN"}


def test_prices_are_strings_with_the_places_of_their_symbol(demo: Demo) -> None:
    with trader(demo) as client:
        for each in client.welcome["symbols"]:
            price = re.compile(rf"\d+\.\d{{{each['places']}}}")
            client.subscribe(f"book:{each['symbol']}")
            book = client.expect("snapshot")
            texts = [level[0] for level in (*book["bids"], *book["asks"])] + [book["last"], *book["line"]]
            book = client.expect("delta")
            texts += [level[0] for level in (*book["bids"], *book["asks"])] + [book["last"]]
            client.send("unsubscribe", topic=f"book:{each['symbol']}")
            client.subscribe(f"quote:{each['symbol']}")
            quote = client.expect("quote")
            texts += [quote["bid"], quote["ask"], quote["last"]]
            assert all(isinstance(text, str) and price.fullmatch(text) for text in texts)
            assert Decimal(quote["bid"]) < Decimal(quote["ask"])
            client.send("unsubscribe", topic=f"quote:{each['symbol']}")


def test_who_comes_back_gets_what_it_missed(demo: Demo) -> None:
    with trader(demo) as client:
        client.subscribe("book:GOOGL")
        client.follow(3)
    with trader(demo) as again, trader(demo) as witness:
        witness.subscribe("book:GOOGL")
        witness.follow(5)
        again.at, again.sides = client.at, client.sides
        assert again.subscribe("book:GOOGL", since=client.at) is True
        again.follow(witness.at - client.at + CHECKED)  # type: ignore[operator]
        assert again.checked >= 1
        assert again.sums[witness.at] == witness.sums[witness.at]  # type: ignore[index]


@pytest.mark.parametrize("shift", [-MEMORY - 1000, +1000])
def test_who_can_not_get_it_is_told_and_gets_a_snapshot(demo: Demo, shift: int) -> None:
    with trader(demo) as client:
        client.subscribe("book:GOOGL")
        number = client.expect("snapshot")["at"]
        assert client.subscribe("book:GOOGL", since=number + shift) is False
        message = client.receive()
        assert message["type"] == "snapshot"
        client.take(message)
        client.follow(CHECKED)
        assert client.checked >= 2


def test_who_asks_for_a_gap_gets_it_without_a_repetition(demo: Demo) -> None:
    with trader(demo) as client:
        client.subscribe("book:AAPL")
        client.follow(2)
        lost = client.expect("delta")
        client.expect("delta")  # which does not fit, so
        assert client.subscribe("book:AAPL", since=client.at) is True
        client.follow(CHECKED + 2)
        assert lost["at"] in client.sums
        assert client.checked >= 2


@pytest.mark.parametrize("requests", [3, 8])  # which the server can answer, or can't before it reads
def test_a_slow_reader_gets_the_newest_quote_and_all_of_the_book(demo: Demo, requests: int) -> None:
    slow = socket.socket()
    slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    slow.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 536)  # or the system buffers megabytes
    slow.connect(("127.0.0.1", demo.port))
    with trader(demo, sock=slow, compression=None, max_queue=1) as client, trader(demo) as witness:
        client.subscribe("quote:OTTER")
        first = client.expect("quote")["at"]
        client.subscribe("book:OTTER")
        client.follow(1)
        for _ in range(requests):  # 100 KB each that it does not read
            client.send("subscribe", topic="book:OTTER", since=first - MEMORY + 100)
        client.send("subscribe", topic="quote:OTTER")  # while one is held back
        witness.subscribe("quote:OTTER")
        newest = first
        while newest < first + 40:
            newest = witness.expect("quote")["at"]

        quotes = [first]
        told = 0
        while quotes[-1] <= newest or quotes[-1] - quotes[-2] > 1:  # until it keeps up again
            message = client.receive()
            if message["type"] == "quote":
                quotes.append(message["at"])
            elif message["type"] == "subscribed":
                told += message["topic"] == "book:OTTER"
            elif told == requests:  # the last one's past, and then what happens
                if message["prev"] == first - MEMORY + 100:
                    client.at, client.sides = None, {}
                assert client.at in (None, message["prev"])
                client.at = message["at"]
    steps = [later - earlier for earlier, later in pairwise(quotes)]
    assert min(steps) >= 0  # never an older one after a newer one
    assert max(steps) > 10  # what came between was left out
    assert client.at is not None
    assert client.at >= newest


def test_one_who_has_everything_held_back_is_a_slow_reader(demo: Demo) -> None:
    with trader(demo) as client:
        client.subscribe("quote:KELP")
        client.subscribe("book:KELP")
        client.follow(3)
        before = client.expect("quote")["at"]
        client.send("hold", seconds=1)
        quotes = []
        while (message := client.receive())["type"] != "resumed":
            client.take(message)  # no delta is left out
            if message["type"] == "quote":
                quotes.append(message["at"])
        assert max(later - earlier for earlier, later in pairwise([before, *quotes])) > 5
        client.follow(CHECKED)
        assert client.checked >= 2


@pytest.mark.parametrize(
    ("sent", "words"),
    [
        ('{"type": "subscribe", "topic": "book:NOPE"}', "There is no topic 'book:NOPE'"),
        ('{"type": "subscribe", "topic": "<b onload=x>"}', "There is no topic '<b onload=x>'"),
        ('{"type": "unsubscribe", "topic": "AAPL"}', "There is no topic 'AAPL'"),
        ('{"type": "subscribe", "topic": "book:AAPL", "since": "17"}', "Expected `int | null`"),
        ('{"type": "subscribe", "topic": "book:AAPL", "since": 1.5}', "Expected `int | null`"),
        ('{"type": "subscribe", "topic": "book:AAPL", "since": -1}', ">= 0"),
        ('{"type": "subscribe", "topic": "book:AAPL", "since": 1e400}', "$.since"),
        ('{"type": "subscribe"}', "missing required field `topic`"),
        ('{"type": "hold", "seconds": 3600}', "<= 10"),
        ('{"type": "buy", "topic": "book:AAPL"}', "Invalid value 'buy'"),
        (json.dumps({"type": "subscribe", "topic": "A" * 100_000}), "length <= 20"),
        ("[" * 50_000, "Expected `object`"),
        ('{"type": ' + "[" * 50_000, "recursion"),
        ("garbage", "malformed"),
        (b"\x00\xff", "Send text"),
    ],
)
def test_what_makes_no_sense_is_refused_in_words(demo: Demo, sent: str | bytes, words: str) -> None:
    with trader(demo) as client:
        client.socket.send(sent)
        assert words in client.refused()
        client.subscribe("book:AAPL")
        client.follow(2)


def test_a_flood_is_refused_and_disturbs_nobody(demo: Demo) -> None:
    with trader(demo) as other, trader(demo) as client:
        other.subscribe("book:AAPL")
        other.follow(2)
        for _ in range(200):
            client.send("subscribe", topic="book:MSFT", since=0)
        assert "Too fast" in client.refused()
        other.follow(CHECKED)  # without a gap
        client.send("ping")
        while (message := client.receive())["type"] not in ("pong", "error"):
            assert message["topic"] == "book:MSFT"


def test_all_workers_have_one_market(tmp_path: Path) -> None:
    with running_demo(tmp_path, "--workers", "2") as demo, ExitStack() as stack:
        clients: dict[int, Client] = {}  # one of each process
        for _ in range(100):
            client = stack.enter_context(trader(demo))
            if clients.setdefault(client.welcome["process"], client) is client and len(clients) == 2:
                break
        assert len(clients) == 2
        one, other = clients.values()
        for client in (one, other):
            client.subscribe("book:AAPL")
        for client in (one, other):
            client.follow(CHECKED + 2)
        common = one.sums.keys() & other.sums.keys()
        assert len(common) >= 2
        assert all(one.sums[number] == other.sums[number] for number in common)

        mover = stack.enter_context(trader(demo))  # goes on at either one
        mover.at, mover.sides = one.at, one.sides
        assert mover.subscribe("book:AAPL", since=one.at) is True
        mover.follow(CHECKED)
        assert mover.checked >= 1
