"""The editor's server: everyone ends up with the same text, whatever happens to connections and processes."""

from __future__ import annotations

import http.client
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pycrdt import create_update_message
from websockets.exceptions import ConnectionClosed

from .conftest import Demo, new_room, running_demo
from .yjs_client import TIMEOUT, Join, Writer


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
    demo, document = request.getfixturevalue(kind), new_room()
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


def test_who_comes_late_sees_what_someone_wrote_who_has_left(join: Join, demo: Demo, room: str) -> None:
    first = join(demo, room)
    first.write("hello")
    first.socket.close()
    late = join(demo, room)
    late.settle()
    assert late.text == "hello"


def test_a_document_has_nothing_of_another_one(join: Join, demo: Demo) -> None:
    first, other = join(demo, new_room()), join(demo, new_room())
    first.write("hello")
    other.settle()
    assert other.text == ""


def test_many_changes_become_one_and_nothing_is_lost(join: Join, demo: Demo, room: str) -> None:
    writer, other = join(demo, room), join(demo, room)
    for each in range(300):  # more than there are rows for a document
        writer.insert(each // 2, "ab")
    writer.settle()
    late = join(demo, room)
    late.settle()
    other.wait_for(writer.text)
    assert late.text == writer.text
    assert len(late.text) == 600


def test_a_change_is_told_once_and_not_to_who_made_it(join: Join, demo: Demo, room: str) -> None:
    writer, other = join(demo, room), join(demo, room)
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


def test_who_sends_what_goes_on_from_nothing_is_asked_for_the_rest(join: Join, demo: Demo, room: str) -> None:
    writer = join(demo, room)
    writer.settle()
    writer.insert(0, "one ")
    writer.insert(4, "two ")
    writer.unsent.pop(0)  # lost
    writer.settle()  # not before the server has asked, and got both
    late = join(demo, room)
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


def test_a_worker_that_is_killed_loses_nothing_that_is_stored(join: Join, workers: Demo, room: str) -> None:
    writers = [join(workers, room) for _ in range(12)]
    for each, writer in enumerate(writers):
        writer.write(f"{each};")
    text = finish(writers, join(workers, room))
    assert sorted(text.split(";")) == sorted(["", *map(str, range(12))])

    os.kill(workers.processes[-1], signal.SIGKILL)
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
    text = finish(writers, join(workers, room))
    assert sorted(text.split(";")) == sorted(["", *map(str, range(12)), *["alone"] * len(lost)])


def test_what_gets_lost_between_workers_is_made_up_for(join: Join, workers: Demo, room: str) -> None:
    writers = [join(workers, room) for _ in range(12)]
    for writer in writers:
        writer.settle()
    _, bus, *_ = workers.processes
    os.kill(bus, signal.SIGKILL)
    for each, writer in enumerate(writers):
        writer.write(f"{each};")
    text = finish(writers, join(workers, room))
    assert sorted(text.split(";")) == sorted(["", *map(str, range(12))])


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
