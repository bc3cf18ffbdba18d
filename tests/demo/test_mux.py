"""The multiplexed protocol: other people's clients, several processes, and its page."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from .conftest import Demo, Visitors, running_demo, wait_for_state

TIMEOUT = 5  # seconds
LIMIT = 1 << 20  # bytes of a message
MARKUP = "<img src=x onerror=alert(1)>"
KINDS = "there are chat, command and ping"


class Client:
    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        welcome = self.receive()
        assert welcome["type"] == "welcome"
        self.id: str = welcome["client_id"]

    def send(self, **request: Any) -> None:
        self.socket.send(json.dumps(request))

    def receive(self) -> Any:
        return json.loads(self.socket.recv(TIMEOUT))

    def ask(self, **request: Any) -> Any:
        self.send(**request)
        return self.receive()

    def result(self, command: str) -> Any:
        answer = self.ask(type="command", id="x", command=command)
        assert answer == {
            "type": "command_result", "id": "x", "command": command, "result": answer.get("result")
        }  # fmt: skip
        return answer["result"]


@contextmanager
def client(demo: Demo) -> Iterator[Client]:
    with connect(demo.socket("/mux"), proxy=None, open_timeout=TIMEOUT) as socket:
        yield Client(socket)


def test_each_client_is_welcomed_by_an_id_of_its_own(demo: Demo) -> None:
    with client(demo) as ann, client(demo) as bob:
        assert ann.id.startswith("client_")
        assert ann.id != bob.id


@pytest.mark.parametrize("id", [0, 1, 2**53 - 1, "", "1", "x" * 40, MARKUP, "ü👋"])
def test_an_answer_has_the_id_of_its_request(demo: Demo, id: int | str) -> None:
    with client(demo) as ann:
        assert ann.ask(type="ping", id=id) == {"type": "pong", "id": id}
        assert ann.ask(type="command", id=id, command="time")["id"] == id
        assert ann.ask(type="nothing", id=id)["id"] == id


def test_what_has_no_id_is_answered_without_one(demo: Demo) -> None:
    with client(demo) as ann:
        assert ann.ask(type="ping") == {"type": "pong"}
        assert ann.ask(type="command", command="time").keys() == {"type", "command", "result"}
        assert ann.ask(type="nothing").keys() == {"type", "text"}


def test_the_status_is_true(tmp_path: Path) -> None:
    with running_demo(tmp_path) as demo, client(demo) as ann:
        first = ann.result("status")
        assert first["healthy"] is True
        assert first["pid"] == demo.process.pid
        assert first["connections"] == 1
        with client(demo):
            second = ann.result("status")
            assert second["connections"] == 2
        assert 0 < first["uptime"] <= second["uptime"]
        deadline = time.monotonic() + TIMEOUT
        while ann.result("status")["connections"] != 1:  # the server learns of it in a moment
            assert time.monotonic() < deadline
            time.sleep(0.1)


def test_the_time_is_true(demo: Demo) -> None:
    with client(demo) as ann:
        first, second = ann.result("time"), ann.result("time")
    told = datetime.fromisoformat(first["utc"])
    assert told.utcoffset() == timedelta(0)
    assert abs(datetime.now(UTC) - told) < timedelta(minutes=1)
    assert first["monotonic"] < second["monotonic"]


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="this system does not tell")
def test_the_memory_is_true(demo: Demo) -> None:
    with client(demo) as ann:
        told = ann.result("memory")["resident_bytes"]
    status = Path(f"/proc/{demo.process.pid}/status").read_text()
    seen = int(status.partition("VmRSS:")[2].split()[0]) * 1024
    assert 0.5 < told / seen < 2


def test_what_takes_its_time_is_overtaken(demo: Demo) -> None:
    with client(demo) as ann:
        ann.send(type="command", id="slow", command="wait", seconds=0.4)
        ann.send(type="command", id="quicker", command="wait", seconds=0.1)
        ann.send(type="ping", id="quick")
        answers = [ann.receive() for _ in range(3)]
    assert [answer["id"] for answer in answers] == ["quick", "quicker", "slow"]
    assert answers[2] == {
        "type": "command_result", "id": "slow", "command": "wait", "result": {"seconds": 0.4}
    }  # fmt: skip


def test_only_so_many_requests_of_a_client_wait(demo: Demo) -> None:
    with client(demo) as ann, client(demo) as bob:
        for id in range(8):
            ann.send(type="command", id=id, command="wait", seconds=1)
        refusal = ann.ask(type="command", id="one more", command="wait", seconds=0)
        assert refusal == {"type": "error", "id": "one more", "text": "8 requests are waiting already"}
        assert bob.ask(type="command", id=1, command="wait", seconds=0)["id"] == 1
        assert {ann.receive()["id"] for _ in range(8)} == set(range(8))
        assert ann.ask(type="command", id="now", command="wait", seconds=0)["id"] == "now"


def test_a_client_may_leave_while_requests_wait(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with running_demo(tmp_path) as demo, client(demo) as bob:
        with client(demo) as ann:
            for id in range(8):
                ann.send(type="command", id=id, command="wait", seconds=id / 50)
        assert bob.ask(type="command", id=9, command="wait", seconds=0.3)["id"] == 9
    assert capfd.readouterr().err == ""  # nothing went wrong, so nothing is logged


def test_what_is_said_reaches_everyone_and_is_acknowledged(demo: Demo) -> None:
    with client(demo) as ann, client(demo) as bob:
        said = {"type": "chat", "client_id": ann.id, "content": f"Grüße {MARKUP}"}
        assert ann.ask(type="chat", id=7, content=said["content"]) == said
        assert ann.receive() == {"type": "ack", "id": 7}
        assert bob.receive() == said
        assert bob.ask(type="ping", id=1) == {"type": "pong", "id": 1}  # and has got nothing else


@pytest.mark.parametrize(
    ("message", "id", "words"),
    [
        ('{"type": "shout", "id": 1}', 1, KINDS),
        ('{"id": 1}', 1, KINDS),
        ('{"type": null, "id": 1}', 1, KINDS),
        ('{"type": ["chat"], "id": 1}', 1, KINDS),
        ('{"type": {}, "id": 1}', 1, KINDS),
        (json.dumps({"type": MARKUP * 1000, "id": 1}), 1, KINDS),
        ('{"type": "command", "id": 1, "command": "reboot"}', 1, "there are status, time, memory and wait"),
        ('{"type": "command", "id": 1, "command": 5}', 1, "$.command"),
        ('{"type": "command", "id": 1}', 1, "`command`"),
        ('{"type": "command", "id": 1, "command": "wait", "seconds": 5.1}', 1, "<= 5"),
        ('{"type": "command", "id": 1, "command": "wait", "seconds": -1}', 1, ">= 0"),
        ('{"type": "command", "id": 1, "command": "wait", "seconds": 1e999}', 1, "$.seconds"),
        ('{"type": "chat", "id": 1}', 1, "`content`"),
        ('{"type": "chat", "id": 1, "content": ""}', 1, ">= 1"),
        (json.dumps({"type": "chat", "id": 1, "content": "x" * 1001}), 1, "<= 1000"),
        ('{"type": "ping", "id": 1, "more": 1}', 1, "`more`"),
        (b'{"type": "ping", "id": 1}', 1, "not bytes"),
        (b"\xff\x00", None, "not bytes"),
        ('{"type": "ping", "id": -1}', None, "$.id"),
        ('{"type": "ping", "id": 1.5}', None, "$.id"),
        ('{"type": "ping", "id": 9007199254740992}', None, "$.id"),
        ('{"type": "ping", "id": [1]}', None, "$.id"),
        (json.dumps({"type": "ping", "id": "x" * 41}), None, "<= 40"),
        ("garbage", None, "JSON"),
        ("", None, "truncated"),
        ("[]", None, "object"),
        ("[" * 100_000, None, "object"),
        ('{"type":' + "[" * 100_000, None, "recursion"),
        ("x" * LIMIT, None, "JSON"),
    ],
    ids=lambda value: str(value)[:60],
)
def test_what_cannot_be_answered_is_refused_in_words(
    demo: Demo, message: str | bytes, id: int | None, words: str
) -> None:
    with client(demo) as ann, client(demo) as bob:
        ann.socket.send(message)
        error = ann.receive()
        assert error["type"] == "error"
        assert error.get("id") == id
        assert words in error["text"]
        assert len(error["text"]) < 200
        assert ann.ask(type="ping", id=2) == {"type": "pong", "id": 2}
        assert bob.ask(type="ping", id=3) == {"type": "pong", "id": 3}  # and has got nothing of it


def test_a_message_that_is_too_long_closes_its_own_connection_alone(demo: Demo) -> None:
    with client(demo) as ann, client(demo) as bob:
        ann.socket.send("x" * (LIMIT + 1))
        with pytest.raises(ConnectionClosed) as closed:
            ann.receive()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1009
        assert bob.ask(type="ping", id=1) == {"type": "pong", "id": 1}


def test_a_flood_is_refused_by_id_and_disturbs_nobody(demo: Demo) -> None:
    count = 500
    with client(demo) as ann, client(demo) as bob:
        for id in range(count):
            ann.send(type="chat", id=id, content="spam")
        acknowledged: set[int] = set()
        refused: set[int] = set()
        while len(acknowledged) + len(refused) < count:
            match ann.receive():
                case {"type": "ack", "id": id}:
                    acknowledged.add(id)
                case {"type": "error", "id": id, "text": text}:
                    assert "Too fast" in text
                    refused.add(id)
        assert acknowledged | refused == set(range(count))
        assert acknowledged >= set(range(40))  # so many at once are nothing bad
        assert refused
        for _ in acknowledged:
            assert bob.receive()["content"] == "spam"
        assert bob.ask(type="ping", id=1) == {"type": "pong", "id": 1}


def call(ann: Client, bob: Client) -> Any:
    """What Bob hears of Ann, again and again: a broker learns of a subscription in a moment."""
    for _ in range(40):
        ann.send(type="chat", content="are you there?")
        with suppress(TimeoutError):
            return json.loads(bob.socket.recv(0.5))
    raise AssertionError("nothing is heard")


def test_what_is_said_reaches_visitors_of_other_processes(tmp_path: Path) -> None:
    with running_demo(tmp_path, "--workers", "2") as demo, ExitStack() as stack:
        found: dict[int, Client] = {}
        deadline = time.monotonic() + 20
        while len(found) < 2:
            assert time.monotonic() < deadline
            one = stack.enter_context(client(demo))
            found.setdefault(one.result("status")["pid"], one)
        ann, bob = found.values()
        heard = call(ann, bob)
        assert heard == {"type": "chat", "client_id": ann.id, "content": "are you there?"}
        with client(demo) as third:  # an id is known to nobody but its client, in whichever process
            third.send(type="chat", id="mine", content="me too")
            while heard["content"] != "me too":
                heard = bob.receive()
            assert "id" not in heard


# --- the page


def row(page: Any, id: object) -> Any:
    """The row of the request with this id."""
    return page.locator("#requests tr", has=page.locator(f"td:first-child code:text-is('{json.dumps(id)}')"))


def wait_for_answers(page: Any) -> None:
    page.wait_for_selector("#in-flight:text-is('0')")


def send_raw(page: Any, text: str) -> None:
    page.fill("#raw", text)
    page.click("#raw-form button")


def test_the_page_matches_answers_by_their_ids(visitors: Visitors, demo: Demo) -> None:
    page = visitors.visit(demo, "/mux")
    for words in ("Ping", "Status", "Time", "Memory", "Unknown"):
        page.click(f"button:text-is('{words}')")
    wait_for_answers(page)
    for id, part in enumerate(('"pong"', '"healthy": true', '"utc"', '"resident_bytes"', KINDS), 1):
        _, request, answer, took = row(page, id).locator("td").all_inner_texts()
        assert f'"id": {id}' in request
        assert f'"id": {id}' in answer
        assert part in answer
        assert took.endswith(" ms")
    assert "failed" in row(page, 5).get_attribute("class")


def test_the_page_shows_that_answers_overtake_each_other(visitors: Visitors, demo: Demo) -> None:
    page = visitors.visit(demo, "/mux")
    page.click("text=All at once")
    wait_for_answers(page)
    assert "overtook 3" in row(page, 7).inner_text()
    assert "overtook 2" in row(page, 3).inner_text()
    assert "overtook" not in row(page, 1).inner_text()


def test_the_page_waits_as_long_as_it_is_told(visitors: Visitors, demo: Demo) -> None:
    page = visitors.visit(demo, "/mux")
    page.focus("#seconds")
    page.keyboard.press("Home")
    page.click("text=Wait 0.5 s")
    wait_for_answers(page)
    assert '"seconds": 0.5' in row(page, 1).inner_text()


def test_two_pages_talk_and_show_text_as_text(visitors: Visitors, demo: Demo) -> None:
    ann, bob = visitors.visit(demo, "/mux"), visitors.visit(demo, "/mux")
    ann.fill("#content", MARKUP)
    ann.press("#content", "Enter")
    bob.wait_for_selector(f"#chat .other span:text-is('{MARKUP}')")
    ann.wait_for_selector(f"#chat .own span:text-is('{MARKUP}')")
    wait_for_answers(ann)
    assert MARKUP in row(ann, 1).inner_text()
    assert '"ack"' in row(ann, 1).inner_text()
    assert bob.locator("#requests tr").count() == 0
    assert bob.inner_text("#chat small") == ann.inner_text("#you")
    for page in (ann, bob):
        assert page.locator("main img").count() == 0


def test_whatever_a_visitor_sends_is_answered_in_words(visitors: Visitors, demo: Demo) -> None:
    page = visitors.visit(demo, "/mux")
    send_raw(page, f"garbage {MARKUP}")
    page.wait_for_selector("#remark.error:text('JSON is malformed')")
    send_raw(page, json.dumps({"type": MARKUP, "id": MARKUP}))
    page.wait_for_selector(f"#requests .failed:has-text('{KINDS}')")
    assert page.inner_text("#remark") == ""
    send_raw(page, '{"type": "command", "command": "time"}')
    page.wait_for_selector("#remark:text('command_result')")
    send_raw(page, '{"type": "ping", "id": -1}')  # is no id
    page.wait_for_selector("#remark.error:text('$.id')")
    send_raw(page, '{"type": "command", "command": "time", "id": "mine"}')
    wait_for_answers(page)
    assert "utc" in row(page, "mine").inner_text()
    assert page.locator("#requests tr").count() == 2
    assert page.locator("main img").count() == 0


def test_what_a_cut_has_lost_is_said_and_the_page_heals(visitors: Visitors, demo: Demo) -> None:
    page, other = visitors.visit(demo, "/mux"), visitors.visit(demo, "/mux")
    page.focus("#seconds")
    page.keyboard.press("End")
    page.click("text=Wait 5.0 s")
    page.wait_for_selector("#in-flight:text-is('1')")
    assert "waiting" in row(page, 1).inner_text()
    page.click("text=Cut")
    page.wait_for_selector("#requests .failed:has-text('lost with the connection')")
    wait_for_state(page, "open")
    page.click("text=Ping")
    wait_for_answers(page)
    assert '"pong"' in row(page, 2).inner_text()
    other.fill("#content", "welcome back")
    other.press("#content", "Enter")
    page.wait_for_selector("#chat .other span:text-is('welcome back')")
