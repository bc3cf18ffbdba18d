"""Chat: by other people's clients, and across processes."""

from __future__ import annotations

import http.client
import itertools
import json
import os
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import pytest
from websockets.asyncio.client import connect as connect_async
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from hyperws.demo import chat, create_server
from hyperws.demo.chat import rooms

from .conftest import Demo, running_demo

TIMEOUT = 20  # seconds
MARKUP = "<img src=x onerror=\"document.title='owned'\">"


class Guest:
    """Someone in a room by a plain WebSocket. All that came is in `heard`."""

    def __init__(self, demo: Demo, room: str, secret: str | None = None) -> None:
        self.topic = f"chat:{room}"
        self.secret = secret or uuid4().hex
        self.heard: list[Any] = []
        self.ids = itertools.count()
        url = demo.socket(f"/chat/{quote(room)}")
        self.socket = connect(url, proxy=None, open_timeout=TIMEOUT, max_queue=None)

    def send(self, type: str, **fields: Any) -> None:
        self.socket.send(json.dumps({"type": type, **fields}))

    def receive(self) -> Any:
        self.heard.append(json.loads(self.socket.recv(TIMEOUT)))
        return self.heard[-1]

    def until(self, type: str) -> Any:
        """The next message of this type."""
        while (message := self.receive())["type"] != type:
            pass
        return message

    def subscribe(self, **since: str) -> list[Any]:
        """What comes until one has all that there is, without who is there."""
        begin = len(self.heard)
        self.send("subscribe", topic=self.topic, **since)
        self.until("subscribed")
        return self.heard[begin:]

    def enter(self, name: str) -> Any:
        """How one is known here."""
        self.send("enter", name=name, id=self.secret)
        return self.until("you")

    def say(self, text: str) -> None:
        self.send("say", id=str(next(self.ids)), text=text)

    def said(self, count: int) -> list[str]:
        """So many texts, as they come."""
        return [self.until("said")["text"] for _ in range(count)]

    def present(self) -> list[str]:
        """Who is there, after all that was heard."""
        present: dict[str, Any] = {}
        for message in self.heard:
            if message["type"] == "members":
                present = {member["member"]: member for member in message["members"]}
            elif message["type"] == "here":
                present[message["member"]] = message
            elif message["type"] == "left":
                present.pop(message["member"], None)
        return names(list(present.values()))

    def until_present(self, expected: Iterable[str]) -> None:
        """Wait until exactly these are there."""
        while self.present() != sorted(expected):
            self.receive()


@contextmanager
def guest(demo: Demo, room: str, name: str, secret: str | None = None) -> Iterator[Guest]:
    """Someone who is in the room, as all others know."""
    someone = Guest(demo, room, secret)
    with someone.socket:
        someone.subscribe()
        you = someone.enter(name)
        while someone.until("here")["visitor"] != you["visitor"]:
            pass
        yield someone


def names(members: list[Any]) -> list[str]:
    """The names without the signs behind them."""
    return sorted(member["name"].partition(" #")[0] for member in members)


# --- by other people's clients


def test_the_way_to_the_lobby(demo: Demo) -> None:
    connection = http.client.HTTPConnection(demo.host, timeout=TIMEOUT)
    connection.request("GET", "/chat")
    response = connection.getresponse()
    assert (response.status, response.headers["location"]) == (302, "/chat/lobby")
    connection.close()


def test_a_room_welcomes(demo: Demo, room: str) -> None:
    someone = Guest(demo, room)
    with someone.socket:
        host, port = someone.socket.local_address
        assert someone.receive() == {"type": "welcome", "text": f"Welcome to chat, client: {host}:{port}"}


def test_all_read_the_same_in_the_same_order(demo: Demo, room: str) -> None:
    with ExitStack() as stack:
        guests = [stack.enter_context(guest(demo, room, f"Guest {each}")) for each in range(5)]
        check_order(guests, 5)


def check_order(guests: list[Guest], each: int) -> None:
    """Let all of them write at the same time, and compare what they read."""

    def write(number: int) -> None:
        for turn in range(each):
            guests[number].say(f"{number}:{turn}")

    with ThreadPoolExecutor(len(guests)) as threads:
        list(threads.map(write, range(len(guests))))
        orders = list(threads.map(lambda one: one.said(len(guests) * each), guests))
    for number, _ in enumerate(guests):
        own = [text for text in orders[0] if text.startswith(f"{number}:")]
        assert own == [f"{number}:{turn}" for turn in range(each)]
    assert orders == [orders[0]] * len(guests)


def test_who_comes_late_reads_what_was_said_before(demo: Demo, room: str) -> None:
    with guest(demo, room, "Ada") as ada:
        ada.say("first")
        ada.say("second")
        heard = [ada.until("said"), ada.until("said")]
        late = Guest(demo, room)
        with late.socket:
            late.until("welcome")
            *said, subscribed = late.subscribe()
            assert said == heard
            assert subscribed["recovered"] is True
            assert subscribed["at"] == heard[-1]["at"]
            assert isinstance(heard[0]["time"], int)


def test_who_comes_back_gets_what_was_missed(demo: Demo, room: str) -> None:
    with guest(demo, room, "Ada") as ada:
        with guest(demo, room, "Bob") as bob:
            ada.say("heard")
            at = bob.until("said")["at"]
        ada.say("missed")
        ada.say("missed too")
        ada.said(3)
        bob = Guest(demo, room)
        with bob.socket:
            bob.until("welcome")
            *said, subscribed = bob.subscribe(since=at)
            assert [each["text"] for each in said] == ["missed", "missed too"]
            assert subscribed["recovered"] is True


@pytest.mark.parametrize("since", ["0123456789abcdef:1", "nonsense", ""])
def test_who_comes_back_from_an_unknown_place_is_told_and_gets_what_there_is(
    demo: Demo, room: str, since: str
) -> None:
    with guest(demo, room, "Ada") as ada:
        ada.say("after the restart")
        said = ada.until("said")
        bob = Guest(demo, room)
        with bob.socket:
            bob.until("welcome")
            missing, kept, subscribed = bob.subscribe(since=since)
            assert missing == {"type": "missing"}
            assert kept == said
            assert subscribed["recovered"] is False
            assert subscribed["at"] == said["at"]


def test_who_is_there(demo: Demo, room: str) -> None:
    with guest(demo, room, "Ada") as ada:
        with guest(demo, room, "Bob") as bob:
            here = ada.until("here")
            assert names([here]) == ["Bob"]
            bob.enter("Robert")
            renamed = ada.until("here")
            assert names([renamed]) == ["Robert"]
            assert renamed["member"] == here["member"]
            bob.subscribe()
            assert names(bob.until("members")["members"]) == ["Ada", "Robert"]
            assert ada.until("left") == renamed | {"type": "left"}  # who subscribes anew begins anew
            assert names([ada.until("here")]) == ["Robert"]
        assert names([ada.until("left")]) == ["Robert"]
        ada.subscribe()
        assert names(ada.until("members")["members"]) == ["Ada"]


def test_the_same_name_is_not_the_same(demo: Demo, room: str) -> None:
    with guest(demo, room, "Ada") as one, guest(demo, room, "Ada"):
        first, second = one.heard[-1], one.until("here")
        assert names([first, second]) == ["Ada", "Ada"]
        assert first["name"] != second["name"]
        assert first["visitor"] != second["visitor"]


def test_two_connections_of_one_visitor_are_two_members(demo: Demo, room: str) -> None:
    with guest(demo, room, "Ada") as one:
        with guest(demo, room, "Ada", one.secret):
            first, second = one.heard[-1], one.until("here")
            assert first["name"] == second["name"]
            assert first["member"] != second["member"]
        assert one.until("left")["member"] == second["member"]


def test_nobody_learns_the_secret_of_another(demo: Demo, room: str) -> None:
    with guest(demo, room, "Ada") as ada, guest(demo, room, "Bob") as bob:
        bob.say("hello")
        ada.said(1)
        assert bob.secret not in json.dumps(ada.heard)


def test_who_speaks_too_much_is_told_to_wait_and_others_are_not(demo: Demo, room: str) -> None:
    with guest(demo, room, "Ada") as ada, guest(demo, room, "Bob") as bob:
        for turn in range(6):
            ada.say(f"quick {turn}")
        refused = ada.until("refused")
        assert refused["id"] == "5"
        assert refused["text"] == f"Too fast: try again in {refused['wait']:.1f} seconds"
        assert refused["wait"] > 0
        bob.say("calm")
        assert bob.said(6) == [*(f"quick {turn}" for turn in range(5)), "calm"]


@pytest.mark.parametrize(
    "garbage",
    [
        b"bytes",
        "no JSON",
        "[" * 10_000,
        "null",
        '{"text": "no type"}',
        '{"type": "shout", "text": "unknown"}',
        '{"type": "say", "id": "1", "text": "more", "than": "asked for"}',
        '{"type": "say", "id": "1", "text": " \\n "}',
        '{"type": "say", "id": "1", "text": 7}',
        '{"type": "say", "id": "1", "text": "\\ud800"}',
        json.dumps({"type": "say", "id": "1", "text": "x" * 1001}),
        json.dumps({"type": "say", "id": "x" * 1000, "text": "hello"}),
        json.dumps({"type": "enter", "name": "x" * 21, "id": "12345678"}),
        json.dumps({"type": "enter", "name": " Ada", "id": "12345678"}),
        json.dumps({"type": "enter", "name": "Ada\nBob", "id": "12345678"}),
        json.dumps({"type": "subscribe", "topic": "chat:another"}),
        json.dumps({"type": "subscribe", "topic": "chat:here", "since": "x" * 1000}),
    ],
)
def test_what_makes_no_sense_is_refused_in_words(demo: Demo, room: str, garbage: str | bytes) -> None:
    with guest(demo, room, "Ada") as ada, guest(demo, room, "Bob") as bob:
        ada.socket.send(garbage)
        assert ada.until("error")["text"]
        ada.say("still here")
        assert bob.said(1) == ["still here"]
        assert not [message for message in bob.heard if message["type"] == "error"]


def test_who_has_no_name_has_no_say(demo: Demo, room: str) -> None:
    someone = Guest(demo, room)
    with someone.socket:
        someone.say("hello")
        assert someone.until("error")["text"] == "Say who you are first"


def test_a_flood_is_refused_and_disturbs_nobody(demo: Demo, room: str) -> None:
    with guest(demo, room, "Ada") as ada, guest(demo, room, "Bob") as bob:
        for _ in range(300):
            ada.send("writing")
        assert "Too fast" in ada.until("error")["text"]
        bob.say("calm")
        assert bob.said(1) == ["calm"]


async def test_only_so_many_rooms_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chat, "MOST_ROOMS", 2)
    async with chat_server() as say:
        assert await say("one", "1") == ["1"]
        assert await say("two", "1") == ["1"]
        assert await say("three", "1") == ["1"]  # heard, as anywhere
        assert await say("three", "2") == [None, "2"]  # but not kept, which is told
        assert await say("two", "2") == ["1", "2"]
        later = time.monotonic() + chat.KEPT_SECONDS + 1
        monkeypatch.setattr(rooms, "monotonic", lambda: later)
        assert await say("three", "3") == ["3"]  # what is missing would be forgotten by now


def test_a_room_makes_way_once_nothing_is_kept_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = rooms.Kept(2, 10)
    for now, room, place in [
        (0, "one", True), (5, "two", True), (9, "three", False), (9, "one", True), (15, "three", True),
        (15, "two", False), (19, "two", True),
    ]:  # fmt: skip
        monkeypatch.setattr(rooms, "monotonic", lambda now=now: now)
        assert kept.has_place_for(room) is place


@asynccontextmanager
async def chat_server() -> AsyncIterator[Callable[[str, str], Awaitable[list[str | None]]]]:
    """A server in this process, and how to say something in a room of it and hear all that was said there,
    None where something is missing."""

    async def say(room: str, text: str) -> list[str | None]:
        url = "ws://{}:{}/chat/{}".format(*server.address, room)
        async with connect_async(url, proxy=None) as socket:
            await socket.send(json.dumps({"type": "subscribe", "topic": f"chat:{room}"}))
            await socket.send(json.dumps({"type": "enter", "name": "Ada", "id": "12345678"}))
            await socket.send(json.dumps({"type": "say", "id": "1", "text": text}))
            said: list[str | None] = []
            while text not in said:
                message = json.loads(await socket.recv())
                if message["type"] in ("said", "missing"):
                    said.append(message.get("text"))
            return said

    async with create_server(port=0) as server:
        yield say


# --- across processes


@pytest.mark.skipif(os.name == "nt", reason="Windows can't fork")
def test_workers_are_one_room(tmp_path: Path, room: str) -> None:
    with running_demo(tmp_path, "--workers", "2") as demo, ExitStack() as stack:
        guests = [stack.enter_context(guest(demo, room, f"Guest {each}")) for each in range(8)]
        for each in guests:
            each.until_present([f"Guest {each}" for each in range(8)])
        check_order(guests, 3)


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs Linux to find the workers")
def test_those_at_a_worker_that_dies_have_left(tmp_path: Path, room: str) -> None:
    with running_demo(tmp_path, "--workers", "2") as demo, ExitStack() as stack:
        guests = {f"Guest {each}": Guest(demo, room) for each in range(16)}
        for name, each in guests.items():
            stack.enter_context(each.socket)
            each.subscribe()
            each.enter(name)
        for each in guests.values():
            each.until_present(guests)
        os.kill(demo.processes[-1], signal.SIGKILL)
        survivors = {}
        for name, each in guests.items():
            with suppress(ConnectionClosed):
                each.say("still here")
                each.until("said")
                survivors[name] = each
        assert 0 < len(survivors) < len(guests)
        for each in survivors.values():
            each.until_present(survivors)


def test_two_servers_are_one_room(pair: tuple[Demo, Demo], room: str) -> None:
    with ExitStack() as stack:
        guests = [stack.enter_context(guest(pair[each % 2], room, f"Guest {each}")) for each in range(6)]
        for each in guests:
            each.until_present([f"Guest {each}" for each in range(6)])
        check_order(guests, 4)
        at = guests[0].heard[-1]["at"]
        guests[1].say("missed")
        guests[1].said(1)
        back = Guest(pair[1], room)  # at the other server
        stack.enter_context(back.socket)
        back.until("welcome")
        said, subscribed = back.subscribe(since=at)
        assert (said["text"], subscribed["recovered"]) == ("missed", True)


def test_all_are_told_where_the_broker_has_forgotten_what_was_said(
    pair: tuple[Demo, Demo], broker: Any, room: str
) -> None:
    with guest(pair[0], room, "Ada") as ada, guest(pair[1], room, "Bob") as bob:
        ada.say("before")
        assert ada.said(1) == bob.said(1) == ["before"]
        broker.kill()
        broker.start()
        ada.until("missing")
        bob.until("missing")
        ada.say("after")
        assert ada.said(1) == bob.said(1) == ["after"]
