"""Keeps a process connected to its backplane, whatever becomes of the broker."""

from __future__ import annotations

import asyncio
import logging
import random
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Protocol, TypeVar

from hyperws.groups.backplane import Backplane, Delivery, Keep, Link, Past, Publication

logger = logging.getLogger("hyperws")

T = TypeVar("T")

PING = 2.0              # seconds after which the broker is asked whether it is there
ANSWER = 4.0            # seconds that it has to answer anything
PATIENCE = 15.0         # seconds that messages wait for a broker that is away
OUTBOX = 16 << 20       # bytes of messages that wait at the most
FIRST_PAUSE = 0.1       # seconds until it connects again: at most, doubled with each try
LONGEST_PAUSE = 5.0
BATCH = 512             # messages that are sent before others are looked at
ALIVE = "alive"         # the note by which processes know of each other
ALIVE_SECONDS = 6.0
MEMBERS = "members:"    # before a topic: the note on who is in there
MEMBERS_SECONDS = 3600.0


class Lost(Exception):
    """The connection to the broker is of no more use."""


class Messages(Protocol):
    """Whose messages an uplink carries."""

    def delivered(self, delivery: Delivery) -> None:
        """Something has come."""

    def keep_of(self, topic: str) -> Keep | None: ...

    def synchronize(self, topic: str, past: Past | None) -> None:
        """From before now on, everything that is published to the topic is delivered."""

    def given_up(self, publications: list[Publication]) -> None:
        """These will not be sent."""

    def connected(self) -> None:
        """From now on everything is sent again."""

    def disconnected(self) -> None:
        """The connection is lost."""


class Notes(Protocol):
    """Whose notes it writes and reads."""

    def note(self, topic: str) -> bytes: ...

    def noted(self, topic: str) -> None:
        """The note is written."""

    def read(self, topic: str, notes: dict[str, bytes]) -> None:
        """These are the notes of all processes that are there."""

    def living(self, origins: set[str], now: float) -> None:
        """These are the processes that are there."""

    def connected(self, doubt_until: float) -> None:
        """All notes are to be written; until others have done the same, some may be missing."""


class Uplink:
    """One process' connection to a backplane, made anew whenever it is lost.

    What is to be is told at any time: `use` and `leave` topics, `send` messages, `note` that members have
    changed. Two loops make it so while there is a connection, one for what is sent, one for all else. As the
    latter only looks at what differs between what should be and what is, a new connection is nothing special
    to it.
    """

    def __init__(self, backplane: Backplane, origin: str, messages: Messages, notes: Notes) -> None:
        self.backplane = backplane
        self.origin = origin
        self.messages = messages
        self.notes = notes
        self.healthy = False
        """Whether there is a connection, and everything is as it should be."""
        self.local = False
        """Whether the broker has been away for so long that nothing waits for it any more."""
        self.wanted: set[str] = set()
        """The topics in use."""
        self.joining: dict[str, None] = {}
        """Those that are to be subscribed to."""
        self.leaving: dict[str, None] = {}
        self.subscribed: set[str] = set()
        self.unsynchronized: dict[str, object] = {}
        """Those whose past is to be read, once they are subscribed to; each with a mark of its own."""
        self.tracked: dict[str, None] = {}
        """Topics whose members are to be known."""
        self.unread: dict[str, None] = {}
        """Those of them whose notes are to be read."""
        self.unwritten: dict[str, None] = {}
        """Topics on which our own note is to be written."""
        self.renewed = 0.0
        """When all notes were last to be written."""
        self.lives = False
        """Whether others need to know that this process is alive."""
        self.questions: deque[tuple[str, asyncio.Future[dict[str, bytes]]]] = deque()
        self.outbox: deque[Publication] = deque()
        self.waiting = 0    # bytes in the outbox
        self.changed = asyncio.Event()
        self.filled = asyncio.Event()
        self.settled = asyncio.Event()
        """Set whenever something has been synchronized, or need not be any more."""
        self.first = asyncio.Event()
        """Set once the first attempt to connect has come to an end."""
        self.away_since: float | None = None
        self.pause = FIRST_PAUSE
        self.missed = False
        """Whether the log says that it is away."""
        self.fail: Callable[[Exception], None] | None = None
        """Makes an end to the present connection, None where there is none."""

    # --------------------------------------------------------------------- what is to be

    def use(self, topic: str) -> None:
        self.wanted.add(topic)
        self.unsynchronized[topic] = object()
        if topic in self.subscribed:
            self.leaving.pop(topic, None)
        else:
            self.joining[topic] = None
        self.changed.set()

    def leave(self, topic: str) -> None:
        self.wanted.discard(topic)
        self.unsynchronized.pop(topic, None)
        self.settled.set()      # nothing has to wait for its past
        self.joining.pop(topic, None)
        if topic in self.subscribed:
            self.leaving[topic] = None
            self.changed.set()

    def synchronize_again(self, topic: str) -> None:
        """Read the past of a topic once more."""
        self.unsynchronized[topic] = object()
        self.changed.set()

    def track(self, topic: str) -> None:
        if topic not in self.tracked:
            self.tracked[topic] = self.unread[topic] = None
            self.changed.set()

    def track_again(self) -> None:
        self.unread.update(self.tracked)
        self.changed.set()

    def untrack(self, topic: str) -> None:
        self.tracked.pop(topic, None)
        self.unread.pop(topic, None)

    def note(self, topic: str) -> None:
        """The members of a topic here have changed."""
        self.unwritten[topic] = None
        self.lives = True
        self.changed.set()

    async def ask(self, topic: str) -> dict[str, bytes]:
        """The notes on the members of a topic, {} where the broker is away."""
        if not self.healthy:
            return {}
        question = asyncio.get_running_loop().create_future()
        self.questions.append((topic, question))
        self.changed.set()
        notes: dict[str, bytes] = await question
        return notes

    def send(self, publication: Publication) -> None:
        self.outbox.append(publication)
        self.waiting += len(publication.data)
        self.filled.set()
        if self.waiting > OUTBOX:
            self.give_up("more waits for it than is kept")

    def has_yet_to_send(self, number: int) -> bool:
        """Whether the publication with this number waits for the broker."""
        return bool(self.outbox) and number >= self.outbox[0].number

    def give_up(self, reason: str) -> None:
        """Wait for the broker no longer."""
        if not self.local:
            self.local = True
            logger.warning("messages wait no longer for the backplane %s: %s", self.backplane, reason)
        publications = list(self.outbox)
        self.outbox.clear()
        self.waiting = 0
        if self.fail is not None:
            self.fail(Lost(reason))
        self.messages.given_up(publications)

    # --------------------------------------------------------------------- making it so

    async def run(self) -> None:
        """Stay connected, until this is cancelled."""
        self.away_since = asyncio.get_running_loop().time()
        patience = asyncio.create_task(self.lose_patience())
        try:
            while True:
                try:
                    await self.stay_connected()
                except Exception as error:
                    text = str(error) or type(error).__name__
                    logger.warning("the backplane %s is away, connecting again: %s", self.backplane, text)
                    self.missed = True
                finally:
                    self.healthy = False
                    self.first.set()
                self.look_at_patience()     # that there was a connection is no help where it did not work
                await asyncio.sleep(self.pause * random.uniform(0.5, 1.0))
                self.pause = min(2 * self.pause, LONGEST_PAUSE)
        finally:
            patience.cancel()

    async def lose_patience(self) -> None:
        while True:
            await asyncio.sleep(PATIENCE / 10)
            if self.fail is None:
                self.look_at_patience()

    def look_at_patience(self) -> None:
        """Give up when the broker has been away for too long."""
        if self.local or self.away_since is None:
            return
        if asyncio.get_running_loop().time() - self.away_since > PATIENCE:
            self.give_up(f"it has been away for {PATIENCE:.0f} seconds")

    async def stay_connected(self) -> None:
        """Connect, and do what is to be done until the connection is lost."""
        loop = asyncio.get_running_loop()
        lost: asyncio.Future[None] = loop.create_future()

        def fail(error: Exception) -> None:
            if not lost.done():
                lost.set_exception(error)

        link = await answer(self.backplane.connect(self.origin, self.deliver, fail))
        loops: list[asyncio.Future[None]] = [lost]
        try:
            self.subscribed.clear()
            self.leaving.clear()
            self.joining = dict.fromkeys(self.wanted)
            self.unsynchronized = dict.fromkeys(self.wanted, link)
            self.track_again()
            self.local = False
            self.fail = fail
            self.messages.connected()
            self.renew(loop.time())
            loops += [loop.create_task(self.reconcile(link)), loop.create_task(self.empty(link))]
            done, _ = await asyncio.wait(loops, return_when=asyncio.FIRST_COMPLETED)
            for each in done:
                each.result()
        finally:
            if self.away_since is None:
                self.away_since = loop.time()
            self.healthy = False
            self.fail = None
            self.messages.disconnected()
            while self.questions:
                _, question = self.questions.popleft()
                if not question.done():
                    question.set_result({})
            for each in loops:
                each.cancel()
            try:
                await asyncio.gather(*loops, return_exceptions=True)
            finally:    # also where this is cancelled meanwhile
                with suppress(Lost):
                    await asyncio.shield(answer(link.close()))

    def deliver(self, delivery: Delivery) -> None:
        try:
            self.messages.delivered(delivery)
        except Exception as error:
            logger.error("what the backplane has delivered could not be taken", exc_info=error)

    async def empty(self, link: Link) -> None:
        """Send what is in the outbox; it stays there until the broker has taken it."""
        while True:
            await self.filled.wait()
            batch: list[Publication] = []
            for publication in self.outbox:
                if len(batch) == BATCH or self.must_wait(publication):
                    break
                batch.append(publication)
            if not batch:
                self.settled.clear()
                await self.settled.wait()
                continue
            await answer(link.publish(batch))
            for publication in batch:
                if self.outbox and self.outbox[0] is publication:   # not given up meanwhile
                    self.outbox.popleft()
                    self.waiting -= len(publication.data)
            if not self.outbox:
                self.filled.clear()

    def must_wait(self, publication: Publication) -> bool:
        """Whether its subscribers here would not get it yet, as they get it from the broker."""
        topic = publication.topic
        return publication.keep is not None and topic in self.unsynchronized

    async def reconcile(self, link: Link) -> None:
        """Do all that is to be done but sending."""
        loop = asyncio.get_running_loop()
        looked = -PING
        while True:
            self.changed.clear()
            if self.leaving:
                gone, self.leaving = list(self.leaving), {}
                self.subscribed.difference_update(gone)
                await answer(link.unsubscribe(gone))
            if self.joining:
                new, self.joining = list(self.joining), {}
                await answer(link.subscribe(new))
                self.subscribed.update(new)
                self.leaving.update(dict.fromkeys(topic for topic in new if topic not in self.wanted))
            for topic in list(self.unsynchronized):
                await self.synchronize(link, topic)
            await self.look_after_members(link)
            if loop.time() >= looked + PING:
                looked = loop.time()
                await self.show_signs_of_life(link)
            if not self.healthy:
                self.away_since, self.healthy = None, True
                self.pause = FIRST_PAUSE
                self.first.set()
                if self.missed:
                    self.missed = False
                    logger.info("the backplane %s is reached again", self.backplane)
            if not self.changed.is_set():
                with suppress(TimeoutError):
                    async with asyncio.timeout(PING):
                        await self.changed.wait()

    async def synchronize(self, link: Link, topic: str) -> None:
        keep = self.messages.keep_of(topic)
        mark = self.unsynchronized.get(topic)
        past = None if keep is None else await answer(link.read(topic, keep))
        # not left meanwhile, nor used again, which needs a past that was read later
        if mark is not None and self.unsynchronized.get(topic) is mark and topic in self.subscribed:
            del self.unsynchronized[topic]
            self.messages.synchronize(topic, past)
        self.settled.set()

    async def look_after_members(self, link: Link) -> None:
        if self.unwritten and self.lives:
            await answer(link.write_note(ALIVE, b"1", ALIVE_SECONDS))   # before others find its members
        while self.unwritten:
            topic = next(iter(self.unwritten))
            del self.unwritten[topic]
            try:
                await answer(link.write_note(MEMBERS + topic, self.notes.note(topic), MEMBERS_SECONDS))
            except BaseException:
                self.unwritten[topic] = None
                raise
            self.notes.noted(topic)
        while self.unread:
            topic = next(iter(self.unread))
            notes = await self.read_notes(link, topic)
            if self.unread.pop(topic, topic) is None:
                self.notes.read(topic, notes)
        while self.questions:
            topic, question = self.questions[0]
            notes = await self.read_notes(link, topic)
            self.questions.popleft()
            if not question.done():
                question.set_result(notes)

    async def read_notes(self, link: Link, topic: str) -> dict[str, bytes]:
        """The notes of the living on the members of a topic."""
        notes = await answer(link.read_notes(MEMBERS + topic))
        living = await answer(link.read_notes(ALIVE))
        return {origin: note for origin, note in notes.items() if origin in living}

    def renew(self, now: float) -> None:
        self.renewed = now
        self.notes.connected(now + ALIVE_SECONDS)

    async def show_signs_of_life(self, link: Link) -> None:
        loop = asyncio.get_running_loop()
        if loop.time() > self.renewed + MEMBERS_SECONDS / 3:
            self.renew(loop.time())
        if self.lives:
            await answer(link.write_note(ALIVE, b"1", ALIVE_SECONDS))
        if self.tracked:
            self.notes.living(set(await answer(link.read_notes(ALIVE))), loop.time())
        else:
            await answer(link.ping())


async def answer(call: Awaitable[T]) -> T:
    """What the broker answers. Raises Lost if it takes too long."""
    try:
        async with asyncio.timeout(ANSWER):
            answered = await call
    except TimeoutError:
        raise Lost(f"no answer within {ANSWER:.0f} seconds") from None
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError    # asyncio.wait_for() in a client may lose it, up to Python 3.11
    return answered
