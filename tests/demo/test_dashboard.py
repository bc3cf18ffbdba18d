"""The dashboard: one feed by WebSocket, event stream and polling."""

from __future__ import annotations

import contextlib
import http.client
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from websockets.sync.client import ClientConnection, connect

from .conftest import Demo, running_demo

TIMEOUT = 10  # seconds
SUBSCRIBE = {"type": "subscribe", "topic": "dashboard"}
UNSUBSCRIBE = {"type": "unsubscribe", "topic": "dashboard"}
FIGURES = {"late", "received", "sent", "answers", "sockets", "streams", "memory", "cpu"}

Point = dict[str, Any]


# --- the ways, as a program uses them


@contextlib.contextmanager
def opened(demo: Demo, *, subscribe: bool = True) -> Iterator[ClientConnection]:
    with connect(demo.socket("/data"), max_queue=None) as client:
        if subscribe:
            tell(client, SUBSCRIBE)
        yield client


def tell(client: ClientConnection, message: object) -> None:
    client.send(message if isinstance(message, (str, bytes)) else json.dumps(message))


def next_of(client: ClientConnection, kind: str) -> dict[str, Any]:
    """The next message of a type."""
    while True:
        message: dict[str, Any] = json.loads(client.recv(TIMEOUT))
        if message["type"] == kind:
            return message


def points_of(client: ClientConnection) -> Iterator[Point]:
    while True:
        yield next_of(client, "point")


@contextlib.contextmanager
def streamed(demo: Demo, query: str = "", **headers: str) -> Iterator[Iterator[tuple[str, str, str]]]:
    """The events of a stream, each as (type, id, data)."""
    connection = http.client.HTTPConnection(demo.host, timeout=TIMEOUT)
    connection.request("GET", f"/data/events{query}", headers=headers)
    response = connection.getresponse()
    try:
        assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
        yield events_in(response)
    finally:
        response.close()
        connection.close()


def events_in(response: http.client.HTTPResponse) -> Iterator[tuple[str, str, str]]:
    fields: dict[str, str] = {}
    for raw in response:
        name, _, value = raw.decode().rstrip("\n").partition(": ")
        if name:
            fields[name] = value
        else:
            if "data" in fields:
                yield fields.get("event", "message"), fields.get("id", ""), fields["data"]
            fields = {}


def poll(demo: Demo, query: str = "") -> tuple[int, str]:
    connection = http.client.HTTPConnection(demo.host, timeout=TIMEOUT)
    try:
        connection.request("GET", f"/data/poll{query}")
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


def polled(demo: Demo) -> Iterator[Point]:
    """Points, asked for again and again from the last one on."""
    at = None
    while True:
        status, body = poll(demo, "" if at is None else f"?since={at}")
        assert status == 200
        answer = json.loads(body)
        assert answer["recovered"] is (None if at is None else True)
        for point in answer["points"]:
            at = point["at"]
            yield point


def take(points: Iterator[Point], count: int) -> list[Point]:
    return [next(points) for _ in range(count)]


def assert_gap_free(points: list[Point]) -> None:
    assert [point["n"] for point in points] == list(range(points[0]["n"], points[0]["n"] + len(points)))
    times = [point["t"] for point in points]
    assert times == sorted(set(times))


def wait_for(points: Iterator[Point], condition: Callable[[Point], bool]) -> Point:
    """The first point that is so; it has to come within some hundred."""
    for _ in range(600):
        point = next(points)
        if condition(point):
            return point
    raise AssertionError(f"no point was so; the last one: {point}")


# --- what is measured


@pytest.mark.parametrize("way", ["socket", "events", "polling"])
def test_points_come_without_a_gap(demo: Demo, way: str) -> None:
    with contextlib.ExitStack() as stack:
        if way == "socket":
            points = points_of(stack.enter_context(opened(demo)))
        elif way == "events":
            events = stack.enter_context(streamed(demo))
            points = (json.loads(data) for _, _, data in events)
        else:
            points = polled(demo)
        got = take(points, 90)
    assert_gap_free(got)
    for point in got:
        assert point.keys() == {"type", "topic", "at", "pid", "n", "t", *FIGURES}
        assert point["pid"] == demo.process.pid
        assert point["memory"] > 1_000_000
        assert 0 <= point["cpu"] <= 1000
        assert point["late"] >= 0
    assert len({point["late"] for point in got}) > 10
    assert got[-1]["sockets"] >= (way == "socket")
    assert got[-1]["streams"] >= (way == "events")


@pytest.mark.parametrize("path", ["/mux", "/collab/counted"])  # which read in ways of their own
def test_messages_to_other_applications_are_counted(demo: Demo, path: str) -> None:
    with opened(demo) as client, connect(demo.socket(path)) as other:
        points = points_of(client)
        wait_for(points, lambda point: point["received"] == 0)
        for _ in range(20):
            tell(other, {"type": "ping"})
        wait_for(points, lambda point: point["received"] >= 15)


def test_connections_and_messages_are_counted(demo: Demo) -> None:
    with opened(demo) as client:
        points = points_of(client)
        first = next(points)
        with opened(demo, subscribe=False) as other, streamed(demo):
            wait_for(points, lambda point: point["sockets"] == first["sockets"] + 1)
            wait_for(points, lambda point: point["streams"] == first["streams"] + 1)
            for _ in range(20):
                tell(other, {"type": "ping"})
            wait_for(points, lambda point: point["received"] >= 15)
        wait_for(points, lambda point: point["sockets"] == first["sockets"])
        wait_for(points, lambda point: point["streams"] == first["streams"])
        wait_for(points, lambda point: point["received"] == 0)
        poll(demo)
        wait_for(points, lambda point: point["answers"] > 0)


def test_what_the_feed_sends_is_counted(demo: Demo) -> None:
    with opened(demo) as client, opened(demo) as other:
        points, others = points_of(client), points_of(other)
        wait_for(points, lambda point: next(others)["sent"] > 90 and point["sent"] > 90)


# --- coming back, and going away


def test_an_event_stream_goes_on_from_the_last_event(demo: Demo) -> None:
    with streamed(demo) as events:
        got = [json.loads(data) for _, _, data in (next(events) for _ in range(5))]
        _, last, _ = next(events)
    with opened(demo) as client:
        take(points_of(client), 30)  # missed by the stream
    for query, headers in (("", {"Last-Event-ID": last}), (f"?since={last}", {})):
        with streamed(demo, query, **headers) as events:
            back = [json.loads(data) for _, _, data in (next(events) for _ in range(60))]
        assert back[0]["n"] == got[-1]["n"] + 2
        assert_gap_free(back)


@pytest.mark.parametrize("last", ["0123456789abcdef:1", "garbage", "x" * 2000])
def test_an_event_stream_says_what_is_lost(demo: Demo, last: str) -> None:
    with streamed(demo, **{"Last-Event-ID": last}) as events:
        assert next(events) == ("lost", "", "Some points are lost")
        assert next(events)[0] == "message"


def test_a_socket_goes_on_from_the_last_point(demo: Demo) -> None:
    with opened(demo) as client:
        last = next(points_of(client))
    with opened(demo) as client:
        take(points_of(client), 30)
    with opened(demo, subscribe=False) as client:
        tell(client, SUBSCRIBE | {"since": last["at"]})
        messages = [json.loads(client.recv(TIMEOUT)) for _ in range(60)]
    told = [message for message in messages if message["type"] == "subscribed"]
    assert [message["recovered"] for message in told] == [True]
    points = [message for message in messages if message["type"] == "point"]
    assert points[0]["n"] == last["n"] + 1
    assert_gap_free(points)


def test_a_socket_may_subscribe_again(demo: Demo) -> None:
    with opened(demo) as client:
        first = next(points_of(client))
        tell(client, SUBSCRIBE | {"since": first["at"]})
        tell(client, SUBSCRIBE | {"since": first["at"]})
        next_of(client, "subscribed")
        assert next_of(client, "subscribed")["recovered"] is True
        assert_gap_free(take(points_of(client), 30))


def test_a_position_that_is_unknown_is_not_recovered(demo: Demo) -> None:
    with opened(demo, subscribe=False) as client:
        tell(client, SUBSCRIBE | {"since": "0123456789abcdef:1"})
        assert next_of(client, "subscribed")["recovered"] is False
        next_of(client, "point")
        status, body = poll(demo, "?since=0123456789abcdef:1")
    answer = json.loads(body)
    assert (status, answer["recovered"], len(answer["points"])) == (200, False, 1)


def test_who_unsubscribes_gets_no_more(demo: Demo) -> None:
    with opened(demo) as client:
        next_of(client, "point")
        tell(client, UNSUBSCRIBE)
        tell(client, {"type": "clock", "sent": 1.5})
        answer = next_of(client, "clock")
        assert answer["sent"] == 1.5
        with opened(demo) as other:
            assert answer["now"] < wait_for(points_of(other), lambda point: point["n"] > 0)["t"] + 1
            take(points_of(other), 30)
        tell(client, {"type": "ping"})
        assert json.loads(client.recv(TIMEOUT)) == {"type": "pong"}


@pytest.mark.parametrize(
    "garbage",
    [
        "no JSON",
        "{}",
        b"bytes",
        {"type": "subscribe"},
        {"type": "subscribe", "topic": "chat:lobby"},
        {"type": "subscribe", "topic": "dashboard", "since": "garbage"},
        {"type": "subscribe", "topic": "dashboard", "since": "x" * 100 + ":1"},
        {"type": "subscribe", "topic": "dashboard", "since": 1},
        {"type": "clock"},
        {"type": "clock", "sent": "now"},
        {"type": "clock", "sent": 1, "more": 2},
    ],
)
def test_garbage_is_refused_in_words(demo: Demo, garbage: object) -> None:
    with opened(demo, subscribe=False) as client:
        tell(client, garbage)
        answer = json.loads(client.recv(TIMEOUT))
        assert answer["type"] == "error"
        assert answer["text"]
        tell(client, {"type": "ping"})
        assert json.loads(client.recv(TIMEOUT)) == {"type": "pong"}


@pytest.mark.parametrize("since", ["", "garbage", "a:b", "a:-1", "a:1%0A", "x" * 100 + ":1"])
def test_a_poll_for_garbage_is_refused_in_words(demo: Demo, since: str) -> None:
    assert poll(demo, f"?since={since}") == (400, 'since takes the "at" of a point.\n')


def test_each_worker_shows_itself(tmp_path: Any) -> None:
    pytest.importorskip("zmq", reason="workers need pyzmq")
    with running_demo(tmp_path, "--workers", "2") as demo:
        seen: set[int] = set()
        while len(seen) < 2:
            with opened(demo) as client:
                points = take(points_of(client), 30)
            assert_gap_free(points)
            assert len({point["pid"] for point in points}) == 1
            seen.add(points[0]["pid"])
            assert 0 < points[-1]["sockets"] <= 2
        assert demo.process.pid not in seen
        with streamed(demo) as events:
            assert_gap_free([json.loads(data) for _, _, data in (next(events) for _ in range(30))])
