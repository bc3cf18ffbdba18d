"""The chat on pages."""

from __future__ import annotations

import json
import re
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from .conftest import Demo, Visitors, running_demo, wait_for_state
from .test_chat import MARKUP, Guest, guest

try:
    from playwright.sync_api import expect
except ImportError:
    pass  # the fixture `visitors` skips


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
