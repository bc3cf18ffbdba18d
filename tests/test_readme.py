"""The README's examples run as they stand, but for the port; its links lead somewhere."""

import re
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from urllib.request import urlopen

import pytest
from websockets.sync.client import connect

README = Path(__file__).parent.parent / "README.md"
EXAMPLES = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)


@contextmanager
def running(example):
    """The port of a process that runs an example."""
    assert "60000" in example
    assert example.rstrip().endswith("server.run()")
    script = example.replace("60000", "0").rstrip()
    script = script.removesuffix("run()") + "run(on_listening=lambda: print(server.address[1], flush=True))"
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as process:
        try:
            yield int(process.stdout.readline())
        finally:
            process.terminate()
            assert process.wait(20) == 0


def test_there_are_three_examples():
    assert len(EXAMPLES) == 3


def test_one_screen():
    with running(EXAMPLES[0]) as port:
        with urlopen(f"http://127.0.0.1:{port}/hello/you") as page:
            assert page.read() == b"hi you"
        with (
            connect(f"ws://127.0.0.1:{port}/chat/blue") as one,
            connect(f"ws://127.0.0.1:{port}/chat/blue") as two,
        ):
            for websocket in (one, two):
                assert websocket.recv().startswith("Welcome to blue, 127.0.0.1:")
            one.send("hello")
            two.send(b"bytes")
            for websocket in (one, two):
                assert {websocket.recv(), websocket.recv()} == {"hello", b"bytes"}


def test_verb_by_verb():
    with running(EXAMPLES[1]) as port, connect(f"ws://127.0.0.1:{port}/chat") as websocket:
        host, local = websocket.local_address
        assert websocket.recv() == f"Welcome to chat, client: {host}:{local}"
        for message, echo in (("hi", "Echo: hi"), (b"\xff", b"Echo: \xff")):
            websocket.send(message)
            assert websocket.recv() == echo


def test_plain_function():
    with running(EXAMPLES[2]) as port, connect(f"ws://127.0.0.1:{port}/echo") as websocket:
        websocket.send("fast")
        assert websocket.recv() == "fast"


@pytest.mark.parametrize("link", re.findall(r"\]\(([^)#]+)\)", README.read_text()))
def test_links_lead_somewhere(link):
    assert link.startswith("http") or (README.parent / link).exists()
