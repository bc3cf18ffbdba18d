"""Groups: what clients get of each other, what they are refused, and what becomes of a slow reader."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from .conftest import Demo, running_broker, running_demo

PATH = "/broadcast"
TIMEOUT = 10  # seconds
HALF = 64  # numbers of 8 KiB are half of a `Limits.send_queue`

Connect = Callable[[], "Client"]


class Client:
    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.numbers: list[int] = []  # of its feed
        self.heard: list[dict[str, Any]] = []  # all the rest
        self.id: str = self.hear("joined")["client_id"]

    def say(self, type: str, **fields: Any) -> None:
        self.socket.send(json.dumps({"type": type, **fields}))

    def hear(self, type: str, **fields: Any) -> dict[str, Any]:
        """The next message that is so; those before it are passed over."""
        while True:
            got: dict[str, Any] = json.loads(self.socket.recv(TIMEOUT))
            if got["type"] == "number":
                self.numbers.append(got["number"])
                continue
            self.heard.append(got)
            if got["type"] == type and got.items() >= fields.items():
                return got

    def refused(self) -> str:
        text: str = self.hear("error")["text"]
        return text

    def join(self, group: str, name: str = "Otter") -> list[dict[str, str]]:
        """Join a group. Returns its members."""
        self.say("subscribe", topic=group, name=name)
        members: list[dict[str, str]] = self.hear("subscribed", topic=group)["members"]
        return members

    def publish(self, group: str, message: str, *, myself: bool = True) -> int:
        self.say("publish", topic=group, message=message, myself=myself)
        here: int = self.hear("published", topic=group)["here"]
        return here

    def report(self, wanted: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
        """The next report on the feed that is as wanted."""
        while not wanted(report := self.hear("feed")):
            pass
        return report


@contextmanager
def clients_of(demo: Demo) -> Iterator[Connect]:
    """A function that connects another client."""
    with ExitStack() as connections:
        yield lambda: Client(connections.enter_context(connect(demo.socket(PATH), max_queue=None)))


@pytest.fixture
def client(demo: Demo) -> Iterator[Connect]:
    with clients_of(demo) as client:
        yield client


def test_those_in_a_group_hear_who_comes_what_is_said_and_who_leaves(client: Connect) -> None:
    one, other = client(), client()
    assert one.id != other.id
    assert one.join("tea", "Heron") == [{"client_id": one.id, "name": "Heron"}]
    members = other.join("tea", "Lynx")
    assert {member["name"] for member in members} == {"Heron", "Lynx"}
    assert one.hear("joined", client_id=other.id)["name"] == "Lynx"

    other.publish("tea", "hello")
    said = {"type": "broadcast", "topic": "tea", "from": other.id, "name": "Lynx", "message": "hello"}
    assert one.hear("broadcast") == said

    other.say("unsubscribe", topic="tea")
    left = {"type": "left", "topic": "tea", "client_id": other.id, "name": "Lynx"}
    assert other.hear("left") == left
    assert one.hear("left") == left


def test_who_disconnects_has_left(client: Connect) -> None:
    one, other = client(), client()
    one.join("tea")
    other.join("tea")
    other.socket.close()
    one.hear("left", client_id=other.id)


def test_a_group_is_told_of_a_broker_that_was_away(tmp_path: Path) -> None:
    with (
        running_broker("RedisServer", tmp_path) as broker,
        running_demo(tmp_path, "--backplane", broker.url) as demo,
        clients_of(demo) as client,
    ):
        one = client()
        one.join("tea")
        broker.kill()
        broker.start()
        one.hear("missing", topic="tea")


def test_a_client_gets_what_is_said_in_its_groups_alone(client: Connect) -> None:
    one, other = client(), client()
    one.join("tea")
    for group in ("tea", "coffee", "milk"):
        other.join(group)
    other.publish("coffee", "not for tea")
    other.publish("tea", "for tea")
    assert one.hear("broadcast")["message"] == "for tea"
    one.say("unsubscribe", topic="tea")
    one.join("milk")
    other.publish("tea", "too late")
    other.publish("milk", "for milk")
    assert one.hear("broadcast")["message"] == "for milk"


def test_a_message_goes_to_oneself_or_not_and_is_counted(client: Connect) -> None:
    one, other = client(), client()
    one.join("pair")
    other.join("pair")
    assert one.publish("pair", "to the other", myself=False) == 1
    one.say("publish", topic="pair", message="to both")
    assert one.hear("broadcast")["message"] == "to both"
    assert one.hear("published")["here"] == 2
    assert other.hear("broadcast")["message"] == "to the other"
    assert other.hear("broadcast")["message"] == "to both"


def test_a_member_may_change_its_name(client: Connect) -> None:
    one, other = client(), client()
    one.join("tea")
    other.join("tea", "Ibex")
    assert {"client_id": other.id, "name": "Robin"} in other.join("tea", "Robin")
    one.hear("joined", client_id=other.id, name="Robin")
    other.publish("tea", "it is me")
    assert one.hear("broadcast")["name"] == "Robin"


@pytest.mark.parametrize(
    ("sent", "words"),
    [
        ("garbage", "malformed"),
        (b"\x00\xff", "text, not bytes"),
        ("[" * 100_000, "array"),
        ('{"type": "subscribe", "topic": "a b", "name": "Otter"}', "topic"),
        ('{"type": "subscribe", "topic": "%s", "name": "Otter"}' % ("a" * 31), "length <= 30"),
        ('{"type": "subscribe", "topic": "tea", "name": " "}', "name"),
        ('{"type": "subscribe", "topic": "tea", "name": "%s"}' % ("a" * 21), "length <= 20"),
        ('{"type": "publish", "topic": "tea", "message": "%s"}' % ("a" * 501), "length <= 500"),
        ('{"type": "publish", "topic": "tea", "message": ""}', "length >= 1"),
        ('{"type": "publish", "topic": "elsewhere", "message": "hello"}', "join it first"),
        ('{"type": "start", "policy": "wait", "rate": 100}', "policy"),
        ('{"type": "start", "policy": "drop", "rate": 100000}', "<= 200"),
        ('{"type": "shutdown"}', "shutdown"),
    ],
)
def test_what_is_not_allowed_is_refused_in_words_and_disturbs_nobody(
    client: Connect, sent: str | bytes, words: str
) -> None:
    one, other = client(), client()
    one.join("tea")
    other.join("tea")
    one.socket.send(sent)
    assert words in one.refused()
    one.publish("tea", "still here")
    assert other.hear("broadcast")["message"] == "still here"


def test_nobody_is_in_more_than_five_groups(client: Connect) -> None:
    one = client()
    for group in "abcde":
        one.join(group)
    one.say("subscribe", topic="f", name="Otter")
    assert one.hear("error", topic="f")["text"].startswith("You are in 5 groups, which is the most")
    one.join("e", "Robin")  # another name is not another group
    one.say("unsubscribe", topic="a")
    one.join("f")


def test_what_looks_like_markup_is_passed_on_as_it_is(client: Connect) -> None:
    one, other = client(), client()
    name, text = "<b>Otter</b>", "<script>alert(1)</script>\u2028\x00"
    one.join("tea", name)
    other.join("tea")
    one.publish("tea", text)
    said = other.hear("broadcast")
    assert (said["name"], said["message"]) == (name, text)


def test_a_message_beyond_all_limits_ends_its_connection_with_a_reason(client: Connect) -> None:
    one, other = client(), client()
    other.join("tea")
    one.socket.send("x" * (1 << 21))
    with pytest.raises(ConnectionClosed) as closed:
        one.hear("never")
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1009
    assert other.publish("tea", "hello") == 1


def test_a_flood_is_refused_and_disturbs_nobody(client: Connect) -> None:
    one, other, third = client(), client(), client()
    for each in (one, other, third):
        each.join("tea")
    for number in range(200):
        one.say("publish", topic="tea", message=f"flood {number}")
    assert other.publish("tea", "calm", myself=False) == 2
    third.hear("broadcast", message="calm")
    assert "Too fast" in one.refused()


# --- the slow reader


def test_a_reader_that_keeps_up_gets_every_number(client: Connect) -> None:
    one = client()
    one.say("start", policy="close", rate=100)
    one.report(lambda report: report["received"] >= 50)
    one.say("stop")
    end = one.report(lambda report: not report["running"])
    assert end["received"] == end["last"] == end["published"]
    assert (end["skipped"], end["dropped"], end["closed"]) == (0, 0, None)
    assert one.numbers == list(range(1, end["published"] + 1))


def stop_reading(client: Client, policy: str) -> dict[str, Any]:
    """Start a feed whose reader reads a little, then stops."""
    client.say("start", policy=policy, rate=200)
    client.report(lambda report: report["received"] >= 20)
    client.say("reading", on=False)
    return client.report(lambda report: not report["reading"])


def test_drop_leaves_out_what_is_published_while_much_waits(client: Connect) -> None:
    one = client()
    stopped = stop_reading(one, "drop")
    dropping = one.report(lambda report: report["dropped"])
    assert dropping["published"] - dropping["dropped"] - dropping["received"] >= HALF
    assert dropping["received"] <= stopped["received"] + 1
    one.say("reading", on=True)
    one.report(lambda report: report["skipped"])
    one.say("stop")
    end = one.report(lambda report: not report["running"])
    assert end["received"] + end["dropped"] == end["last"] == end["published"]
    assert end["skipped"] == end["dropped"] >= dropping["dropped"]
    assert (end["ended"], end["closed"]) == (False, None)
    assert one.numbers == list(range(1, end["published"] + 1))


def test_latest_keeps_the_last_number_for_when_it_is_read(client: Connect) -> None:
    one = client()
    stop_reading(one, "latest")
    one.report(lambda report: report["dropped"] > 50)
    one.say("stop")  # has it read what is left
    end = one.report(lambda report: not report["running"])
    assert end["last"] == end["published"] == end["received"] + end["dropped"]
    assert end["skipped"] == end["dropped"]
    assert (end["ended"], end["closed"]) == (False, None)
    assert one.numbers == list(range(1, end["published"] + 1))


def test_close_cuts_the_reader_off(client: Connect) -> None:
    one = client()
    stop_reading(one, "close")
    cut = one.report(lambda report: report["closed"])
    assert cut["closed"] == 1013
    assert cut["published"] - cut["received"] >= 2 * HALF
    one.say("reading", on=True)
    one.report(lambda report: report["ended"])
    one.say("stop")
    end = one.report(lambda report: not report["running"])
    assert end["received"] == end["last"] < cut["published"]  # one after the other, until the end
    assert (end["skipped"], end["dropped"]) == (0, 0)
    assert one.numbers == list(range(1, end["published"] + 1))


def start_at_last(client: Client) -> None:
    """Start a feed as soon as the server has one to give."""
    for _ in range(2000):
        client.say("start", policy="drop", rate=20)
        while (got := json.loads(client.socket.recv(TIMEOUT)))["type"] not in ("error", "number"):
            pass
        if got["type"] == "number":
            return
    pytest.fail(got["text"])


def test_there_is_one_feed_each_and_ten_in_all(client: Connect) -> None:
    visitors = [client() for _ in range(10)]
    for each in visitors:
        each.say("start", policy="drop", rate=20)
        each.report(lambda report: report["running"])
    visitors[0].say("start", policy="drop", rate=20)
    assert "runs already" in visitors[0].refused()
    late = client()
    late.say("start", policy="drop", rate=20)
    assert "try again" in late.refused()

    visitors[0].say("stop")
    visitors[0].report(lambda report: not report["running"])
    start_at_last(late)


def test_a_feed_ends_with_its_visitor(client: Connect) -> None:
    for _ in range(20):
        fleeting = client()
        fleeting.say("start", policy="drop", rate=20)
        fleeting.say("reading", on=False)
        fleeting.socket.close()
    start_at_last(client())


# --- several processes


def test_all_workers_have_the_same_groups(tmp_path: Path) -> None:
    with running_demo(tmp_path, "--workers", "2") as demo, clients_of(demo) as client:
        clients = [client() for _ in range(16)]
        for each in clients:
            each.join("tea", f"Otter {each.id}")
        first = clients[0]
        here = first.publish("tea", "hello")
        assert 1 <= here < len(clients)
        for each in clients[1:]:
            assert each.hear("broadcast")["message"] == "hello"

        last = client()
        last.join("tea", "Latecomer")
        for each in clients:
            each.hear("joined", client_id=last.id, name="Latecomer")
        last.publish("tea", "bye")
        for each in clients:
            each.hear("broadcast", message="bye")
            news = [got for got in each.heard if got["type"] == "joined" and got["client_id"] == last.id]
            assert len(news) == 1


def test_a_slow_reader_may_be_connected_to_another_worker(tmp_path: Path) -> None:
    with running_demo(tmp_path, "--workers", "2") as demo, clients_of(demo) as client:
        clients = [client() for _ in range(5)]
        for each in clients:
            stop_reading(each, "latest")
        for each in clients:
            each.report(lambda report: report["dropped"] > 10)
            each.say("stop")
            end = each.report(lambda report: not report["running"])
            assert end["last"] == end["published"] == end["received"] + end["dropped"]
            assert each.numbers == list(range(1, end["published"] + 1))
