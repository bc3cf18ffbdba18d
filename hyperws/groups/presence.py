"""Who is in a topic, in all processes."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING, Any

from hyperws import jsons
from hyperws._core.topics import Subscription, Topics
from hyperws.errors import BadRequest, UsageError
from hyperws.groups.envelope import Envelope, Kind

if TYPE_CHECKING:
    from hyperws.context import Context
    from hyperws.groups.uplink import Uplink

logger = logging.getLogger("hyperws")

LARGEST_MEMBER = 1024   # bytes of JSON


@dataclass(frozen=True, slots=True)
class Member:
    """One member of a topic."""

    id: str
    """Its own, in all processes."""
    data: Any
    """What it was given at `subscribe(member=...)`, as JSON has it."""
    context: Context | None = field(default=None, compare=False, repr=False)
    """Its connection, None for a member in another process."""


def encode_members(members: Iterable[Member]) -> bytes:
    return jsons.encode([[member.id, member.data] for member in members])


def decode_members(encoded: bytes) -> dict[str, Member]:
    """Members by their ids. Nobody where that has no sense, which is logged."""
    try:
        return {id: Member(id, data) for id, data in jsons.decode(encoded)}
    except (BadRequest, TypeError, ValueError) as error:
        logger.error("members of no sense have come by the backplane: %s", error)
        return {}


def checked_data(data: object) -> Any:
    """A member's data as others will see it. Raises UsageError for what can't be told to them."""
    encoded = jsons.encode(data)
    if len(encoded) > LARGEST_MEMBER:
        raise UsageError(
            f"a member has at most {LARGEST_MEMBER} bytes of JSON, not {len(encoded)}: keep more elsewhere"
        )
    return jsons.decode(encoded)


class Members:
    """The members of topics, by the process that they are in."""

    def __init__(self) -> None:
        self.topics: dict[str, dict[str, dict[str, Member]]] = {}    # topic: {origin: {id: member}}

    def add(self, topic: str, origin: str, member: Member) -> bool:
        """Whether this is news."""
        members = self.topics.setdefault(topic, {}).setdefault(origin, {})
        before = members.get(member.id)
        members[member.id] = member
        return before != member

    def remove(self, topic: str, origin: str, id: str) -> bool:
        """Whether it was there."""
        members = self.topics.get(topic, {}).get(origin, {})
        if members.pop(id, None) is None:
            return False
        if not members:
            self.forget(topic, origin)
        return True

    def forget(self, topic: str, origin: str) -> None:
        """Remove all of one process."""
        origins = self.topics.get(topic, {})
        origins.pop(origin, None)
        if not origins:
            self.topics.pop(topic, None)

    def of(self, topic: str) -> list[Member]:
        """Everyone who is known to be in a topic."""
        return [member for members in self.topics.get(topic, {}).values() for member in members.values()]

    def at(self, topic: str, origin: str) -> dict[str, Member]:
        """Those in one process, by their ids."""
        return dict(self.topics.get(topic, {}).get(origin, {}))

    def origins(self, topic: str) -> list[str]:
        return list(self.topics.get(topic, {}))


class Presence:
    """Who is in the topics of one server, and of the others on its backplane.

    Each process writes a note on the members that it has in a topic, then tells those who subscribe to it;
    who is new reads the notes. A process that dies takes its members with it.
    """

    def __init__(
        self,
        topics: Topics,
        origin: str,
        notify: Callable[..., None],
        send: Callable[[str, Kind, bytes], None],
    ) -> None:
        self.topics = topics
        self.origin = origin
        self.notify = notify
        self.send = send
        self.uplink: Uplink | None = None
        self.members = Members()
        self.names = 0
        self.changes: dict[str, list[tuple[Kind, Member]]] = {}
        """Who has come and gone here, as far as it is not in our notes yet."""
        self.meanwhile: dict[str, list[Envelope]] = {}
        """The news of topics whose notes are being read: the notes may be older."""
        self.alive: set[str] = set()
        """The processes that were there at the last look."""
        self.doubt_until: float | None = None
        """The broker may have lost notes that are being written again."""

    def join(self, subscription: Subscription, data: Any, context: Context | None) -> None:
        """Make a subscriber a member, or change what is known of it."""
        before: Member | None = subscription.member
        if before is None:
            self.names += 1
        id = f"{self.origin}.{self.names}" if before is None else before.id
        member = subscription.member = Member(id, data, context)
        if self.members.add(subscription.topic, self.origin, member):
            self.change(subscription.topic, Kind.JOINED, member)

    def leave(self, subscription: Subscription) -> None:
        member, subscription.member = subscription.member, None
        if self.members.remove(subscription.topic, self.origin, member.id):
            self.change(subscription.topic, Kind.LEFT, member)

    def change(self, topic: str, kind: Kind, member: Member) -> None:
        if self.uplink is not None:
            self.changes.setdefault(topic, []).append((kind, member))
            self.uplink.note(topic)
            self.track(topic)
        self.notify("joined" if kind is Kind.JOINED else "left", topic, member)

    def track(self, topic: str) -> None:
        """Keep knowing who is in a topic that is in use here."""
        if self.uplink is not None and self.topics.count(topic):
            self.uplink.track(topic)

    def look_again(self, topic: str) -> None:
        """Something may have been missed."""
        if self.uplink is not None and topic in self.uplink.tracked:
            self.uplink.track_again()

    def closed(self, topic: str) -> None:
        """The topic is not in use here any more."""
        assert self.uplink is not None
        self.uplink.untrack(topic)
        self.meanwhile.pop(topic, None)
        for origin in self.members.origins(topic):
            if origin != self.origin:
                self.members.forget(topic, origin)

    async def of(self, topic: str) -> list[Member]:
        """Everyone who is in a topic."""
        uplink = self.uplink
        if uplink is not None:
            self.track(topic)
            if topic not in uplink.tracked or topic in uplink.unread:
                here = self.members.at(topic, self.origin)
                notes = await uplink.ask(topic)
                if notes and topic not in uplink.tracked:   # else they are read by now, as the hooks know
                    notes.pop(self.origin, None)
                    elsewhere = [decode_members(note).values() for note in notes.values()]
                    return [*here.values(), *chain.from_iterable(elsewhere)]
        return self.members.of(topic)

    # -------------------------------------------------------------------- the uplink's

    def connected(self, doubt_until: float) -> None:
        """Write and tell everything again: the broker may have lost it, and others may have missed it.

        Until then, by the loop's clock, no process is dead for want of a note.
        """
        assert self.uplink is not None
        self.doubt_until = doubt_until
        for topic in self.members.topics:
            if members := self.members.at(topic, self.origin):
                left = [change for change in self.changes.get(topic, ()) if change[0] is Kind.LEFT]
                self.changes[topic] = left + [(Kind.JOINED, member) for member in members.values()]
                self.uplink.note(topic)
        for topic in self.changes:
            self.uplink.note(topic)

    def note(self, topic: str) -> bytes:
        """What others are to know of the members here."""
        members = self.members.at(topic, self.origin).values()
        return encode_members(members) if members else b""

    def noted(self, topic: str) -> None:
        """The note is written: those who have read it before are told of the changes."""
        for kind, member in self.changes.pop(topic, ()):
            self.send(topic, kind, encode_members([member]))

    def take(self, topic: str, envelope: Envelope) -> None:
        """Take the news of another process."""
        if not self.topics.count(topic):
            return      # it has just been left
        self.track(topic)
        if self.uplink is not None and topic in self.uplink.unread:
            self.meanwhile.setdefault(topic, []).append(envelope)
        self.apply(topic, envelope)

    def apply(self, topic: str, envelope: Envelope) -> None:
        for member in decode_members(envelope.body).values():
            if envelope.kind is Kind.JOINED:
                if self.members.add(topic, envelope.origin, member):
                    self.notify("joined", topic, member)
            elif self.members.remove(topic, envelope.origin, member.id):
                self.notify("left", topic, member)

    def read(self, topic: str, notes: dict[str, bytes]) -> None:
        """Learn who is in a topic from the notes of all processes."""
        for origin in self.members.origins(topic):
            if origin not in notes and self.doubt_until is None:
                self.replace(topic, origin, {})
        for origin, note in notes.items():
            self.replace(topic, origin, decode_members(note))
        for envelope in self.meanwhile.pop(topic, ()):
            self.apply(topic, envelope)

    def living(self, origins: set[str], now: float) -> None:
        """Forget the members in processes that are not there any more."""
        assert self.uplink is not None
        if self.doubt_until is not None:
            if now < self.doubt_until:
                return
            self.doubt_until = None
            self.uplink.track_again()
        if origins - self.alive:
            self.uplink.track_again()   # one may be back that was taken for dead
        self.alive = origins
        for topic in list(self.uplink.tracked):
            for origin in self.members.origins(topic):
                if origin not in origins:
                    self.replace(topic, origin, {})

    def replace(self, topic: str, origin: str, members: dict[str, Member]) -> None:
        if origin == self.origin:
            return
        for id, member in self.members.at(topic, origin).items():
            if id not in members and self.members.remove(topic, origin, id):
                self.notify("left", topic, member)
        for member in members.values():
            if self.members.add(topic, origin, member):
                self.notify("joined", topic, member)
