"""Documents: each a CRDT in memory while somebody has it open, and a list of updates in an SQLite file.

All processes of a machine write to one file, one at a time, and read there what the others have written. What
is in it survives the death of a process; a power cut may take the last seconds.

The file is used right in the event loop: to keep an update takes a tenth of a millisecond, now and then more
until the disk has it, and a document is as small as to be read in a few.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property, partial
from pathlib import Path
from time import monotonic, sleep
from weakref import WeakValueDictionary

from pycrdt import Doc, Text, TransactionEvent, merge_updates

from hyperws import ConfigurationError

from ..messages import Refused
from .updates import Changes, Place, go_on, read_changes, read_state

LARGEST = 256 * 1024  # bytes of a document with all traces of what was deleted, or of one update
MOST_WORK = 40_000_000  # steps of putting a document together: a second at worst
MOST_ROWS = 200  # of a document, before they are made into one
MOST_DOCUMENTS = 1000
PATIENCE = 2.0  # seconds for which another process may write

SCHEMA = """
CREATE TABLE IF NOT EXISTS updates (
    id INTEGER PRIMARY KEY AUTOINCREMENT,   -- never used again, as processes go on from the last they saw
    document TEXT NOT NULL,
    content BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS updates_of_document ON updates (document, id);
"""


class TooLarge(Exception):
    """A document would grow beyond what is allowed; the text says so."""


class OutOfOrder(Exception):
    """An update does not go on from what a document has."""


class Documents:
    """All documents: those that are open, and the file for all."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.opened: WeakValueDictionary[str, Document] = WeakValueDictionary()

    def open(self, name: str) -> Document:
        """The document of that name, one for all its visitors in this process; it is forgotten with them."""
        document = self.opened.get(name)
        if document is None:
            document = self.opened[name] = Document(self, name)
        return document

    def begin(self) -> None:
        """Open the file. Raises ConfigurationError where nothing can be kept in it."""
        try:
            with self.writing():
                pass
        except (OSError, sqlite3.Error) as error:
            why = error.strerror if isinstance(error, OSError) else error
            raise ConfigurationError(f"documents can't be kept in {self.folder}: {why}") from None

    @cached_property
    def file(self) -> sqlite3.Connection:
        self.folder.mkdir(parents=True, exist_ok=True)
        file = sqlite3.connect(self.folder / "documents.sqlite", timeout=PATIENCE, isolation_level=None)
        begin_log(file)
        file.execute("PRAGMA synchronous = NORMAL")
        file.executescript(SCHEMA)
        return file

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Only this process writes meanwhile; all of it is kept, or nothing if it fails."""
        with self.file:
            self.file.execute("BEGIN IMMEDIATE")
            yield self.file

    def close(self) -> None:
        if "file" in self.__dict__:
            self.file.close()


def begin_log(file: sqlite3.Connection) -> None:
    """Have writers write ahead. When two processes begin with it at once, SQLite does not wait by itself."""
    end = monotonic() + PATIENCE
    while True:
        try:
            file.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError:
            if monotonic() > end:
                raise
            sleep(0.01)
        else:
            return


class Document:
    def __init__(self, documents: Documents, name: str) -> None:
        self.documents = documents
        self.name = name
        self.forget()

    def forget(self) -> None:
        """Read everything again when it is needed next."""
        self.doc: Doc[Text] = Doc()
        self.news: list[bytes] = []  # what the last update has changed
        self.doc.observe(partial(remember, self.news))
        self.has: dict[int, int] = {}  # how much of each client
        self.halves: set[Place] = set()  # of characters that are two units of UTF-16, the second ones
        self.seen = 0  # the last row that was read
        self.rows = 0
        self.size = 0  # bytes of all rows
        self.pieces = self.loose = 0  # in all rows; each that is loose may have to be compared with all

    def state(self) -> bytes:
        """What the document has, for sync step 1."""
        self.catch_up()
        with no_panic():
            return self.doc.get_state()

    def since(self, state: bytes = b"\0") -> bytes:
        """What is missing in a state, for sync step 2."""
        self.catch_up()
        with no_panic():
            return self.doc.get_update(state)

    def take(self, update: bytes, changes: Changes) -> bytes | None:
        """Keep an update. Returns what is new in it, None if nothing.

        Raises OutOfOrder, TooLarge, Refused where pycrdt can't read it, sqlite3.Error where it can't be kept.
        """
        if len(update) > LARGEST:
            raise TooLarge(f"A change has at most {LARGEST} bytes")
        taking = False
        try:
            with self.documents.writing() as file:
                self.catch_up()
                after = self.check(changes)
                taking = True
                news = self.apply(update)
                if news is not None:
                    self.keep(file, news, changes)
                self.has |= after
                return news
        except BaseException:
            if taking:
                self.forget()  # it may have come in half
            raise

    def check(self, changes: Changes) -> dict[int, int]:
        """Returns how much there will be of the clients that have changed. Raises as `take` does."""
        after = go_on(self.has, changes)
        if after is None:
            raise OutOfOrder
        pieces, loose = changes.sizes()
        if (self.pieces + pieces) * (self.loose + loose) > MOST_WORK:
            raise TooLarge("The document has changed in too many places")
        if any(cut in self.halves or cut in changes.halves for cut in changes.cuts):
            raise Refused("The update takes a character apart")  # which pycrdt does not bear
        return after

    def catch_up(self) -> None:
        """Read what other processes have written, or everything."""
        rows = "SELECT id, content FROM updates WHERE document = ? AND id > ? ORDER BY id"
        before = self.seen
        for id, content in self.documents.file.execute(rows, (self.name, self.seen)):
            self.apply(content)
            self.count(id, content, read_changes(content))
        if self.seen != before:
            self.has = read_state(self.doc.get_state())

    def apply(self, update: bytes) -> bytes | None:
        self.news.clear()
        with no_panic():
            self.doc.apply_update(update)
        return merge_updates(*self.news) if self.news else None

    def keep(self, file: sqlite3.Connection, news: bytes, changes: Changes) -> None:
        if not self.rows:
            (documents,) = file.execute("SELECT count(DISTINCT document) FROM updates").fetchone()
            if documents >= MOST_DOCUMENTS:
                raise TooLarge(f"There are {documents} documents already, and no room for one more")
        if self.rows >= MOST_ROWS or self.size + len(news) > LARGEST:
            news = self.doc.get_update()
            if len(news) > LARGEST:
                raise TooLarge(f"A document has at most {LARGEST} bytes")
            file.execute("DELETE FROM updates WHERE document = ?", (self.name,))
            self.rows = self.size = self.pieces = self.loose = 0
            changes = read_changes(news)
        row = (self.name, news)
        id = file.execute("INSERT INTO updates (document, content) VALUES (?, ?)", row).lastrowid
        self.count(id or 0, news, changes)

    def count(self, id: int, content: bytes, changes: Changes) -> None:
        pieces, loose = changes.sizes()
        self.seen = id
        self.rows += 1
        self.size += len(content)
        self.pieces += pieces
        self.loose += loose
        self.halves |= changes.halves


@contextmanager
def no_panic() -> Iterator[None]:
    """When pycrdt's Rust panics, that is no Exception."""
    try:
        yield
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:
        raise Refused(f"The update makes no sense: {error}") from None


def remember(news: list[bytes], event: TransactionEvent) -> None:
    news.append(event.update)
