"""Documents: each a CRDT in memory while somebody has it open, and a list of updates in an SQLite file.

All processes of a machine write to one file, one at a time, and read there what the others have written. What
is in it survives the death of a process; a power cut may take the last seconds. The file is used right in the
event loop: writing an update takes some ten microseconds, and reading a document as large as is allowed a few
milliseconds.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property, partial
from pathlib import Path
from weakref import WeakValueDictionary

from pycrdt import Doc, Text, TransactionEvent, merge_updates

from ..messages import Refused

LARGEST = 512 * 1024  # bytes of a document with all traces of what was deleted, or of one update
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

    @cached_property
    def file(self) -> sqlite3.Connection:
        self.folder.mkdir(parents=True, exist_ok=True)
        file = sqlite3.connect(self.folder / "documents.sqlite", timeout=PATIENCE, isolation_level=None)
        file.execute("PRAGMA journal_mode = WAL")
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


class Document:
    def __init__(self, documents: Documents, name: str) -> None:
        self.documents = documents
        self.name = name
        self.forget()

    def state(self) -> bytes:
        """What the document has, for sync step 1."""
        self.catch_up()
        return self.doc.get_state()

    def since(self, state: bytes = b"\0") -> bytes:
        """What is missing in a state, for sync step 2."""
        self.catch_up()
        return self.doc.get_update(state)

    def take(self, update: bytes) -> bytes | None:
        """Keep an update. Returns what it changes, None if nothing.

        Raises TooLarge, Refused for an update that makes no sense, sqlite3.Error where it can't be kept.
        """
        if len(update) > LARGEST:
            raise TooLarge(f"A change has at most {LARGEST} bytes")
        try:
            with self.documents.writing() as file:
                self.catch_up()
                news = self.apply(update)
                if news is None:
                    self.wait_for_more(update)
                else:
                    self.keep(file, news)
                return news
        except BaseException:
            self.forget()  # it may have come in half
            raise

    def catch_up(self) -> None:
        """Read what other processes have written, or everything."""
        rows = "SELECT id, content FROM updates WHERE document = ? AND id > ? ORDER BY id"
        for id, content in self.documents.file.execute(rows, (self.name, self.seen)):
            self.apply(content)
            self.count(id, content)

    def apply(self, update: bytes) -> bytes | None:
        self.news.clear()
        try:
            self.doc.apply_update(update)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # when pycrdt's Rust panics, that is no Exception
            raise Refused(f"The update makes no sense: {error}") from None
        return merge_updates(*self.news) if self.news else None

    def wait_for_more(self, update: bytes) -> None:
        """It is old news, or waits in memory for what comes before it. That is not to last."""
        self.idle += len(update)
        if self.idle > LARGEST:
            self.forget()

    def keep(self, file: sqlite3.Connection, news: bytes) -> None:
        if not self.rows:
            (documents,) = file.execute("SELECT count(DISTINCT document) FROM updates").fetchone()
            if documents >= MOST_DOCUMENTS:
                raise TooLarge(f"There are {documents} documents already, and no room for one more")
        if self.rows >= MOST_ROWS or self.size + len(news) > LARGEST:
            news = self.doc.get_update()
            if len(news) > LARGEST:
                raise TooLarge(f"A document has at most {LARGEST} bytes")
            file.execute("DELETE FROM updates WHERE document = ?", (self.name,))
            self.rows = self.size = 0
        row = (self.name, news)
        id = file.execute("INSERT INTO updates (document, content) VALUES (?, ?)", row).lastrowid
        self.count(id or 0, news)

    def count(self, id: int, content: bytes) -> None:
        self.seen = id
        self.rows += 1
        self.size += len(content)

    def forget(self) -> None:
        """Read everything again when it is needed next."""
        self.doc: Doc[Text] = Doc()
        self.news: list[bytes] = []  # what the last update has changed
        self.doc.observe(partial(remember, self.news))
        self.seen = 0  # the last row that was read
        self.rows: int = 0
        self.size: int = 0  # bytes of all rows
        self.idle = 0  # bytes that have changed nothing


def remember(news: list[bytes], event: TransactionEvent) -> None:
    news.append(event.update)
