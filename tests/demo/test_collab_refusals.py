"""What the editor's server refuses, in words, and what others see of it: nothing."""

from __future__ import annotations

import pytest
from pycrdt import create_awareness_message, create_update_message
from websockets.exceptions import ConnectionClosed

from hyperws.demo.collab.documents import LARGEST
from hyperws.demo.collab.wire import number, prefixed

from .conftest import Demo
from .test_collab_documents import TEXT, piece
from .yjs_client import TIMEOUT, Join

GARBAGE = {
    "nothing": b"",
    "no such kind": b"\7",
    "auth": b"\2\0",
    "only a kind": b"\0",
    "cut short": b"\0\2\x05ab",
    "more than it says": b"\0\2\2\0\0\0",
    "no such kind of sync": b"\0\3\0",
    "a number without an end": b"\xff" * 40,
    "a state with a huge count": b"\0\0" + prefixed(number(2**31 - 1)),
    "an update with a huge count": create_update_message(number(2**31 - 1)),
    "a client JavaScript can't count to": create_update_message(piece(2**53, 0, 4, TEXT, prefixed(b"a"))),
    "a clock beyond all bounds": create_update_message(piece(1, 2**31 - 1, 4, TEXT, prefixed(b"abc"))),
    "a text without an end": create_update_message(piece(1, 0, 4, TEXT, b"\x7fabc")),
    "not UTF-8": create_update_message(piece(1, 0, 4, TEXT, prefixed(b"\xff"))),
    "a piece of no length": create_update_message(piece(1, 0, 4, TEXT, prefixed(b""))),
    "a nested array": create_update_message(piece(1, 0, 8, TEXT, b"\1" + b"\x75\1" * 20_000)),
    "another type": create_update_message(piece(1, 0, 7, TEXT, b"\1")),
    "another name": create_update_message(piece(1, 0, 4, b"\1" + prefixed(b"title"), prefixed(b"a"))),
    "awareness that is no JSON": create_awareness_message(b"\1\1\1\4{no}"),
    "awareness that is no object": create_awareness_message(b"\1\1\1\2[]"),
    "awareness that is too large": create_awareness_message(
        b"\1\1\1" + prefixed(b'{"a":[0%s]}' % (b",1e9" * 200))
    ),
    "awareness of nested arrays": create_awareness_message(b"\1\1\1" + prefixed(b'{"a":' + b"[" * 800)),
    "text": "hello",
    "JSON of another kind": '{"type": "message"}',
    "an id that is none": '{"type": "ping", "id": "7"}',
}


@pytest.mark.parametrize("garbage", GARBAGE.values(), ids=GARBAGE.keys())
def test_garbage_is_refused_in_words_and_others_see_nothing_of_it(
    join: Join, demo: Demo, room: str, garbage: str | bytes
) -> None:
    writer, other = join(demo, room), join(demo, room)
    writer.write("before")
    other.wait_for("before")
    writer.socket.send(garbage)
    while not writer.errors:
        writer.take()
    writer.write(", after")
    assert len(writer.errors) == 1
    other.settle()
    assert other.text == "before, after"
    assert other.errors == []


def test_what_is_too_large_ends_the_connection_in_words(join: Join, demo: Demo, room: str) -> None:
    writer, other = join(demo, room), join(demo, room)
    writer.write("before")
    other.wait_for("before")
    writer.insert(0, "x" * LARGEST)
    with pytest.raises(ConnectionClosed) as closed:
        writer.settle()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 4413
    assert "at most" in closed.value.rcvd.reason
    other.write("!")
    assert other.text == "before!"


def test_a_full_document_takes_nothing_until_something_is_deleted(join: Join, demo: Demo, room: str) -> None:
    writer = join(demo, room)
    writer.write("x" * (LARGEST // 2))
    greedy = join(demo, room)
    greedy.settle()
    with pytest.raises(ConnectionClosed) as closed:
        greedy.write("y" * (LARGEST // 2))
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 4413
    writer.delete(0, LARGEST // 2)
    writer.settle()
    writer.write("z" * (LARGEST // 2))
    late = join(demo, room)
    late.settle()
    assert late.text == "z" * (LARGEST // 2)


def test_a_message_that_is_too_large_ends_the_connection(join: Join, demo: Demo, room: str) -> None:
    writer = join(demo, room)
    with pytest.raises(ConnectionClosed) as closed:
        writer.socket.send(bytes(2**20 + 1))
        while True:
            writer.take()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1009


def test_who_sends_too_much_is_read_slowly_and_disturbs_nobody(join: Join, demo: Demo, room: str) -> None:
    flooding, other = join(demo, room), join(demo, room)
    flooding.settle(), other.settle()
    for _ in range(300):
        flooding.insert(0, "x")
    flooding.send()
    other.write("!")
    assert len(other.text) < 300  # it did not have to wait for all of them
    flooding.settle()
    other.settle()
    assert sorted(other.text) == sorted("x" * 300 + "!")


def test_a_visitor_speaks_for_one_client_only(join: Join, demo: Demo, room: str) -> None:
    ada, other = join(demo, room), join(demo, room)
    ada.settle(), other.settle()
    here = create_awareness_message(b"\1\1\1" + prefixed(b'{"user":"ada"}'))
    ada.socket.send(here)
    assert other.socket.recv(TIMEOUT) == here
    assert ada.socket.recv(TIMEOUT) == here  # without which y-websocket gives a connection up
    other.socket.send(create_awareness_message(b"\2\2\1\2{}\1\2\4null"))
    assert other.socket.recv(TIMEOUT) == create_awareness_message(b"\1\2\1\2{}")
    late = join(demo, room)
    late.socket.recv(TIMEOUT)  # step 1
    found = late.socket.recv(TIMEOUT)
    assert isinstance(found, bytes)
    assert b'{"user":"ada"}' in found
    assert b"null" not in found
    ada.cut()
    gone = create_awareness_message(b"\1\1\1\4null")
    while other.socket.recv(TIMEOUT) != gone:
        pass


def test_nobody_speaks_for_someone_who_is_there(join: Join, workers: Demo, room: str) -> None:
    ada, *others = [join(workers, room) for _ in range(5)]  # not all in one process
    for each in (ada, *others):
        each.settle()
    here = create_awareness_message(b"\1\1\1" + prefixed(b'{"user":"ada"}'))
    ada.socket.send(here)
    for other in others:
        while other.socket.recv(TIMEOUT) != here:
            pass
    for other in others:
        other.socket.send(create_awareness_message(b"\1\1\7" + prefixed(b'{"user":"eve"}')))
        other.settle()
    moved = create_awareness_message(b"\1\1\2" + prefixed(b'{"user":"ada"}'))
    ada.socket.send(moved)
    for other in others:
        message: str | bytes = b""
        while message != moved:
            message = other.socket.recv(TIMEOUT)
            assert isinstance(message, str) or b"eve" not in message


