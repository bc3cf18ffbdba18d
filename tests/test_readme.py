"""The examples of the README and the guide run as they stand, but for the port; the links lead somewhere."""

import json
import re
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from websockets.sync.client import connect

TOP = Path(__file__).parent.parent
README = TOP / "README.md"
PAGES = [README, *(TOP / "docs").glob("*.md")]


def code_in(page):
    """The pieces of Python on a page."""
    return re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL)


EXAMPLES = code_in(README)
GUIDE_TO_HTTP, GUIDE_TO_GROUPS, GUIDE_TO_BROWSERS = (
    "\n\n".join(code_in(TOP / "docs" / name)) for name in ("http.md", "groups.md", "browser.md")
)


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


def test_the_guide_to_http_is_one_program():
    with running(GUIDE_TO_HTTP) as port:
        url = f"http://127.0.0.1:{port}"

        def send(method, path, data=None, **headers):
            with urlopen(Request(url + path, data, headers, method=method)) as answer:
                assert answer.headers["x-content-type-options"] == "nosniff"
                return answer.read()

        assert send("PUT", "/upload", b"x" * 2_000_000) == b'{"size":2000000}'
        assert send("POST", "/users", b'{"name": "ada"}') == b'{"hello":"ada"}'
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        assert send("POST", "/form", b"name=ada", **form) == b"ada and 0 files"
        assert send("GET", "/report").count(b"\n") == 1000
        with urlopen(url + "/news") as stream, connect(f"ws://127.0.0.1:{port}/news") as websocket:
            assert stream.readline() == b"event: hello\n"
            assert websocket.recv() == "welcome"
            websocket.send("new")
            assert websocket.recv() == "new"
            while (line := stream.readline()) != b"data: new\n":
                assert line
        sorry, refusal = (500, b"Sorry: UsageError\n"), (401, b"Log in first.")
        for path, (status, text) in (("/broken", sorry), ("/admin", refusal)):
            with pytest.raises(HTTPError) as refused:
                send("GET", path)
            assert (refused.value.code, refused.value.read()) == (status, text)
            refused.value.close()


def test_the_guide_to_groups_is_one_program():
    with running(GUIDE_TO_GROUPS) as port:
        url = f"ws://127.0.0.1:{port}"
        with connect(url + "/room/a") as one, connect(url + "/room/a") as two:
            while True:     # until both are in the room
                one.send("hello")
                try:
                    assert two.recv(0.1) == "hello"
                    break
                except TimeoutError:
                    pass
        with connect(url + "/quotes/x") as quotes:
            quotes.send("?")
            assert quotes.recv().startswith("0 quotes")
        with connect(url + "/news/x?since=a:1") as news:
            assert "lost" in news.recv()
        with connect(url + "/meeting/m?user=ann") as ann:
            assert ann.recv() == '[{"user": "ann"}]'
            with connect(url + "/meeting/m?user=bob") as bob:
                assert bob.recv() == '[{"user": "ann"}, {"user": "bob"}]'
                assert ann.recv() == "bob is here"
            assert ann.recv() == "bob has left"


def test_the_guide_to_browsers():
    with running(GUIDE_TO_BROWSERS) as port:
        with urlopen(f"http://127.0.0.1:{port}/hyperws.js") as script:
            assert script.headers["content-type"] == "text/javascript; charset=utf-8"
            assert b"export function connect(" in script.read()
        with connect(f"ws://127.0.0.1:{port}/news") as news:
            news.send('{"type": "ping"}')
            assert json.loads(news.recv()) == {"type": "pong"}
            for since, recovered in (None, None), ("a:1", False):
                news.send(json.dumps({"type": "subscribe", "topic": f"news:{recovered}", "since": since}))
                told = json.loads(news.recv())
                assert told["recovered"] is recovered
                assert told["at"].endswith(":0")


@pytest.mark.parametrize(
    ("page", "link"),
    [(page, link) for page in PAGES for link in re.findall(r"\]\(([^)#]+)\)", page.read_text())],
)
def test_links_lead_somewhere(page, link):
    assert link.startswith("http") or (page.parent / link).exists()
