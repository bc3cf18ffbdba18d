"""The editor's documents by themselves: no update by a stranger does harm to one."""

from __future__ import annotations

import random
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from pycrdt import Doc, Text

from hyperws.demo.collab.documents import Documents, OutOfOrder, TooLarge
from hyperws.demo.collab.updates import read_changes
from hyperws.demo.collab.wire import number, prefixed
from hyperws.demo.messages import Refused

TEXT = b"\1" + prefixed(b"text")


def piece(client: int, clock: int, info: int, *rest: bytes) -> bytes:
    """An update with one piece in it."""
    return number(1) + number(1) + number(client) + number(clock) + piece_of(info, *rest) + b"\0"


def piece_of(info: int, *rest: bytes) -> bytes:
    return bytes([info]) + b"".join(rest)


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
