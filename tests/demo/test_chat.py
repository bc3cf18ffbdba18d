"""Chat: by other people's clients, in a browser, and across processes."""

from __future__ import annotations

import http.client
import itertools
import json
import os
import re
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

from .conftest import Demo, Visitors, running_broker, running_demo, wait_for_state

try:
    from playwright.sync_api import expect
except ImportError:
    pass  # the fixture `visitors` skips

TIMEOUT = 20  # seconds
MARKUP = "<img src=x onerror=\"document.title='owned'\">"


@pytest.fixture
def room() -> str:
    """A room where nobody has been before."""
    return f"test-{uuid4().hex[:12]}"


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


# --- in a browser


def speak(page: Any, text: str) -> None:
    page.fill("#text", text)
    page.press("#text", "Enter")


def texts(page: Any) -> Any:
    """What was said, as the page shows it."""
    return page.locator("#log .own span, #log .other span")


def people(page: Any) -> Any:
    return page.locator("#people li")


def test_all_pages_show_the_same(visitors: Visitors, demo: Demo, room: str) -> None:
    pages = [visitors.visit(demo, f"/chat/{room}", name=name) for name in ("Ada", "Bob", "Cleo")]
    said = []
    for turn in range(3):
        for number, page in enumerate(pages):
            said.append(f"{number}:{turn}")
            speak(page, said[-1])
            expect(page.locator("#text")).to_be_focused()
            expect(page.locator("#text")).to_have_value("")
    for page in pages:
        expect(texts(page)).to_have_count(len(said))
        expect(people(page)).to_have_count(3)
        expect(page.locator("#log .own")).to_have_count(3)
    orders = [texts(page).all_inner_texts() for page in pages]
    assert sorted(orders[0]) == sorted(said)
    assert orders == [orders[0]] * 3
    labels = pages[0].locator("#log .other small").all_inner_texts()
    assert {label.partition(" #")[0] for label in labels} == {"Bob", "Cleo"}


def test_a_page_shows_who_comes_and_goes(visitors: Visitors, demo: Demo, room: str) -> None:
    page = visitors.visit(demo, f"/chat/{room}", name="Ada")
    expect(people(page)).to_have_text(re.compile(r"^Ada #[0-9a-f]{4} \(you\)$"))
    with guest(demo, room, "Bob") as bob:
        expect(page.locator("#log")).to_contain_text("is here")
        expect(people(page).last).to_contain_text("Bob #")
        bob.enter("Robert")
        expect(people(page).last).to_contain_text("Robert #")
        expect(page.locator("#log")).to_contain_text("is now Robert #")
    expect(people(page)).to_have_count(1)
    expect(page.locator("#log .notice").last).to_contain_text("has left")


def test_a_name_can_be_changed_and_lasts(visitors: Visitors, demo: Demo, room: str) -> None:
    page = visitors.visit(demo, f"/chat/{room}", name="Ada")
    speak(page, "as Ada")
    expect(texts(page)).to_have_count(1)
    page.fill("#name", "Lovelace")
    page.press("#name", "Enter")
    expect(page.locator("#log .notice").last).to_contain_text("You are now Lovelace #")
    expect(people(page)).to_contain_text(["Lovelace #"])
    page.reload()
    wait_for_state(page, "open")
    expect(people(page)).to_contain_text(["Lovelace #"])
    expect(page.locator("#log .own span")).to_have_text("as Ada")  # one's own words stay one's own


def test_markup_is_shown_as_text(visitors: Visitors, demo: Demo, room: str) -> None:
    page = visitors.visit(demo, f"/chat/{room}", name="Ada")
    with guest(demo, room, "<b>Bob</b>") as bob:
        bob.say(MARKUP)
        expect(texts(page)).to_have_text([MARKUP])
        expect(page.locator("#log .other small")).to_contain_text("<b>Bob</b> #")
        expect(people(page).last).to_contain_text("<b>Bob</b> #")
        expect(page.locator("#log img, #log b, #people b")).to_have_count(0)


def test_each_reads_times_of_their_own_zone(visitors: Visitors, demo: Demo, room: str) -> None:
    settings = {"locale": "en-GB"}
    london = visitors.visit(demo, f"/chat/{room}", timezone_id="UTC", **settings)
    tokyo = visitors.visit(demo, f"/chat/{room}", timezone_id="Asia/Tokyo", **settings)
    speak(london, "what time is it?")
    minutes = []
    for page in (london, tokyo):
        expect(texts(page)).to_have_count(1)
        label = page.locator("#log .own small, #log .other small").inner_text()
        hour, minute = label.rpartition(" ")[2].split(":")
        minutes.append(int(hour) * 60 + int(minute))
    assert (minutes[1] - minutes[0]) % (24 * 60) == 9 * 60


def test_who_writes_is_shown_until_they_have_said_it(visitors: Visitors, demo: Demo, room: str) -> None:
    page = visitors.visit(demo, f"/chat/{room}", name="Ada")
    with guest(demo, room, "Bob") as bob:
        bob.send("writing")
        expect(page.locator("#writing")).to_contain_text("Bob #")
        bob.say("done")
        expect(texts(page)).to_have_text(["done"])
        expect(page.locator("#writing")).to_be_empty()


def test_who_speaks_too_much_gets_the_text_back_and_may_go_on(
    visitors: Visitors, demo: Demo, room: str
) -> None:
    page = visitors.visit(demo, f"/chat/{room}", name="Ada")
    for turn in range(6):
        speak(page, f"quick {turn}")
    expect(page.locator("#refusal")).to_contain_text("Too fast: try again in")
    expect(page.locator("#send")).to_contain_text("Send in")
    expect(page.locator("#text")).to_have_value("quick 5")
    expect(page.locator("#send")).to_have_text("Send")
    expect(page.locator("#refusal")).to_be_empty()
    page.press("#text", "Enter")
    expect(texts(page)).to_have_text([f"quick {turn}" for turn in range(6)])


class Line:
    """The page's WebSocket. A connection carries nothing any more from the first message of a type on."""

    def __init__(self) -> None:
        self.breaks_at: str | None = None

    def attach(self, route: Any) -> None:
        server = route.connect_to_server()
        broken = False

        def carry(data: str, to: Any) -> None:
            nonlocal broken
            broken = broken or json.loads(data)["type"] == self.breaks_at
            if not broken:
                to.send(data)

        route.on_message(lambda data: carry(data, server))
        server.on_message(lambda data: carry(data, route))


@pytest.mark.parametrize(
    ("breaks_at", "order"), [("say", ["meanwhile", "hello"]), ("said", ["hello", "meanwhile"])]
)
def test_what_got_lost_on_its_way_is_said_once(
    visitors: Visitors, demo: Demo, room: str, breaks_at: str, order: list[str]
) -> None:
    """Whether it was lost on the way there or on the way back."""
    line = Line()
    page = visitors.visit(demo, f"/chat/{room}", name="Ada")
    page.route_web_socket("**", line.attach)
    page.reload()
    wait_for_state(page, "open")
    expect(people(page)).to_have_count(1)
    with guest(demo, room, "Bob") as bob:
        line.breaks_at = breaks_at
        speak(page, "hello")
        expect(page.locator("#waiting")).to_have_text("On its way: hello")
        expect(texts(page)).to_have_count(0)
        bob.say("meanwhile")
        while bob.until("said")["text"] != "meanwhile":
            pass
        line.breaks_at = None
        page.get_by_role("button", name="Cut").click()
        expect(texts(page)).to_have_text(order)
        expect(page.locator("#waiting")).to_be_empty()
        late = Guest(demo, room)
        with late.socket:
            late.subscribe()
            assert [each["text"] for each in late.heard if each["type"] == "said"] == order


def test_what_comes_twice_is_shown_once(visitors: Visitors, demo: Demo, room: str) -> None:
    """As where something was said again that had not got lost after all."""

    def twice(route: Any) -> None:
        server = route.connect_to_server()
        server.on_message(lambda data: [route.send(data) for _ in range(2)])

    page = visitors.visit(demo, f"/chat/{room}", name="Ada")
    page.route_web_socket("**", twice)
    page.reload()
    wait_for_state(page, "open")
    with guest(demo, room, "Bob") as bob:
        speak(page, "hello")
        bob.said(1)
        bob.say("hello")
        bob.said(1)
        bob.say("the end")
        expect(texts(page).last).to_have_text("the end")
        expect(texts(page)).to_have_text(["hello", "hello", "the end"])


def test_a_page_asks_for_what_comes_after_all_that_it_has(visitors: Visitors, demo: Demo, room: str) -> None:
    """Where a message comes before the word on where its subscription began, too."""
    asked: list[str | None] = []

    def serve(route: Any) -> None:
        def answer(data: str) -> None:
            message = json.loads(data)
            if message["type"] == "subscribe":
                asked.append(message.get("since"))
                about = {"topic": message["topic"]}
                said = {"id": str(len(asked)), "visitor": "x", "name": "Bob", "text": "hello", "time": 0}
                route.send(json.dumps({"type": "said", "at": "e:6", **about, **said}))
                route.send(json.dumps({"type": "subscribed", "at": "e:5", "recovered": True, **about}))

        route.on_message(answer)

    page = visitors.visit(demo, f"/chat/{room}", name="Ada")
    page.route_web_socket("**", serve)
    page.reload()
    expect(texts(page)).to_have_count(1)
    page.get_by_role("button", name="Cut").click()
    expect(texts(page)).to_have_count(2)
    assert asked == [None, "e:6"]


def test_a_page_heals_and_shows_what_was_said_meanwhile(visitors: Visitors, demo: Demo, room: str) -> None:
    page = visitors.visit(demo, f"/chat/{room}", name="Ada")
    with guest(demo, room, "Bob") as bob:
        bob.say("before")
        expect(texts(page)).to_have_count(1)
        page.fill("#text", "half a sent")
        page.get_by_role("button", name="Cut").click()
        bob.until("left")
        bob.say("meanwhile")
        expect(texts(page)).to_have_text(["before", "meanwhile"])
        wait_for_state(page, "open")
        expect(people(page)).to_have_count(2)
        expect(page.locator("#text")).to_have_value("half a sent")
        speak(page, "after")
        assert bob.said(2) == ["meanwhile", "after"]
        expect(texts(page)).to_have_text(["before", "meanwhile", "after"])
        expect(page.locator("#log")).not_to_contain_text("missing")


def test_a_page_heals_when_the_server_starts_again(visitors: Visitors, tmp_path: Path, room: str) -> None:
    with running_demo(tmp_path) as demo:
        page = visitors.visit(demo, f"/chat/{room}", name="Ada")
        speak(page, "before")
        expect(texts(page)).to_have_count(1)
    wait_for_state(page, "waiting")
    page.fill("#text", "written meanwhile")
    page.press("#text", "Enter")
    expect(page.locator("#text")).to_have_value("written meanwhile")
    with running_demo(tmp_path, port=demo.port) as demo, guest(demo, room, "Bob") as bob:
        bob.say("soon")
        expect(page.locator("#log .other span")).to_have_text(["soon"])
        expect(page.locator("#log .notice", has_text="Some messages are missing")).to_have_count(1)
        page.press("#text", "Enter")
        assert bob.said(2) == ["soon", "written meanwhile"]
        expect(texts(page)).to_have_text(["before", "soon", "written meanwhile"])
        expect(people(page)).to_have_count(2)


def test_a_reader_is_left_in_peace(visitors: Visitors, demo: Demo, room: str) -> None:
    page = visitors.visit(demo, f"/chat/{room}", name="Ada", viewport={"width": 800, "height": 500})
    with ExitStack() as stack:
        for number in range(4):
            someone = stack.enter_context(guest(demo, room, f"Guest {number}"))
            for turn in range(4):
                someone.say(f"{number}:{turn}\n\n\n")
        expect(texts(page)).to_have_count(16)
        log, newer = page.locator("#log"), page.get_by_role("button", name="New messages")
        expect(texts(page).last).to_be_in_viewport()
        expect(newer).to_be_hidden()
        log.evaluate("log => { log.scrollTop = 0 }")
        someone.say("news")
        expect(newer).to_be_visible()
        assert log.evaluate("log => log.scrollTop") == 0
        newer.click()
        expect(texts(page).last).to_be_in_viewport()
        expect(newer).to_be_hidden()
        expect(page.locator("#text")).to_be_focused()


def test_rooms_have_walls_and_doors(visitors: Visitors, demo: Demo, room: str) -> None:
    page = visitors.visit(demo, f"/chat/{room}", name="Ada")
    page.fill("#other", f"{room} Küche")
    page.press("#other", "Enter")
    expect(page.get_by_role("heading", name=f"{room}-Küche")).to_be_visible()
    wait_for_state(page, "open")
    with guest(demo, room, "Bob") as bob, guest(demo, f"{room}-Küche", "Cleo") as cleo:
        bob.say("not for the kitchen")
        bob.until("said")
        cleo.say("for the kitchen")
        expect(texts(page)).to_have_text(["for the kitchen"])
    page.get_by_role("link", name=room, exact=True).click()
    expect(texts(page)).to_have_text(["not for the kitchen"])
    expect(page.locator("#rooms a")).to_have_count(3)  # with the lobby


def test_a_crowd_that_comes_at_once_is_drawn_at_once(visitors: Visitors, demo: Demo, room: str) -> None:
    page = visitors.visit(demo, f"/chat/{room}")
    expect(people(page)).to_have_count(1)
    drawn = page.evaluate("""async () => {
        const people = await import("/pages/chat/people.js");
        let drawn = 0;
        const observer = new MutationObserver((records) => (drawn += records.length));
        observer.observe(document.getElementById("people"), { childList: true });
        for (let i = 0; i < 100; i += 1) people.add({ member: `${i}`, visitor: `${i}`, name: `${i}` });
        await new Promise(requestAnimationFrame);
        await new Promise(requestAnimationFrame);
        return drawn;
    }""")
    assert drawn == 1
    expect(people(page)).to_have_count(101)


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
        pid = demo.process.pid
        *_, worker = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        os.kill(int(worker), signal.SIGKILL)
        survivors = {}
        for name, each in guests.items():
            with suppress(ConnectionClosed):
                each.say("still here")
                each.until("said")
                survivors[name] = each
        assert 0 < len(survivors) < len(guests)
        for each in survivors.values():
            each.until_present(survivors)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Any]:
    with running_broker("RedisServer", tmp_path) as broker:
        yield broker


@pytest.fixture
def pair(tmp_path: Path, broker: Any) -> Iterator[tuple[Demo, Demo]]:
    """Two servers on one Redis."""
    options = tmp_path, "--backplane", broker.url
    with running_demo(*options) as one, running_demo(*options) as two:
        yield one, two


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


def test_pages_of_two_servers_are_one_room(visitors: Visitors, pair: tuple[Demo, Demo], room: str) -> None:
    pages = [visitors.visit(demo, f"/chat/{room}", name=f"Ada {demo.port}") for demo in pair]
    for turn in range(3):
        for number, page in enumerate(pages):
            speak(page, f"{number}:{turn}")
    for page in pages:
        expect(texts(page)).to_have_count(6)
        expect(people(page)).to_have_count(2)
    assert texts(pages[0]).all_inner_texts() == texts(pages[1]).all_inner_texts()
    pages[0].close()
    expect(people(pages[1])).to_have_count(1)
    expect(pages[1].locator("#log .notice").last).to_contain_text("has left")
