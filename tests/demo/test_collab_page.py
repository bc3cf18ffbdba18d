"""The editor in browsers, several at one text, and a stock client of Yjs beside them."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hyperws.demo.collab.documents import LARGEST

from .conftest import Demo, Visitors, running_demo, wait_for_state
from .yjs_client import TIMEOUT, Writer

STOCK = Path(__file__).parent / "y_websocket" / "y-websocket.js"
MARK = """() => {
    const { x, y, width } = document.querySelector(".mark").getBoundingClientRect();
    return [x, y, width];
}"""
TEXT = "document.querySelector('#text').value"

Open = Callable[..., Any]


@pytest.fixture
def open_page(visitors: Visitors, demo: Demo, room: str) -> Open:
    """Opens the document on a page, of a visitor of that name."""

    def open_page(visitor: str, **settings: Any) -> Any:
        page = visitors.visit(demo, f"/collab/{room}", name=visitor, **settings)
        page.wait_for_selector("#kept:text('Saved')")
        page.click("#text")
        return page

    return open_page


def wait_for_text(page: Any, text: str) -> None:
    page.wait_for_function(f"text => {TEXT} === text", arg=text)


def place_cursor(page: Any, start: int, end: int | None = None) -> None:
    page.evaluate(
        "([start, end]) => document.querySelector('#text').setSelectionRange(start, end)",
        [start, start if end is None else end],
    )


def selection(page: Any) -> list[int]:
    found: list[int] = page.evaluate(
        "[document.querySelector('#text').selectionStart, document.querySelector('#text').selectionEnd]"
    )
    return found


def people(page: Any) -> list[str]:
    found: list[str] = page.locator("#people li").all_text_contents()
    return found


# ------------------------------------------------------------------------------------------- together


def test_two_who_type_at_once_end_up_with_the_same(open_page: Open) -> None:
    ada, grace = open_page("Ada"), open_page("Grace")
    for one, other in zip("The engine weaves", "Punch cards, then", strict=True):
        ada.keyboard.type(one)
        grace.keyboard.type(other)
    for page in ada, grace:
        page.wait_for_function(f"() => {TEXT}.length === 34")
        page.wait_for_selector("#kept:text('Saved')")
    text = ada.evaluate(TEXT)
    wait_for_text(grace, text)
    assert sorted(text) == sorted("The engine weavesPunch cards, then")
    late = open_page("Linus")
    wait_for_text(late, text)


def test_everyone_sees_who_is_there_and_where(open_page: Open) -> None:
    ada, grace = open_page("Ada"), open_page("Grace")
    ada.keyboard.type("one two three")
    wait_for_text(grace, "one two three")
    place_cursor(ada, 4, 7)
    cursor, mark = grace.locator(".cursor"), grace.locator(".mark")
    mark.wait_for()
    assert cursor.all_text_contents() == ["Ada"]
    assert people(grace) == ["Grace (you)", "Ada"]

    # it is where the text is, also when that moves on
    x, y, width = grace.evaluate(MARK)
    place_cursor(grace, 0)
    grace.keyboard.type("zero ")
    grace.wait_for_function(f"x => ({MARK})()[0] > x + 20", arg=x)
    _, y_after, width_after = grace.evaluate(MARK)
    assert y_after == y
    assert width_after == pytest.approx(width, abs=1)

    ada.fill("#name", "Countess")
    ada.keyboard.press("Tab")
    grace.wait_for_selector("#people li:text('Countess')")
    assert cursor.all_text_contents() == ["Countess"]
    ada.close()
    grace.wait_for_function("() => document.querySelectorAll('#people li').length === 1")
    assert cursor.count() == mark.count() == 0


def test_a_selection_stays_where_it_is_when_others_type(open_page: Open) -> None:
    ada, grace = open_page("Ada"), open_page("Grace")
    ada.keyboard.type("one two three")
    wait_for_text(grace, "one two three")
    place_cursor(grace, 4, 7)
    place_cursor(ada, 0)
    ada.keyboard.type("zero ")
    wait_for_text(grace, "zero one two three")
    assert selection(grace) == [9, 12]
    place_cursor(ada, 18)
    ada.keyboard.type("!")
    wait_for_text(grace, "zero one two three!")
    assert selection(grace) == [9, 12]
    grace.keyboard.type("2")
    wait_for_text(ada, "zero one 2 three!")
    assert selection(ada) == [17, 17]


def test_undo_takes_back_only_what_was_typed_here(open_page: Open) -> None:
    ada, grace = open_page("Ada"), open_page("Grace")
    ada.keyboard.type("mine")
    wait_for_text(grace, "mine")
    place_cursor(grace, 4)
    grace.keyboard.type(" and yours")
    wait_for_text(ada, "mine and yours")
    ada.keyboard.press("Control+z")
    wait_for_text(grace, " and yours")
    ada.keyboard.press("Control+Shift+z")
    wait_for_text(grace, "mine and yours")
    ada.click("#undo")
    wait_for_text(grace, " and yours")
    assert ada.locator("#undo").is_disabled()
    ada.click("#redo")
    wait_for_text(grace, "mine and yours")
    assert ada.locator("#redo").is_disabled()


def test_all_ways_to_change_a_text(open_page: Open) -> None:
    ada, grace = open_page("Ada"), open_page("Grace")
    ada.keyboard.insert_text("aaaa 😀😁 b\n")
    wait_for_text(grace, "aaaa 😀😁 b\n")
    place_cursor(ada, 2)
    ada.keyboard.press("Delete")
    ada.keyboard.press("Backspace")
    wait_for_text(grace, "aa 😀😁 b\n")
    place_cursor(ada, 3, 5)
    ada.keyboard.insert_text("😂")  # one half of it stays the same
    wait_for_text(grace, "aa 😂😁 b\n")
    ada.keyboard.press("Control+a")
    ada.keyboard.press("Control+x")
    wait_for_text(grace, "")
    ada.keyboard.press("Control+v")
    ada.keyboard.press("Control+v")
    wait_for_text(grace, "aa 😂😁 b\n" * 2)


def test_a_word_that_is_being_put_together_is_not_disturbed(open_page: Open) -> None:
    ada, grace = open_page("Ada"), open_page("Grace")
    ada.keyboard.type("now: ")
    wait_for_text(grace, "now: ")
    keyboard = ada.context.new_cdp_session(ada)
    keyboard.send("Input.imeSetComposition", {"text": "にほ", "selectionStart": 2, "selectionEnd": 2})
    wait_for_text(grace, "now: にほ")
    place_cursor(grace, 0)
    grace.keyboard.type("and ")
    grace.wait_for_selector("#kept:text('Saved')")
    keyboard.send("Input.imeSetComposition", {"text": "にほん", "selectionStart": 3, "selectionEnd": 3})
    keyboard.send("Input.insertText", {"text": "日本"})
    for page in ada, grace:
        wait_for_text(page, "and now: 日本")


def test_what_others_write_is_text_and_nothing_else(open_page: Open) -> None:
    evil = "<img src=x onerror=alert(1)>"
    ada, grace = open_page("<b>Ada</b>"), open_page("Grace")
    ada.keyboard.type(evil)
    wait_for_text(grace, evil)
    grace.wait_for_selector(".cursor")
    assert people(grace) == ["Grace (you)", "<b>Ada</b>"]
    assert grace.locator(".cursor").all_text_contents() == ["<b>Ada</b>"]
    assert grace.locator("main img, .cursor b b, #people b").count() == 0


# ----------------------------------------------------------------------------------------- troubles


def test_what_is_written_offline_is_merged(open_page: Open) -> None:
    ada, grace = open_page("Ada"), open_page("Grace")
    ada.keyboard.type("one two")
    wait_for_text(grace, "one two")
    ada.context.set_offline(True)
    ada.click("button:text('Cut')")
    wait_for_state(ada, "waiting")
    assert people(ada) == ["Ada (you)"]
    ada.click("#text")
    place_cursor(ada, 7)
    ada.keyboard.type(" three")
    ada.wait_for_selector("#kept:text('Offline: your changes are kept here')")
    place_cursor(grace, 0)
    grace.keyboard.type("zero ")
    grace.wait_for_selector("#kept:text('Saved')")
    ada.context.set_offline(False)
    for page in ada, grace:
        wait_for_text(page, "zero one two three")
    ada.wait_for_selector("#kept:text('Saved')")
    assert people(ada) == ["Ada (you)", "Grace"]


def test_a_page_heals_when_the_server_has_been_killed(visitors: Visitors, tmp_path: Path) -> None:
    with running_demo(tmp_path) as demo:
        page = visitors.visit(demo, "/collab/notes", name="Ada")
        page.click("#text")
        page.keyboard.type("kept")
        page.wait_for_selector("#kept:text('Saved')")
        demo.process.send_signal(signal.SIGKILL)
        demo.process.wait(TIMEOUT)
        wait_for_state(page, "waiting")
        page.keyboard.type(" on")
    with running_demo(tmp_path, port=demo.port) as demo:
        wait_for_state(page, "open")
        page.wait_for_selector("#kept:text('Saved')")
        late = visitors.visit(demo, "/collab/notes", name="Grace")
        wait_for_text(late, "kept on")


def test_a_document_that_is_full_says_so(open_page: Open, demo: Demo, room: str) -> None:
    page = open_page("Ada")
    writer = Writer(demo, room)
    writer.write("x" * (LARGEST - 100))
    page.wait_for_function(f"() => {TEXT}.length > 1000")
    page.evaluate("document.querySelector('#text').removeAttribute('maxlength')")
    page.keyboard.insert_text("y" * 200)
    wait_for_state(page, "closed")
    assert "at most" in page.locator("[role=status].state").text_content()
    assert "only here" in page.locator("#kept").text_content()
    writer.settle()
    assert "y" not in writer.text
    writer.socket.close()


def test_line_ends_that_a_textarea_does_not_know_do_no_harm(open_page: Open, demo: Demo, room: str) -> None:
    page = open_page("Ada")
    writer = Writer(demo, room)
    writer.write("one\r\ntwo\r\nthree")
    wait_for_text(page, "one\ntwo\nthree")
    place_cursor(page, 13)
    page.keyboard.type("!")
    writer.wait_for("one\ntwo\nthree!")
    writer.socket.close()


# ------------------------------------------------------------------------------- a stock y-websocket

CONNECT = """async ([server, room]) => {
    const { Doc, WebsocketProvider } = await import("/y-websocket.js");
    const doc = new Doc();
    window.provider = new WebsocketProvider(server, room, doc, { disableBc: true });
    window.text = doc.getText("text");
    provider.awareness.setLocalStateField("user", { name: "Stock" });
    await new Promise((done) => provider.once("sync", done));
}"""


def test_a_stock_client_of_yjs_writes_with_the_page(
    visitors: Visitors, demo: Demo, open_page: Open, room: str
) -> None:
    ada = open_page("Ada")
    ada.keyboard.type("from the page")
    stock = visitors.visit(demo, "/", wait=False)
    stock.route("**/y-websocket.js", lambda route: route.fulfill(path=STOCK))
    stock.evaluate(CONNECT, [demo.socket("/collab"), room])
    stock.wait_for_function("() => text.toString() === 'from the page'")
    stock.evaluate("text.insert(0, 'stock, and ')")
    wait_for_text(ada, "stock, and from the page")
    ada.wait_for_selector("#people li:text('Stock')")
    states = "[...provider.awareness.getStates().values()].map(state => state.user?.name).sort()"
    stock.wait_for_function(f"names => {states}.join() === names", arg="Ada,Stock")

    # away for a while, both write
    stock.evaluate("provider.disconnect()")
    ada.wait_for_function("() => document.querySelectorAll('#people li').length === 1")
    stock.evaluate("text.insert(0, 'away, ')")
    ada.keyboard.type("!")
    ada.wait_for_selector("#kept:text('Saved')")
    stock.evaluate("provider.connect()")
    wait_for_text(ada, "away, stock, and from the page!")
    stock.wait_for_function("() => text.toString() === 'away, stock, and from the page!'")

    # as fast as a program can
    stock.evaluate("for (let each = 0; each < 300; each += 1) text.insert(0, 'x')")
    wait_for_text(ada, "x" * 300 + "away, stock, and from the page!")
    stock.evaluate("provider.destroy()")
