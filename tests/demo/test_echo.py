"""The echo: other people's clients, and its page."""

from __future__ import annotations

import os
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from .conftest import Demo, Visitors, running_demo, wait_for_state

TIMEOUT = 5  # seconds
LIMIT = 1 << 20  # bytes of a message
MARKUP = "<img src=x onerror=alert(1)>"
PING = '{"type":"ping"}'

KEY = b"AAAAAAAAAAAAAAAAAAAAAA=="
HANDSHAKE = (
    b"GET /ws HTTP/1.1\r\nhost: demo\r\nupgrade: websocket\r\nconnection: Upgrade\r\n"
    b"sec-websocket-version: 13\r\nsec-websocket-key: " + KEY + b"\r\n\r\n"
)


@contextmanager
def client(demo: Demo) -> Iterator[ClientConnection]:
    """One who has been greeted."""
    with connect(demo.socket("/ws"), proxy=None, open_timeout=TIMEOUT) as echo:
        assert echo.request is not None
        assert echo.recv(TIMEOUT) == echo.request.headers["Sec-WebSocket-Key"]
        yield echo


TEXTS = ["hello", "Grüße, 世界 👋", MARKUP, PING, "\x00", "", "x" * LIMIT]
BYTES = [b"hello", b"\x00\xff", b"", b"x" * LIMIT]


@pytest.mark.parametrize("message", [*TEXTS, *BYTES], ids=lambda one: f"{type(one).__name__}-{len(one)}")
def test_each_message_comes_back_with_its_type(demo: Demo, message: str | bytes) -> None:
    with client(demo) as one:
        for _ in range(3):
            one.send(message)
            assert one.recv(TIMEOUT) == message


def test_messages_come_back_in_their_order(demo: Demo) -> None:
    messages = [f"message {i}" if i % 2 else f"message {i}".encode() for i in range(100)]
    with client(demo) as one:
        for message in messages:
            one.send(message)
        assert [one.recv(TIMEOUT) for _ in messages] == messages


def test_a_message_that_is_too_long_closes_its_own_connection_alone(demo: Demo) -> None:
    with client(demo) as one, client(demo) as other:
        one.send(b"x" * (LIMIT + 1))
        with pytest.raises(ConnectionClosed) as closed:
            one.recv(TIMEOUT)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1009
        other.send("still here")
        assert other.recv(TIMEOUT) == "still here"


def test_who_sends_without_reading_waits_and_loses_nothing(demo: Demo) -> None:
    messages = [os.urandom(65536) for _ in range(400)]  # many times what the server keeps for a client
    head = b"\x82\x7f" + (65536).to_bytes(8)  # of a binary message
    masked_head = b"\x82\xff" + (65536).to_bytes(8) + bytes(4)  # of one whose mask is made of zeros
    sent = 0

    def flood(raw: socket.socket) -> None:
        nonlocal sent
        for message in messages:
            raw.sendall(masked_head + message)
            sent += 1

    with (
        socket.create_connection(("127.0.0.1", demo.port), timeout=60) as raw,
        raw.makefile("rb") as stream,
        client(demo) as other,
    ):
        raw.sendall(HANDSHAKE)
        while stream.readline() != b"\r\n":
            pass
        assert stream.read(26) == b"\x81\x18" + KEY
        flooding = threading.Thread(target=flood, args=[raw], daemon=True)
        flooding.start()
        before = -1
        while before < sent:  # until it is held back
            before = sent
            for i in range(50):
                other.send(f"{i}")
                assert other.recv(TIMEOUT) == f"{i}"
        for message in messages:
            assert stream.read(len(head)) == head
            assert stream.read(len(message)) == message
        flooding.join(TIMEOUT)


# --- the page


def last(page: Any) -> str:
    return str(page.locator("#echoes p").last.inner_text())


def send_text(page: Any, text: str) -> None:
    page.fill("#text", text)
    page.click("text=Send text")


def run_bench(page: Any, count: int, size: int, in_flight: int) -> None:
    for control, value in (("count", count), ("size", size), ("in-flight", in_flight)):
        page.fill(f"#{control}", str(value))
    page.click("text=Start")


def wait_for_more(page: Any) -> None:
    """Until more messages have come back."""
    page.wait_for_function("(before) => progress.value > before", arg=page.evaluate("progress.value"))


def test_the_page_shows_text_as_text(visitors: Visitors, demo: Demo) -> None:
    page = visitors.visit(demo, "/echo")
    send_text(page, f"Grüße {MARKUP}")
    page.wait_for_selector(f"#echoes span:text-is('Grüße {MARKUP}')")
    assert re.search(r"^text, 36 bytes\n.*\nthe same, after [\d.]+ ms$", last(page))
    assert page.locator("#echoes img").count() == 0


def test_the_page_sends_text_as_bytes(visitors: Visitors, demo: Demo) -> None:
    page = visitors.visit(demo, "/echo")
    page.check("#as-bytes")
    send_text(page, "ü!")
    page.wait_for_selector("#echoes span:text-is('c3 bc 21')")
    assert re.search(r"^binary, 3 bytes\n.*\nthe same, after", last(page))


@pytest.mark.parametrize("size", [0, 1024, 65536, 1_048_000])
def test_the_page_sends_random_bytes(visitors: Visitors, demo: Demo, size: int) -> None:
    page = visitors.visit(demo, "/echo")
    page.select_option("#random-size", str(size))
    page.click("text=Send bytes")
    page.wait_for_selector("#echoes small:text('the same, after')")
    assert last(page).startswith(f"binary, {size:,} bytes")


def test_the_page_sends_a_file_and_refuses_one_that_is_too_long(visitors: Visitors, demo: Demo) -> None:
    page = visitors.visit(demo, "/echo")

    def send_file(size: int) -> None:
        file = {"name": "some.bin", "mimeType": "application/octet-stream", "buffer": b"\x07" * size}
        page.set_input_files("#file", file)
        page.click("text=Send file")

    send_file(LIMIT + 1)
    page.wait_for_selector("#refusal:text('1,048,577 bytes')")
    send_file(LIMIT)
    page.wait_for_selector("#echoes small:text('the same, after')")
    assert last(page).startswith("binary, 1,048,576 bytes\n07 07")
    assert page.locator("#echoes .notice").count() == 1  # the first connection has lasted
    assert page.locator("#refusal").is_hidden()


def test_the_page_refuses_text_that_is_too_long(visitors: Visitors, demo: Demo) -> None:
    page = visitors.visit(demo, "/echo")
    page.evaluate(f"document.getElementById('text').value = 'ü'.repeat({LIMIT // 2 + 1})")
    page.click("text=Send text")
    page.wait_for_selector("#refusal:text('1,048,578 bytes')")
    send_text(page, "short")
    page.wait_for_selector("#echoes span:text-is('short')")
    assert page.locator("#echoes .notice").count() == 1


def test_the_page_says_what_a_cut_has_lost_and_heals(visitors: Visitors, demo: Demo) -> None:
    page = visitors.visit(demo, "/echo")
    page.fill("#text", "gone")
    page.evaluate("""() => {
        for (const words of ["Send text", "Cut"])
            [...document.querySelectorAll("button")].find((one) => one.textContent === words).click();
    }""")
    page.wait_for_selector("#echoes .error:has-text('A message of 4 bytes is lost')")
    page.wait_for_selector("#echoes .notice >> nth=1")  # greeted again
    send_text(page, "here again")
    page.wait_for_selector("#echoes span:text-is('here again')")
    assert "the same" in last(page)


def test_the_page_comes_back_to_a_server_that_was_started_again(visitors: Visitors, tmp_path: Path) -> None:
    with running_demo(tmp_path) as demo:
        page = visitors.visit(demo, "/echo")
        send_text(page, "before")
        page.wait_for_selector("#echoes span:text-is('before')")
    with running_demo(tmp_path, port=demo.port):
        page.wait_for_selector("#echoes .notice >> nth=1", timeout=30_000)  # greeted again
        send_text(page, "after")
        page.wait_for_selector("#echoes span:text-is('after')")


def test_the_page_notices_what_is_not_the_same(visitors: Visitors, demo: Demo) -> None:
    page = visitors.visit(demo, "/echo")
    page.evaluate("""() => {
        const send = WebSocket.prototype.send;
        WebSocket.prototype.send = function (data) {
            send.call(this, typeof data === "string" ? `${data}!` : data.with(-1, data.at(-1) ^ 1));
        };
    }""")
    send_text(page, "hello")
    page.wait_for_selector("#echoes span:text-is('hello!')")
    assert "not what was sent" in last(page)
    page.click("text=Send bytes")
    page.wait_for_selector("#echoes p:has-text('binary, 1,024 bytes')")
    assert "not what was sent" in last(page)
    run_bench(page, 20, 64, 1)
    page.wait_for_selector("#outcome.error:text('20 of them were not what was sent')")


def test_a_sign_of_life_is_not_taken_for_an_echo(visitors: Visitors, demo: Demo) -> None:
    page = visitors.visit(demo, "/echo")
    page.clock.install()
    with page.expect_websocket() as expected:
        page.reload()
    wait_for_state(page, "open")
    with expected.value.expect_event("framereceived", lambda data: data == PING):
        page.clock.run_for(15_000)  # of silence
    send_text(page, PING)  # from a visitor, it is a message like any other
    page.wait_for_selector(f"#echoes span:text-is('{PING}')")
    send_text(page, "hello")
    page.wait_for_selector("#echoes span:text-is('hello')")
    assert page.locator("#echoes p").count() == 3  # with the greeting
    assert page.locator("#echoes :text('not what was sent')").count() == 0


def test_the_bench_finishes(visitors: Visitors, demo: Demo) -> None:
    page = visitors.visit(demo, "/echo")
    run_bench(page, 500, 64, 10)
    page.wait_for_selector("#outcome:text('500 of 500 messages came back')")
    assert "all of them the same" in page.inner_text("#outcome")
    for figure in ("per-second", "median", "p99"):
        assert float(page.inner_text(f"#{figure}").replace(",", "")) > 0
    counts = page.evaluate("[...bars.children].map((bar) => parseInt(bar.title))")
    assert sum(counts) == 500
    assert "half at most" in page.get_attribute("#bars", "aria-label")


@pytest.mark.parametrize(("count", "size"), [(1, 1), (20, 0)])
def test_the_bench_takes_the_least(visitors: Visitors, demo: Demo, count: int, size: int) -> None:
    page = visitors.visit(demo, "/echo")
    run_bench(page, count, size, 1)
    page.wait_for_selector(f"#outcome:text('{count} of {count} messages came back')")


def test_the_bench_waits_for_a_slow_network(visitors: Visitors, demo: Demo) -> None:
    page = visitors.visit(demo, "/echo")
    page.evaluate("""() => {
        const send = WebSocket.prototype.send;
        window.most = 0;
        WebSocket.prototype.send = function (data) {
            window.most = Math.max(window.most, this.bufferedAmount);
            send.call(this, data);
        };
    }""")
    run_bench(page, 30, LIMIT, 30)
    page.wait_for_selector("#outcome:text('30 of 30 messages came back')", timeout=30_000)
    assert "all of them the same" in page.inner_text("#outcome")
    assert page.evaluate("most") <= LIMIT


def test_the_bench_survives_a_cut(visitors: Visitors, demo: Demo) -> None:
    page = visitors.visit(demo, "/echo")
    run_bench(page, 10_000, 64, 10)
    wait_for_more(page)
    page.click("text=Cut")
    page.wait_for_selector("#outcome:text('10,000 of 10,000 messages came back')", timeout=30_000)
    assert "10 were lost with a connection" in page.inner_text("#outcome")
    assert "all of them the same" in page.inner_text("#outcome")


def test_the_bench_can_be_stopped(visitors: Visitors, demo: Demo) -> None:
    page = visitors.visit(demo, "/echo")
    run_bench(page, 100_000, 64, 10)
    wait_for_more(page)
    page.click("text=Stop")
    page.wait_for_selector("#outcome:text('of 100,000 messages came back')")
    assert "all of them the same" in page.inner_text("#outcome")
    run_bench(page, 10, 64, 1)  # and again
    page.wait_for_selector("#outcome:text('10 of 10 messages came back')")


def test_the_bench_can_be_stopped_when_the_server_has_gone(visitors: Visitors, tmp_path: Path) -> None:
    with running_demo(tmp_path) as demo:
        page = visitors.visit(demo, "/echo")
        run_bench(page, 100_000, 64, 10)
        wait_for_more(page)
    page.click("text=Stop")
    page.wait_for_selector("#outcome:text('10 were lost with a connection')")
    assert page.is_disabled("text=Start")
