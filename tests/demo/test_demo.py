"""Each route of the demo, driven from outside by other people's clients."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from websockets.sync.client import ClientConnection, connect

from hyperws.demo.chat import LIMIT

from .conftest import Demo

TIMEOUT = 5  # seconds


@contextmanager
def client(demo: Demo, path: str) -> Iterator[ClientConnection]:
    with connect(demo.socket(path), proxy=None, open_timeout=TIMEOUT) as socket:
        yield socket


def receive(socket: ClientConnection) -> Any:
    return json.loads(socket.recv(TIMEOUT))


def say(socket: ClientConnection, text: object) -> None:
    socket.send(json.dumps({"type": "message", "text": text}))


@contextmanager
def visitor(demo: Demo) -> Iterator[tuple[ClientConnection, str]]:
    """Someone in the chat who has been welcomed, and the address that the server knows them by.

    Having heard one's own voice is the proof of being subscribed.
    """
    with client(demo, "/chat") as socket:
        you = receive(socket)["you"]
        say(socket, "here I am")
        while receive(socket) != {"type": "message", "text": "here I am", "from": you}:
            pass
        yield socket, you


# --- echo


def test_echo_sends_the_handshake_key_first(demo: Demo) -> None:
    with client(demo, "/ws") as socket:
        assert socket.request is not None
        assert socket.recv(TIMEOUT) == socket.request.headers["Sec-WebSocket-Key"]


@pytest.mark.parametrize("message", ["hello", "Grüße, 世界 👋", b"\x00\xff", "x" * 200_000, "", b""])
def test_echo_returns_each_message_with_its_type(demo: Demo, message: str | bytes) -> None:
    with client(demo, "/ws") as socket:
        socket.recv(TIMEOUT)
        for _ in range(3):
            socket.send(message)
            assert socket.recv(TIMEOUT) == message


def test_echo_keeps_the_order(demo: Demo) -> None:
    messages = [f"message {i}" if i % 2 else f"message {i}".encode() for i in range(100)]
    with client(demo, "/ws") as socket:
        socket.recv(TIMEOUT)
        for message in messages:
            socket.send(message)
        assert [socket.recv(TIMEOUT) for _ in messages] == messages


# --- chat


def test_chat_welcomes_with_the_clients_address(demo: Demo) -> None:
    with client(demo, "/chat") as socket:
        host, port = socket.local_address[:2]
        you = f"{host}:{port}"
        assert receive(socket) == {
            "type": "welcome",
            "text": f"Welcome to chat, client: {you}",
            "you": you,
            "limit": LIMIT,
        }


def test_chat_reaches_everyone_the_sender_too(demo: Demo) -> None:
    with visitor(demo) as (ann, ann_address), visitor(demo) as (bob, _):
        receive(ann)  # Bob's "here I am"
        say(ann, "<b>Grüße</b>")
        for socket in (ann, bob):
            assert receive(socket) == {"type": "message", "text": "<b>Grüße</b>", "from": ann_address}


def test_chat_accepts_the_longest_message(demo: Demo) -> None:
    with visitor(demo) as (socket, _):
        say(socket, "👋" * LIMIT)
        assert receive(socket)["text"] == "👋" * LIMIT


@pytest.mark.parametrize(
    ("message", "complaint"),
    [
        (b'{"type": "message", "text": "hi"}', "not bytes"),
        ("hello", "JSON"),
        ("", "JSON"),
        ("[" * 100_000, "JSON"),
        ("9" * 5_000, "JSON"),
        ("[]", "Expected"),
        ("null", "Expected"),
        ('{"type": "message"}', "Expected"),
        ('{"type": "message", "text": 1}', "Expected"),
        ('{"type": "shout", "text": "hi"}', "Expected"),
        ('{"type": "message", "text": " \\n"}', "empty"),
        (json.dumps({"type": "message", "text": "x" * (LIMIT + 1)}), "longer"),
    ],
)
def test_chat_answers_what_it_cannot_use_and_stays_open(
    demo: Demo, message: str | bytes, complaint: str
) -> None:
    with visitor(demo) as (socket, you):
        socket.send(message)
        error = receive(socket)
        assert error["type"] == "error"
        assert complaint in error["text"]
        say(socket, "still here")
        assert receive(socket) == {"type": "message", "text": "still here", "from": you}


# --- data


def test_data_streams_numbered_points(demo: Demo) -> None:
    with client(demo, "/data") as socket:
        assert socket.recv(TIMEOUT) == "Connected to real-time data stream"
        points = [receive(socket) for _ in range(10)]
    assert [point["sequence"] for point in points] == list(range(10))
    assert all(point.keys() == {"timestamp", "value", "sequence"} for point in points)
    assert all(0 <= point["value"] <= 100 for point in points)
    times = [point["timestamp"] for point in points]
    assert times == sorted(times)
    assert 0.8 < times[-1] - times[0] < TIMEOUT  # nine intervals of 0.1 s


def test_data_serves_clients_side_by_side(demo: Demo) -> None:
    with client(demo, "/data") as one, client(demo, "/data") as other:
        for socket in (one, other):
            socket.recv(TIMEOUT)
            assert receive(socket)["sequence"] == 0


# --- pages


def ask(demo: Demo, path: str, method: str = "GET") -> tuple[http.client.HTTPResponse, bytes]:
    connection = http.client.HTTPConnection(demo.host, timeout=TIMEOUT)
    try:
        connection.request(method, path)
        response = connection.getresponse()
        return response, response.read()
    finally:
        connection.close()


@pytest.mark.parametrize(
    ("path", "content_type"),
    [
        ("/", "text/html; charset=utf-8"),
        ("/style.css", "text/css; charset=utf-8"),
        ("/socket.js", "text/javascript; charset=utf-8"),
        ("/icon.svg", "image/svg+xml"),
    ],
)
def test_page_files_have_type_and_policy(demo: Demo, path: str, content_type: str) -> None:
    response, body = ask(demo, path)
    assert response.status == 200
    assert body
    assert response.headers["content-type"] == content_type
    assert response.headers["content-security-policy"] == "default-src 'self'"
    assert response.headers["x-content-type-options"] == "nosniff"


def test_page_answers_head_without_a_body(demo: Demo) -> None:
    response, body = ask(demo, "/", "HEAD")
    assert (response.status, body) == (200, b"")
    assert response.headers["content-type"] == "text/html; charset=utf-8"


@pytest.mark.parametrize(
    "path", ["/../__init__.py", "/..%2f__init__.py", "/static/index.html", "/%2e%2e/echo.py", "//etc/passwd"]
)
def test_nothing_else_can_be_asked_for(demo: Demo, path: str) -> None:
    response, _ = ask(demo, path)
    assert response.status in (400, 404)
