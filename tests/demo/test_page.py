"""The demo's page in a real browser."""

from __future__ import annotations

import re
import shutil
import signal
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from .conftest import Demo, running_demo

pytest.importorskip("playwright.sync_api", reason="needs Playwright's Python package")
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--disable-quic",
]

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium or Chrome on the PATH")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One browser for this module, not for longer: as long as Playwright runs, asyncio.run() refuses to."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.set_default_timeout(10_000)
    yield context
    context.close()


class Watched:
    """A page, and all that should not happen on it."""

    def __init__(self, context: BrowserContext, demo: Demo) -> None:
        self.page: Page = context.new_page()
        self.errors: list[str] = []
        self.hosts: set[str] = set()
        self.page.on("console", lambda message: self.errors.append(f"{message.type}: {message.text}"))
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("request", lambda request: self.hosts.add(urlsplit(request.url).netloc))
        self.page.on("websocket", lambda socket: self.hosts.add(urlsplit(socket.url).netloc))
        self.page.goto(demo.url)
        wait_for_state(self.page, "open")


def wait_for_state(page: Page, state: str) -> None:
    for section in ("echo", "chat", "data"):
        page.wait_for_selector(f"#{section}[data-state={state}]")


@pytest.fixture
def page(context: BrowserContext, demo: Demo) -> Iterator[Page]:
    """The open page; afterwards, nothing was complained about and no other host was asked for anything."""
    watched = Watched(context, demo)
    yield watched.page
    assert watched.errors == []
    assert watched.hosts == {demo.host}


def test_echo_comes_back_with_its_round_trip_time(page: Page) -> None:
    page.get_by_label("Message").first.fill("Grüße, 世界")
    page.keyboard.press("Enter")
    line = page.locator("#echo .echo")
    expect(line.locator("span")).to_have_text("Grüße, 世界")
    expect(line.locator("small")).to_have_text(re.compile(r"^\d+\.\d ms$"))
    expect(page.locator("#echo-text")).to_have_value("")


def test_echo_of_bytes_stays_bytes(page: Page) -> None:
    page.get_by_label("as bytes").check()
    page.fill("#echo-text", "é")
    page.locator("#echo").get_by_role("button", name="Send").click()
    expect(page.locator("#echo .echo small")).to_have_text(re.compile(r"^2 bytes, \d+\.\d ms$"))


def test_a_browser_agrees_on_compression_and_reads_what_is_compressed(page: Page) -> None:
    """A text of 100,000 characters that repeat comes back; both ways it is compressed."""
    came, extensions = page.evaluate("""() => new Promise(done => {
        const socket = new WebSocket(`ws://${location.host}/ws`);
        const text = 'grüße '.repeat(20000);
        socket.onopen = () => socket.send(text);
        socket.onmessage = ({ data }) => {
            if (data.length > 100) done([data === text, socket.extensions]);
        };
    })""")
    assert came
    assert extensions.startswith("permessage-deflate")


def test_chat_shows_what_others_say_as_plain_text(page: Page, context: BrowserContext, demo: Demo) -> None:
    attack = "<img src=x onerror=\"document.title='owned'\">"
    other = Watched(context, demo).page
    expect(other.locator("#chat .notice")).to_contain_text("Welcome to chat, client: 127.0.0.1:")
    other.fill("#chat-text", attack)
    other.press("#chat-text", "Enter")

    expect(page.locator("#chat .other span")).to_have_text(attack)
    expect(page.locator("#chat .other small")).to_have_text(re.compile(r"^127\.0\.0\.1:\d+$"))
    expect(other.locator("#chat .own span")).to_have_text(attack)
    expect(other.locator("#chat .own small")).to_have_text("You")
    for each in (page, other):
        expect(each.locator("#chat .log img")).to_have_count(0)
        expect(each).to_have_title("hyperws demo")


def test_chat_says_what_is_wrong_with_a_message(page: Page) -> None:
    page.fill("#chat-text", "   ")
    page.press("#chat-text", "Enter")
    expect(page.locator("#chat .error")).to_have_text("The message is empty")
    assert page.get_attribute("#chat-text", "maxlength") == "1000"


def test_chart_moves(page: Page) -> None:
    def wait_for_sequence(number: int) -> None:
        reached = "number => Number(document.querySelector('canvas').dataset.sequence) >= number"
        page.wait_for_function(reached, arg=number)

    wait_for_sequence(3)
    picture = page.evaluate("document.querySelector('canvas').toDataURL()")
    wait_for_sequence(8)
    assert page.evaluate("document.querySelector('canvas').toDataURL()") != picture
    expect(page.locator("#data-value")).to_have_text(re.compile(r"^\d+\.\d$"))
    expect(page.locator("#data .chart p")).to_be_empty()


@pytest.mark.parametrize("width", [320, 390, 768])
def test_page_fits_a_narrow_screen(page: Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") == width


def test_every_control_is_reached_and_named_by_keyboard(page: Page) -> None:
    name_of_focused = """() => {
        const { activeElement: focused } = document;
        return focused.ariaLabel ?? (focused.labels?.[0] ?? focused).textContent.trim();
    }"""
    names = []
    for _ in range(10):
        page.keyboard.press("Tab")
        names.append(page.evaluate(name_of_focused))
    assert names == [
        "Echo", "Chat", "Live data",
        "Echoes", "as bytes", "Message", "Send",
        "Conversation", "Message", "Send",
    ]  # fmt: skip


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="needs a signal that holds a process")
def test_page_tells_a_stale_stream_and_comes_back_after_a_restart(context: BrowserContext) -> None:
    with running_demo() as first:
        page = Watched(context, first).page
        warning = page.locator("#data .chart p")
        page.wait_for_selector("canvas[data-sequence]")

        first.process.send_signal(signal.SIGSTOP)
        expect(warning).to_have_text("Stale: no new data")
        first.process.send_signal(signal.SIGCONT)
        expect(warning).to_be_empty()
    wait_for_state(page, "closed")
    expect(warning).to_have_text("Disconnected")
    expect(page.locator("#chat").get_by_role("button", name="Send")).to_be_disabled()

    with running_demo(first.port):
        wait_for_state(page, "open")
        expect(warning).to_be_empty()
        page.fill("#echo-text", "again")
        page.press("#echo-text", "Enter")
        expect(page.locator("#echo .echo span")).to_have_text("again")
