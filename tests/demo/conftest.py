"""The demo as a user starts it, in a process of its own, and browsers that look at it."""

from __future__ import annotations

import os
import re
import runpy
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import pytest

STARTS_WITHIN = 20  # seconds
STOPS_WITHIN = 10


@dataclass
class Demo:
    process: subprocess.Popen[str]
    url: str  # http://127.0.0.1:PORT/

    @property
    def host(self) -> str:
        """``127.0.0.1:PORT``"""
        return self.url.removeprefix("http://").rstrip("/")

    @property
    def port(self) -> int:
        return int(self.host.rpartition(":")[2])

    def socket(self, path: str) -> str:
        return f"ws://{self.host}{path}"

    @property
    def processes(self) -> list[int]:
        """The one that was started, and its children. Needs Linux."""
        pid = self.process.pid
        return [pid, *map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())]

    def worker_of(self, connection: Any) -> int:
        """The process that has the other end of a client's connection. Needs Linux."""
        ends = [f":{port:04X}" for port in (self.port, connection.local_address[1])]
        rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
        inodes = {row[9] for row in rows if row[1].endswith(ends[0]) and row[2].endswith(ends[1])}
        [inode] = inodes - {"0"}  # of one that is yet to be accepted, or has been
        for process in self.processes:
            for descriptor in Path(f"/proc/{process}/fd").iterdir():
                with suppress(OSError):  # it is closed meanwhile
                    if os.readlink(descriptor) == f"socket:[{inode}]":
                        return process
        raise AssertionError("nobody has this connection")


@contextmanager
def running_demo(folder: Any, *options: str, port: int = 0, stderr: Any = None) -> Iterator[Demo]:
    """`hyperws demo` with its data in a folder, and more options."""
    command = [sys.executable, "-m", "hyperws", "demo", "--port", str(port), "--data", str(folder), *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr, text=True) as process:
        watchdog = threading.Timer(STARTS_WITHIN, process.kill)  # readline() itself knows no timeout
        watchdog.start()
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            watchdog.cancel()
            found = re.fullmatch(r"hyperws demo: (http://127\.0\.0\.1:\d+/)\n", line)
            assert found, f"the demo did not tell its address but {line!r}"
            yield Demo(process, found[1])
        finally:
            watchdog.cancel()
            process.terminate()
            try:
                process.wait(STOPS_WITHIN)
            except subprocess.TimeoutExpired:
                process.kill()
                raise


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    with running_demo(tmp_path_factory.mktemp("data")) as demo:
        yield demo


@contextmanager
def running_broker(kind: str, folder: Path, *options: str) -> Iterator[Any]:
    """A "RedisServer" or a "NatsServer". They are of the tests of groups, which is another package."""
    brokers = runpy.run_path(str(Path(__file__).parents[1] / "groups" / "brokers.py"))
    broker = brokers[kind](folder, *options)
    try:
        yield broker
    finally:
        broker.stop()


def new_room() -> str:
    """A room where nobody has been before, or a document that nobody has had."""
    return f"test-{uuid4().hex[:12]}"


@pytest.fixture
def room() -> str:
    return new_room()


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


@pytest.fixture(scope="module")
def workers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    with running_demo(tmp_path_factory.mktemp("data"), "--workers", "2") as demo:
        yield demo


# --- writers


@pytest.fixture
def join() -> Iterator[Any]:
    """Gives writers, who leave in the end. It is a `Join`."""
    from .yjs_client import Writer  # which imports from here, and needs pycrdt

    with ExitStack() as stack:

        def come(demo: Demo, document: str) -> Any:
            writer = Writer(demo, document)
            stack.callback(lambda: writer.socket.close())
            return writer

        yield come


# --- browsers


class Visitors:
    """Pages of the demo, each of a visitor of its own, and all that should not happen on them."""

    def __init__(self, browser: Any) -> None:
        self.browser = browser
        self.contexts: list[Any] = []
        self.complaints: list[str] = []
        self.hosts: set[str] = set()
        self.expected_hosts: set[str] = set()

    def visit(
        self, demo: Demo, path: str, *, name: str | None = None, wait: bool = True, **settings: Any
    ) -> Any:
        """A page that is connected, in a browser context of its own; `name` is what the visitor is called."""
        context = self.browser.new_context(**{"viewport": {"width": 1280, "height": 900}} | settings)
        context.set_default_timeout(10_000)
        self.contexts.append(context)
        if name is not None:
            context.add_init_script(f"localStorage.name ??= {name!r}")
        page = context.new_page()
        self.expected_hosts.add(demo.host)
        page.on("console", self.note)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", lambda request: self.hosts.add(urlsplit(request.url).netloc))
        page.on("websocket", lambda socket: self.hosts.add(urlsplit(socket.url).netloc))
        page.goto(demo.url + path.lstrip("/"))
        if wait:
            wait_for_state(page, "open")
        return page

    def note(self, message: Any) -> None:
        if "WebSocket connection to" not in message.text and "ERR_CONNECTION_REFUSED" not in message.text:
            self.complaints.append(f"{message.type}: {message.text}")  # but for servers that were ended

    def close(self) -> None:
        for context in self.contexts:
            context.close()


def wait_for_state(page: Any, state: str) -> None:
    """Wait until the page shows that its connection is so."""
    page.wait_for_selector(f"body[data-state={state}]")


@pytest.fixture
def visitors(browser: Any) -> Iterator[Visitors]:
    """Afterwards, nothing was complained about, and no other host was asked for anything."""
    visitors = Visitors(browser)
    yield visitors
    visitors.close()
    assert visitors.complaints == []
    assert visitors.hosts <= visitors.expected_hosts
