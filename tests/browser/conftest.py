"""A page with hyperws.js in Chromium, and a server whose every word is the test's."""

from __future__ import annotations

import json
import queue
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.protocol import State
from websockets.sync.server import Server, ServerConnection, serve
from websockets.typing import Subprotocol

import hyperws.browser

WITHIN = 5  # seconds

PAGE = Path(__file__).with_name("page.html").read_bytes()
SCRIPT = hyperws.browser.SCRIPT.read_bytes()


class Peer:
    """The server's end of one connection."""

    def __init__(self, connection: ServerConnection) -> None:
        self.connection = connection
        self.path = connection.request.path if connection.request else ""
        self.close = connection.close

    def hears(self) -> Any:
        """The next message, out of its JSON."""
        return json.loads(self.hears_raw())

    def hears_raw(self) -> str | bytes:
        return self.connection.recv(timeout=WITHIN)

    def says(self, **message: Any) -> None:
        self.connection.send(json.dumps(message))

    def says_raw(self, message: str | bytes) -> None:
        self.connection.send(message)

    def is_left(self) -> bool:
        """Wait until the page has closed, whatever it says before."""
        with suppress(ConnectionClosed):
            while True:
                self.hears_raw()
        return True

    def aborts(self) -> None:
        """End without a word: the page gets 1006."""
        self.connection.socket.shutdown(socket.SHUT_RDWR)


def choose(connection: ServerConnection, offered: Sequence[Subprotocol]) -> Subprotocol | None:
    return next((one for one in offered if one in ("first", "second")), None)


class Peers:
    """Serves a page, and accepts connections from it for the test."""

    def __init__(self) -> None:
        self.port = 0
        self.answering = threading.Event()
        self.answering.set()
        self.begin()

    def begin(self) -> None:
        """Be there, as before if it was once."""
        self.arrived: queue.Queue[Peer] = queue.Queue()
        self.server: Server = serve(
            self.accept,
            "127.0.0.1",
            self.port,
            process_request=self.answer,
            select_subprotocol=choose,
            compression=None,
            ping_interval=None,
            close_timeout=1,
            max_size=None,
            max_queue=1,
        )
        self.port = self.server.socket.getsockname()[1]
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()

    def answer(self, connection: ServerConnection, request: Request) -> Response | None:
        if not self.answering.is_set():
            self.answering.wait()
            return Response(HTTPStatus.SERVICE_UNAVAILABLE, "Too late", Headers({"Content-Length": "0"}))
        if "Upgrade" in request.headers:
            return None
        body, kind = (SCRIPT, "text/javascript") if request.path == "/hyperws.js" else (PAGE, "text/html")
        return Response(
            HTTPStatus.OK, "OK", Headers({"Content-Type": kind, "Content-Length": str(len(body))}), body
        )

    def accept(self, connection: ServerConnection) -> None:
        self.arrived.put(Peer(connection))
        while connection.state is not State.CLOSED:
            time.sleep(0.02)

    def next(self) -> Peer:
        """The next connection that a page makes."""
        return self.arrived.get(timeout=WITHIN)

    @contextmanager
    def hung(self) -> Iterator[None]:
        """Answer nobody meanwhile."""
        self.answering.clear()
        try:
            yield
        finally:
            self.answering.set()

    def end(self) -> None:
        """Be gone, as a server that restarts is."""
        self.server.shutdown(code=1012, reason="restart")
        self.thread.join()


@pytest.fixture
def peers() -> Iterator[Peers]:
    peers = Peers()
    yield peers
    peers.end()


@pytest.fixture
def errors() -> list[str]:
    """What was thrown in the page. A test that means to throws takes it out."""
    return []


@pytest.fixture
def page(browser: Any, peers: Peers, errors: list[str]) -> Iterator[Any]:
    """The page, with nothing connected yet: `start(url, options)` of page.html does."""
    context = browser.new_context()
    context.set_default_timeout(WITHIN * 1000)
    page = context.new_page()
    page.on("pageerror", lambda error: errors.append(error.message))
    page.goto(f"http://127.0.0.1:{peers.port}/")
    yield page
    context.close()
    assert errors == []


class Clock:
    """Time stands still in the page until the test lets it go on."""

    def __init__(self, page: Any) -> None:
        self.page = page
        page.clock.install(time=0)
        page.clock.pause_at(3_600_000)

    def run(self, seconds: float) -> None:
        self.page.clock.run_for(seconds * 1000)

    def sleep(self, seconds: float) -> None:
        """As a computer does: what timers should have done meanwhile is done once, afterwards."""
        self.page.clock.fast_forward(seconds * 1000)


@pytest.fixture
def clock(page: Any) -> Clock:
    return Clock(page)
