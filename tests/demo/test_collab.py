"""The editor's server: everyone ends up with the same text, whatever happens to connections and processes."""

from __future__ import annotations

import http.client
import os
import random
import signal
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from itertools import count
from pathlib import Path
from typing import Any, Protocol

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pycrdt import Doc, Text, create_awareness_message, create_update_message
from websockets.exceptions import ConnectionClosed

from hyperws.demo.collab.documents import LARGEST, Documents, OutOfOrder, TooLarge
from hyperws.demo.collab.updates import read_changes
from hyperws.demo.collab.wire import number, prefixed
from hyperws.demo.messages import Refused

from .conftest import Demo, running_demo
from .yjs_client import TIMEOUT, Writer

names = (f"test-{each}" for each in count())


@pytest.fixture
def name() -> str:
    """A document that nobody has had before."""
    return next(names)


class Join(Protocol):
    def __call__(self, demo: Demo, document: str) -> Writer: ...


@pytest.fixture
def join() -> Iterator[Join]:
    """Gives writers, who leave in the end."""
    with ExitStack() as stack:

        def come(demo: Demo, document: str) -> Writer:
            writer = Writer(demo, document)
            stack.callback(lambda: writer.socket.close())
            return writer

        yield come


@pytest.fixture(scope="module")
def workers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    with running_demo(tmp_path_factory.mktemp("data"), "--workers", "2") as demo:
        yield demo


def finish(writers: list[Writer], late: Writer) -> str:
    """Have all writers store what they wrote, and see what those who come late see."""
    for writer in writers:
        writer.settle()
    late.connect()
    late.settle()
    for writer in writers:
        writer.wait_for(late.text)
    return late.text


# ------------------------------------------------------------------------------------ the same text

ACTIONS = st.lists(
    st.tuples(
        st.integers(0, 2),  # who
        st.sampled_from(["insert", "insert", "delete", "send", "settle", "cut"]),
        st.integers(0, 60),  # where
        st.text("abc \n é😀", min_size=1, max_size=5),
    ),
    max_size=40,
)


@pytest.mark.parametrize("kind", ["demo", "workers"])
@settings(max_examples=15, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(actions=ACTIONS)
def test_whatever_they_do_they_end_up_with_the_same(
    request: pytest.FixtureRequest, kind: str, actions: list[Any]
) -> None:
    demo, document = request.getfixturevalue(kind), next(names)
    writers = [Writer(demo, document) for _ in range(3)]
    away = set()
    for who, action, where, text in actions:
        writer = writers[who]
        at = where % (len(writer.text) + 1)
        if action == "insert":
            writer.insert(at, text)
        elif action == "delete":
            writer.delete(at, len(text))
        elif who in away:
            writer.connect()
            away.discard(who)
        elif action == "cut":
            writer.cut()
            away.add(who)
        else:
            getattr(writer, action)()
    for who in away:
        writers[who].connect()
    late = Writer(demo, document)
    late.cut()
    finish(writers, late)
    assert [writer.errors for writer in writers] == [[], [], []]
    for writer in (*writers, late):
        writer.socket.close()


def test_who_comes_late_sees_what_someone_wrote_who_has_left(join: Join, demo: Demo, name: str) -> None:
    first = join(demo, name)
    first.write("hello")
    first.socket.close()
    late = join(demo, name)
    late.settle()
    assert late.text == "hello"


def test_a_document_has_nothing_of_another_one(join: Join, demo: Demo) -> None:
    first, other = join(demo, next(names)), join(demo, next(names))
    first.write("hello")
    other.settle()
    assert other.text == ""


def test_a_document_that_nobody_has_open_is_forgotten_but_for_the_file(tmp_path: Path) -> None:
    documents = Documents(tmp_path)
    document = documents.open("notes")
    update = piece(1, 0, 4, TEXT, prefixed(b"hello"))
    document.take(update, read_changes(update))
    assert documents.open("notes") is document
    del document
    assert not documents.opened
    assert b"hello" in documents.open("notes").since()
    documents.close()


def test_many_changes_become_one_and_nothing_is_lost(join: Join, demo: Demo, name: str) -> None:
    writer, other = join(demo, name), join(demo, name)
    for each in range(300):  # more than there are rows for a document
        writer.insert(each // 2, "ab")
    writer.settle()
    late = join(demo, name)
    late.settle()
    other.wait_for(writer.text)
    assert late.text == writer.text
    assert len(late.text) == 600


def test_a_change_is_told_once_and_not_to_who_made_it(join: Join, demo: Demo, name: str) -> None:
    writer, other = join(demo, name), join(demo, name)
    writer.settle(), other.settle()
    writer.insert(0, "x")
    update = writer.unsent[0]
    writer.send()
    writer.socket.send(create_update_message(update))
    writer.socket.send('{"type": "ping", "id": 1000}')
    assert writer.socket.recv(TIMEOUT) == '{"type":"pong","id":1000}'
    other.socket.send('{"type": "ping", "id": 1000}')
    assert other.socket.recv(TIMEOUT) == create_update_message(update)
    assert other.socket.recv(TIMEOUT) == '{"type":"pong","id":1000}'


def test_who_sends_what_goes_on_from_nothing_is_asked_for_the_rest(join: Join, demo: Demo, name: str) -> None:
    writer = join(demo, name)
    writer.settle()
    writer.insert(0, "one ")
    writer.insert(4, "two ")
    writer.unsent.pop(0)  # lost
    writer.settle()  # not before the server has asked, and got both
    late = join(demo, name)
    late.settle()
    assert late.text == "one two "
    assert writer.errors == []


# ---------------------------------------------------------------------------------- processes that end


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_a_text_is_there_after_a_restart(join: Join, tmp_path: Path, how: signal.Signals) -> None:
    with running_demo(tmp_path) as demo:
        writer = join(demo, "notes")
        writer.write("kept")
        demo.process.send_signal(how)
        demo.process.wait(TIMEOUT)
        with pytest.raises(ConnectionClosed):
            writer.socket.recv(TIMEOUT), writer.socket.recv(TIMEOUT)
        writer.insert(4, " and written alone")
    with running_demo(tmp_path, port=demo.port) as demo:
        writer.connect()
        late = join(demo, "notes")
        late.settle()
        assert late.text.startswith("kept")
        writer.settle()
        late.wait_for("kept and written alone")


def test_a_worker_that_is_killed_loses_nothing_that_is_stored(join: Join, workers: Demo, name: str) -> None:
    writers = [join(workers, name) for _ in range(12)]
    for each, writer in enumerate(writers):
        writer.write(f"{each};")
    text = finish(writers, join(workers, name))
    assert sorted(text.split(";")) == sorted(["", *map(str, range(12))])

    _bus, *processes = children(workers.process.pid)
    os.kill(processes[-1], signal.SIGKILL)
    lost = []
    for writer in writers:
        try:
            writer.settle()
        except ConnectionClosed:
            writer.insert(0, "alone;")
            lost.append(writer)
    assert 0 < len(lost) < len(writers), "all had been in one process"
    for writer in lost:
        writer.connect()
    text = finish(writers, join(workers, name))
    assert sorted(text.split(";")) == sorted(["", *map(str, range(12)), *["alone"] * len(lost)])


def test_what_gets_lost_between_workers_is_made_up_for(join: Join, workers: Demo, name: str) -> None:
    writers = [join(workers, name) for _ in range(12)]
    for writer in writers:
        writer.settle()
    bus, *_processes = children(workers.process.pid)
    os.kill(bus, signal.SIGKILL)
    for each, writer in enumerate(writers):
        writer.write(f"{each};")
    text = finish(writers, join(workers, name))
    assert sorted(text.split(";")) == sorted(["", *map(str, range(12))])


def children(process: int) -> list[int]:
    return [int(each) for each in Path(f"/proc/{process}/task/{process}/children").read_text().split()]


# ------------------------------------------------------------------------------- what is not allowed


def piece(client: int, clock: int, info: int, *rest: bytes) -> bytes:
    """An update with one piece in it."""
    return number(1) + number(1) + number(client) + number(clock) + piece_of(info, *rest) + b"\0"


def piece_of(info: int, *rest: bytes) -> bytes:
    return bytes([info]) + b"".join(rest)


TEXT = b"\1" + prefixed(b"text")

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
    join: Join, demo: Demo, name: str, garbage: str | bytes
) -> None:
    writer, other = join(demo, name), join(demo, name)
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


def test_what_is_too_large_ends_the_connection_in_words(join: Join, demo: Demo, name: str) -> None:
    writer, other = join(demo, name), join(demo, name)
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


def test_a_full_document_takes_nothing_until_something_is_deleted(join: Join, demo: Demo, name: str) -> None:
    writer = join(demo, name)
    writer.write("x" * (LARGEST // 2))
    greedy = join(demo, name)
    greedy.settle()
    with pytest.raises(ConnectionClosed) as closed:
        greedy.write("y" * (LARGEST // 2))
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 4413
    writer.delete(0, LARGEST // 2)
    writer.settle()
    writer.write("z" * (LARGEST // 2))
    late = join(demo, name)
    late.settle()
    assert late.text == "z" * (LARGEST // 2)


def test_a_message_that_is_too_large_ends_the_connection(join: Join, demo: Demo, name: str) -> None:
    writer = join(demo, name)
    with pytest.raises(ConnectionClosed) as closed:
        writer.socket.send(bytes(2**20 + 1))
        while True:
            writer.take()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1009


def test_who_sends_too_much_is_read_slowly_and_disturbs_nobody(join: Join, demo: Demo, name: str) -> None:
    flooding, other = join(demo, name), join(demo, name)
    flooding.settle(), other.settle()
    for _ in range(300):
        flooding.insert(0, "x")
    flooding.send()
    other.write("!")
    assert len(other.text) < 300  # it did not have to wait for all of them
    flooding.settle()
    other.settle()
    assert sorted(other.text) == sorted("x" * 300 + "!")


def test_a_visitor_speaks_for_one_client_only(join: Join, demo: Demo, name: str) -> None:
    ada, other = join(demo, name), join(demo, name)
    ada.settle(), other.settle()
    here = create_awareness_message(b"\1\1\1" + prefixed(b'{"user":"ada"}'))
    ada.socket.send(here)
    assert other.socket.recv(TIMEOUT) == here
    assert ada.socket.recv(TIMEOUT) == here  # without which y-websocket gives a connection up
    other.socket.send(create_awareness_message(b"\2\2\1\2{}\1\2\4null"))
    assert other.socket.recv(TIMEOUT) == create_awareness_message(b"\1\2\1\2{}")
    late = join(demo, name)
    late.socket.recv(TIMEOUT)  # step 1
    found = late.socket.recv(TIMEOUT)
    assert isinstance(found, bytes)
    assert b'{"user":"ada"}' in found
    assert b"null" not in found
    ada.cut()
    gone = create_awareness_message(b"\1\1\1\4null")
    while other.socket.recv(TIMEOUT) != gone:
        pass


def test_nobody_speaks_for_someone_who_is_there(join: Join, workers: Demo, name: str) -> None:
    ada, *others = [join(workers, name) for _ in range(5)]  # not all in one process
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


# ------------------------------------------------------------------------------ updates by strangers


def test_what_brings_down_pycrdt_does_not_get_there(tmp_path: Path) -> None:
    documents = Documents(tmp_path)
    document = documents.open("notes")
    for update in (
        b"\x02\x04\x02\x08\x84\xff\xff\xff\xff\xff\xff\xff\x0f\x03\x01a\x04\x01\x04text\x01a\x81\x03\x03\x01"
        b"\x84\x01\x05\x04\xf0\x9f\x98\x80\x03\x01\x01\x84\x03\x02\x05helloD\x03\x00\x01a\x84\x03\xff\xff\xff"
        b"\xff\x07\x04\xf0\x9f\x98\x80\x01\xff\xff\xff\xff\xff\xff\xff\x0f\x00",
        b"\x01\x02\x01\x05\x01\x01\x01a\x01\xc1\x01\x01\x03\x03\x03\x02\x01\x02\x01\x01\x00\x00\x03\x00",
        b"\x01\x03\x03\x00\n\x01\x00\x02\x84\x01\x00\x05hello\x02\xff\xff\xff\xff\xff\xff\xff\x0f\x02\x07\xff"
        b"\xff\xff\xff\x07\x00\x00\xff\xff\xff\xff\xff\xff\xff\x0f\x00",
    ):
        with pytest.raises((Refused, OutOfOrder)):
            document.take(update, read_changes(update))
    documents.close()


def test_a_character_is_not_taken_apart(tmp_path: Path) -> None:
    documents = Documents(tmp_path)
    document = documents.open("notes")
    smile = piece(1, 0, 4, TEXT, prefixed("😀".encode()))
    document.take(smile, read_changes(smile))
    for update in (
        piece(2, 0, 0x84, number(1), number(0), prefixed(b"a")),  # after its first half
        piece(2, 0, 0x44, number(1), number(1), prefixed(b"a")),  # before its second half
        b"\0" + number(1) + number(1) + number(1) + number(1) + number(1),  # that one deleted
    ):
        with pytest.raises(Refused):
            document.take(update, read_changes(update))
    documents.close()


def crowded(first: int, count: int) -> bytes:
    """An update of so many clients, each of whom writes at the very beginning, and what the next has to wait
    for: so each is compared with all before it."""
    clients = b""
    for client in reversed(range(first, first + count)):
        begins = piece_of(4, TEXT, prefixed(b"a"))
        follows = piece_of(0x84, number(client - 1), number(1), prefixed(b"a"))
        clients += number(2) + number(client) + number(0) + (begins if client == first else follows)
        clients += piece_of(4, TEXT, prefixed(b"b"))
    return number(count) + clients + b"\0"


def test_a_document_is_put_together_quickly_whatever_is_in_it(tmp_path: Path) -> None:
    documents = Documents(tmp_path)
    document = documents.open("notes")
    first = crowded(1, 1000)
    document.take(first, read_changes(first))
    for update in crowded(1, 4000), crowded(2001, 3000):  # all at once, or bit by bit
        with pytest.raises(TooLarge, match="too many places"):
            document.take(update, read_changes(update))
    more = crowded(2001, 1000)
    document.take(more, read_changes(more))
    del document
    document = documents.open("notes")  # as another process finds it
    document.state()
    more = crowded(4001, 2000)
    with pytest.raises(TooLarge, match="too many places"):
        document.take(more, read_changes(more))
    documents.close()


def test_a_document_may_change_in_thousands_of_places(tmp_path: Path) -> None:
    chance = random.Random(1)
    documents = Documents(tmp_path)
    document = documents.open("notes")
    writer: Any = Doc()
    text = writer.get("text", type=Text)
    updates: list[bytes] = []
    writer.observe(lambda event: updates.append(event.update))
    for _ in range(2000):
        text.insert(chance.randrange(len(text) + 1), "word ")
        document.take(updates[-1], read_changes(updates[-1]))
    documents.close()


@pytest.mark.parametrize("seed", range(2))
def test_no_update_makes_a_document_unreadable(tmp_path: Path, seed: int) -> None:
    """Changed at random, some updates are still taken. Whatever they do, the text can be had again."""
    chance = random.Random(seed)
    documents = Documents(tmp_path)
    document = documents.open("notes")
    writer: Any = Doc(client_id=7)
    text = writer.get("text", type=Text)
    updates: list[bytes] = []
    writer.observe(lambda event: updates.append(event.update))
    for _ in range(300):
        if len(text) > 20 and chance.random() < 0.3:
            del text[: chance.randrange(1, 9)]
        else:
            text.insert(chance.randrange(len(text) + 1), chance.choice("ab\n"))
        changed = bytearray(updates[-1])
        changed[chance.randrange(len(changed))] = chance.randrange(256)
        for update in bytes(changed), updates[-1], writer.get_update():
            with suppress(Refused, IndexError, UnicodeDecodeError, OutOfOrder, TooLarge):
                document.take(update, read_changes(update))
    whole: Any = Doc()
    whole.apply_update(document.since())
    del document
    again: Any = Doc()
    again.apply_update(documents.open("notes").since())
    assert str(again.get("text", type=Text)) == str(whole.get("text", type=Text)) != ""
    documents.close()


# ---------------------------------------------------------------------------------- without pycrdt


def test_without_pycrdt_the_page_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sitecustomize.py").write_text("import sys; sys.modules['pycrdt'] = None\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    with running_demo(tmp_path / "data") as demo:
        answers = {}
        for path in ("/collab/notes", "/"):
            connection = http.client.HTTPConnection(demo.host, timeout=TIMEOUT)
            connection.request("GET", path)
            answers[path] = connection.getresponse().read().decode()
            connection.close()
        assert "pip install 'hyperws[demo]'" in answers["/collab/notes"]
        assert "<textarea" not in answers["/collab/notes"]
        assert "Collab" in answers["/"] or "Editor" in answers["/"]
        assert not (tmp_path / "data").exists()
