"""What is in an update of Yjs, looked at before pycrdt or another browser is given it.

Neither is made for updates by strangers: a few bytes may name a count for which pycrdt makes room at once, a
number may be too large for JavaScript, pieces that stand beside what is not there can bring down the process.
So a document is one plain text, and an update is only taken where it goes on from what the document has.
"""

from __future__ import annotations

from collections import ChainMap, defaultdict
from collections.abc import Iterator
from heapq import heappop, heappush
from typing import NamedTuple

from ..messages import Refused
from .wire import CLIENT, CLOCK, Reader

NAME = "text"  # of the text in the Y.Doc
DELETED, STRING, SKIP = 1, 4, 10  # what a piece may be
AFTER, BEFORE = 0x80, 0x40  # with that in its first byte: what it was written after and before

Place = tuple[int, int]  # a client of Yjs, and how much it had written: its "clock"


class Piece(NamedTuple):
    """A piece of text in the order of its writing."""

    start: int
    end: int
    beside: list[Place]
    loose: bool  # not right after what its client had written before


class Changes(NamedTuple):
    pieces: dict[int, list[Piece]]  # by the client that wrote them
    deleted: list[Place]  # the end of each range
    cuts: list[Place]  # before which a piece may have to be cut in two
    halves: set[Place]  # of characters that are two units of UTF-16, the second ones

    def sizes(self) -> tuple[int, int]:
        """How many pieces there are, and how many of them are loose."""
        every = [piece for pieces in self.pieces.values() for piece in pieces]
        return len(every), sum(piece.loose for piece in every)


def read_state(data: bytes) -> dict[int, int]:
    """How much of each client there is. Raises as `Reader` does."""
    reader = Reader(data)
    state = {reader.number(CLIENT): reader.number() for _ in reader.counted(2)}
    reader.end()
    return state


def read_changes(data: bytes) -> Changes:
    """Raises as `Reader` does, and UnicodeDecodeError."""
    reader = Reader(data)
    changes = Changes({}, [], [], set())
    for _ in reader.counted(4):
        count, client, clock = reader.counted(2), reader.number(CLIENT), reader.number()
        if client in changes.pieces:
            raise Refused("The update has a client twice")
        changes.pieces[client] = []
        for _ in count:
            length = read_piece(reader, changes, client, clock)
            clock += length
            if not length or clock > CLOCK:
                raise Refused("The update has a piece of no possible length")
    for _ in reader.counted(2):
        client = reader.number(CLIENT)
        for _ in reader.counted(2):
            start, length = reader.number(), reader.number()
            changes.deleted.append((client, start + length))
            changes.cuts.extend([(client, start), (client, start + length)])
            if not length:
                raise Refused("The update deletes nothing")
    reader.end()
    return changes


def read_piece(reader: Reader, changes: Changes, client: int, clock: int) -> int:
    """Returns its length in units of UTF-16."""
    info = reader.byte()
    if info == SKIP:
        return reader.number()
    beside = []
    loose = True
    for side in AFTER, BEFORE:
        if info & side:
            place = neighbour, at = reader.number(CLIENT), reader.number()
            beside.append(place)
            loose = loose and (side, place) != (AFTER, (client, clock - 1))
            changes.cuts.append((neighbour, at + 1) if side == AFTER else place)
    if not beside and (reader.byte() != 1 or reader.text() != NAME):  # it says which text it is in
        raise Refused(f"A document is one plain text with the name {NAME!r}")
    content = info & ~(AFTER | BEFORE)
    if content == DELETED:
        length = reader.number()
    elif content == STRING:
        text = reader.text()
        length = len(text.encode("utf-16-le")) // 2
        if length > len(text):
            changes.halves.update((client, clock + at) for at in second_halves(text))
    else:
        raise Refused("A document is plain text, nothing else")
    changes.pieces[client].append(Piece(clock, clock + length, beside, loose))
    return length


def second_halves(text: str) -> Iterator[int]:
    at = 0
    for character in text:
        at += 1
        if character > "\uffff":
            yield at
            at += 1


def go_on(state: dict[int, int], changes: Changes) -> dict[int, int] | None:
    """How much there is of the clients that have changed, once the changes are made.

    None where they can't be: something that they need is missing, or a piece of them is there in part.
    """
    after = ChainMap({}, state)
    left = {client: pieces[::-1] for client, pieces in changes.pieces.items()}
    waiting: dict[int, list[Place]] = defaultdict(list)  # by client: for how much of it, and who
    ready = list(left)
    while ready:
        client = ready.pop()
        while left[client]:
            piece = left[client][-1]
            have = after.get(client, 0)
            if piece.end > have:
                if piece.start != have:
                    return None
                missing = next((place for place in piece.beside if place[1] >= after.get(place[0], 0)), None)
                if missing is not None:
                    heappush(waiting[missing[0]], (missing[1], client))
                    break
                after[client] = piece.end
            left[client].pop()
        while waiting[client] and waiting[client][0][0] < after.get(client, 0):
            ready.append(heappop(waiting[client])[1])
    if any(left.values()) or any(end > after.get(client, 0) for client, end in changes.deleted):
        return None
    return dict(after.maps[0])
