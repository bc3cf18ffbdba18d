"""Resilience: ticks that nobody misses, whatever becomes of the connection."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import connect as open_socket
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from hyperws import Context, Server
from hyperws.demo.resilience import ticks

from .conftest import Demo, running_broker, running_demo

TIMEOUT = 10  # seconds
SUBSCRIBE = {"type": "subscribe", "topic": "resilience"}
XSS = "<img src=x onerror=alert(1)>"


class Client:
    """A program that visits."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.at = ""
        self.ticks: list[int] = []  # their numbers

    def tell(self, message: object) -> None:
        self.socket.send(message if isinstance(message, (str, bytes)) else json.dumps(message))

    def hear(self) -> dict[str, Any]:
        message: dict[str, Any] = json.loads(self.socket.recv(TIMEOUT))
        if message["type"] == "tick":
            self.ticks.append(message["n"])
        self.at = message.get("at", self.at)
        return message

    def next(self, kind: str) -> dict[str, Any]:
        """The next message of a type."""
        while (message := self.hear())["type"] != kind:
            pass
        return message

    def subscribe(self, since: str | None = None) -> dict[str, Any]:
        self.tell(SUBSCRIBE if since is None else SUBSCRIBE | {"since": since})
        return self.next("subscribed")

    def hear_ticks(self, count: int) -> list[int]:
        """Wait until it has so many."""
        while len(self.ticks) < count:
            self.hear()
        return self.ticks

    def ask(self, message: object) -> dict[str, Any]:
        """Say something and get the answer."""
        self.tell(message)
        while (answer := self.hear())["type"] in ("tick", "heartbeat"):
            pass
        return answer


@contextlib.contextmanager
def visiting(demo: Demo) -> Iterator[Client]:
    with connect(demo.socket("/resilience"), compression=None, max_queue=None) as socket:
        client = Client(socket)
        assert client.hear() == {"type": "connected", "client": ":".join(map(str, socket.local_address))}
        yield client


def in_a_row(numbers: list[int]) -> bool:
    return numbers == list(range(numbers[0], numbers[0] + len(numbers)))


# --- ticks


def test_ticks_are_numbered_without_a_gap(demo: Demo) -> None:
    with visiting(demo) as client, visiting(demo) as other:
        assert client.subscribe()["recovered"] is None
        other.subscribe()
        assert in_a_row(client.hear_ticks(6))
        assert in_a_row(other.hear_ticks(6))
        assert set(client.ticks) & set(other.ticks)


def test_who_comes_back_gets_what_was_missed(demo: Demo) -> None:
    with visiting(demo) as witness:
        witness.subscribe()
        with visiting(demo) as client:
            client.subscribe()
            client.hear_ticks(2)
        seen = client.ticks
        while not witness.ticks or witness.ticks[-1] < seen[-1] + 4:
            witness.hear()
        with visiting(demo) as client:
            assert client.subscribe("nonsense")["recovered"] is False
            assert client.ticks == []
        with visiting(demo) as client:
            at = f"{str(witness.at).rpartition(':')[0]}:{seen[-1]}"
            assert client.subscribe(at)["recovered"] is True
            assert len(client.ticks) >= 3
            client.hear_ticks(len(client.ticks) + 2)
            assert in_a_row([*seen, *client.ticks])


def test_who_subscribes_again_gets_the_ticks_again(demo: Demo) -> None:
    with visiting(demo) as client:
        client.subscribe()
        client.hear_ticks(1)
        since = client.at
        client.hear_ticks(3)
        client.ticks.clear()
        assert client.subscribe(since)["recovered"] is True
        assert client.hear_ticks(3)[0] == int(since.rpartition(":")[2]) + 1
        assert in_a_row(client.ticks)


def test_a_position_of_another_life_is_told_as_lost(demo: Demo) -> None:
    with visiting(demo) as client:
        assert client.subscribe("0123456789abcdef:3")["recovered"] is False
        assert client.ticks == []
        assert in_a_row(client.hear_ticks(2))


def test_the_last_visitor_misses_nothing_either(tmp_path: Path) -> None:
    with running_demo(tmp_path) as demo:
        with visiting(demo) as client:
            client.subscribe()
            client.hear_ticks(1)
        with visiting(demo) as again:
            assert again.subscribe(client.at)["recovered"] is True
            assert in_a_row([*client.ticks, *again.hear_ticks(3)])


def test_unsubscribing(demo: Demo) -> None:
    with visiting(demo) as client:
        client.subscribe()
        client.hear_ticks(1)
        client.tell({"type": "unsubscribe", "topic": "resilience"})
        assert client.ask({"type": "ping"}) == {"type": "pong"}
        count = len(client.ticks)
        assert client.next("heartbeat") == {"type": "heartbeat", "count": 0}
        assert len(client.ticks) == count


async def test_ticks_end_a_while_after_the_last_visitor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ticks, "LINGER", 0.6)
    server = Server(port=0)
    its = ticks.Ticks(server)

    @server.route("/")
    async def visit(ctx: Context) -> None:
        await its.join(ctx, None)
        async for _ in ctx:
            pass
        its.leave(ctx)

    async with server, asyncio.timeout(TIMEOUT):
        host, port = server.address
        kept: list[Any] = []
        server.subscribe(ticks.TOPIC, kept.append)
        for _ in range(2):
            async with open_socket(f"ws://{host}:{port}/") as socket:
                await socket.recv()
                assert its.task is not None
                assert not its.task.done()
            before = len(kept)
            await its.task
            assert len(kept) > before


async def test_a_process_that_does_not_lead_makes_none(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = asyncio.Semaphore(0)

    async def leads(server: Server, topic: str) -> bool:
        asked.release()
        return False

    monkeypatch.setattr(ticks, "leads", leads)
    server = Server(port=0)
    its = ticks.Ticks(server)

    @server.route("/")
    async def visit(ctx: Context) -> None:
        await its.join(ctx, None)
        for _ in range(3):
            await asked.acquire()
        its.leave(ctx)
        await ctx.send("left")

    async with server, asyncio.timeout(TIMEOUT):
        host, port = server.address
        async with open_socket(f"ws://{host}:{port}/") as socket:
            assert await socket.recv() == "left"  # and no tick before


# --- answers


def test_messages_are_processed_and_counted(demo: Demo) -> None:
    with visiting(demo) as client:
        for text in ("hello", XSS, "x" * 1024, "\U0001f600"):
            answer = client.ask({"type": "message", "text": text})
            assert answer == {"type": "processed", "original": text}
        assert client.ask({"type": "message", "text": " \n"}) == {"type": "error", "text": "Empty message"}
        assert client.next("heartbeat") == {"type": "heartbeat", "count": 4}


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ("not json", "JSON is malformed"),
        ("[" * 100_000, "depth|nested|malformed|Expected"),
        ("[]", "Expected `object`"),
        ({"type": "weather"}, "Invalid value 'weather'"),
        ({"type": "subscribe", "topic": "chat:lobby"}, "Invalid enum value 'chat:lobby'"),
        ({"type": "subscribe", "topic": "resilience", "since": 7}, "Expected `str | null`"),
        ({"type": "subscribe", "topic": "resilience", "since": "x" * 101}, "length <= 100"),
        ({"type": "message"}, "missing required field `text`"),
        ({"type": "message", "text": "x" * 1025}, "too long: at most 1024"),
        ({"type": "message", "text": "x", "more": XSS}, "unknown field"),
        (b"\x00\xff", "Send text, not bytes"),
    ],
)
def test_what_is_wrong_is_said(demo: Demo, message: object, words: str) -> None:
    with visiting(demo) as client:
        answer = client.ask(message)
        assert answer.keys() == {"type", "text"}
        assert answer["type"] == "error"
        assert any(word in answer["text"] for word in words.split("|")), answer
        assert client.ask({"type": "ping"}) == {"type": "pong"}


def test_a_flood_is_refused_and_disturbs_nobody(demo: Demo) -> None:
    with visiting(demo) as other, visiting(demo) as client:
        other.subscribe()
        for _ in range(200):
            client.tell({"type": "message", "text": "x"})
        while "Too fast" not in client.next("error")["text"]:
            pass
        assert other.ask({"type": "message", "text": "calm"})["original"] == "calm"
        assert in_a_row(other.hear_ticks(3))


# --- trouble


def test_a_server_that_closes(demo: Demo) -> None:
    with visiting(demo) as client:
        client.tell({"type": "close"})
        with pytest.raises(ConnectionClosed):
            client.next("nothing")
        assert client.socket.close_code == 1012


def test_a_server_that_is_silent(demo: Demo) -> None:
    with visiting(demo) as client:
        client.subscribe()
        client.hear_ticks(1)
        client.tell({"type": "silence"})
        client.tell({"type": "ping"})
        client.tell(SUBSCRIBE)
        with visiting(demo) as other:
            other.subscribe()
            other.next("heartbeat")
            last = other.ticks[-1]
        client.socket.close()
        with pytest.raises(ConnectionClosed):
            while client.hear()["type"] == "tick":
                pass
        assert client.ticks[-1] < last


def test_a_server_that_does_not_read(demo: Demo) -> None:
    with visiting(demo) as client:
        client.subscribe()
        assert client.ask({"type": "hold"}) == {"type": "holding"}
        client.tell({"type": "chunk", "data": "x" * 500_000})
        client.ticks.clear()
        assert client.next("reading") == {"type": "reading"}
        assert len(client.ticks) > 3  # which came meanwhile
        assert in_a_row(client.ticks)
        assert client.ask({"type": "ping"}) == {"type": "taken", "size": 500_000}
        assert client.next("pong") == {"type": "pong"}


# --- several processes


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs Linux to find the workers")
def test_a_worker_that_dies_takes_no_tick_along(tmp_path: Path) -> None:
    pytest.importorskip("zmq", reason="workers need pyzmq")
    with running_demo(tmp_path, "--workers", "2") as demo, contextlib.ExitStack() as stack:
        clients = [stack.enter_context(visiting(demo)) for _ in range(8)]
        for client in clients:
            client.subscribe()
        for client in clients:
            assert in_a_row(client.hear_ticks(2))
        os.kill(demo.processes[-1], signal.SIGKILL)
        victims = [client for client in clients if is_gone(client)]
        assert victims
        assert len(victims) < len(clients)
        for client in victims:
            again = stack.enter_context(visiting(demo))
            assert again.subscribe(client.at)["recovered"] is True
            again.hear_ticks(len(again.ticks) + 2)
            assert in_a_row([*client.ticks, *again.ticks])
        for client in clients:
            if client not in victims:
                client.hear_ticks(len(client.ticks) + 2)
                assert in_a_row(client.ticks)


def is_gone(client: Client) -> bool:
    """Whether its worker has died; else it gets two more ticks, from whoever makes them now."""
    try:
        client.hear_ticks(len(client.ticks) + 2)
    except ConnectionClosed:
        return True
    return False


def test_all_are_told_where_the_broker_has_forgotten_the_ticks(tmp_path: Path) -> None:
    pytest.importorskip("redis")
    with (
        running_broker("RedisServer", tmp_path) as broker,
        running_demo(tmp_path, "--backplane", broker.url) as demo,
        visiting(demo) as client,
    ):
        client.subscribe()
        client.hear_ticks(2)
        broker.kill()
        broker.start()
        client.next("missing")
        client.ticks.clear()
        assert in_a_row(client.hear_ticks(3))
