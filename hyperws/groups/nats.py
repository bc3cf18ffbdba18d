"""The backplane over NATS. What is kept of topics, and notes, are in its JetStream.

Subjects, with one part for the topic:

    PREFIX.topic.TOPIC.plain    what is published to a topic of which nothing is kept
    PREFIX.topic.TOPIC.EPOCH    what is published to another one: its stream sends it on, once it is stored
    PREFIX.kept.KEEP.TOPIC      how it comes into the stream
    PREFIX.note.TOPIC.ORIGIN    notes
    PREFIX.answer.BOX.NUMBER    answers to one connection

There is a stream for each different `Keep`, and one for notes. One that is there already is used as it is: an
operator may have made it, with replicas for example. Its sequence numbers are the offsets, and a random word
that it was made with is the epoch. It has room for one message of each topic more than is asked for, and has
all for an hour longer, so that it is known which message came before those that are read. A topic of which
nothing is stored gets a mark when it is read, so that all who read it begin with the same offset.
"""

from __future__ import annotations

import logging
import re
import secrets
import ssl
from collections.abc import Callable, Sequence
from hashlib import sha256
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from hyperws.errors import ConfigurationError
from hyperws.groups.backplane import Backplane, Delivery, Keep, Kept, Link, Past, Publication
from hyperws.groups.nats_client import Client, value_of
from hyperws.groups.nats_streams import NANOSECONDS, JetStream, JetStreamError, answers
from hyperws.groups.nats_subscription import MARK, PLAIN, Subscription, is_mark

logger = logging.getLogger("hyperws")

FORM = "a backplane over NATS is at nats://user:password@host:4222?prefix=name, or at tls://"
PORT = 4222
SPARE_SECONDS = 3600
REPETITION_SECONDS = 120
LONGEST_NOTE_SECONDS = 3600
LONGEST_PART = 200
NOBODYS_PART = "%"    # no topic's: there, something always follows a "%"
OVERHEAD = 256    # bytes of headers that count as a part of a message, at most
WRONG_LAST_SEQUENCE = 10071
SECONDS = "Hyperws-Seconds"


class Nats(Backplane):
    """A NATS server, or several of a cluster: nats://user:password@host:4222,host:4222?prefix=name.

    tls:// is the same over TLS, and `?ssl_ca_certs=` a file with the certificates to trust, instead of those
    of the system. The prefix, "hyperws" unless it is given, keeps applications apart that share a server.

    Topics with a history and presence need JetStream: `nats-server -js`. A message has to fit into the
    server's max_payload, and a note lasts an hour at most.

    Raises ConfigurationError for a URL that makes no sense.
    """

    def __init__(self, url: str) -> None:
        try:
            scheme, place, path, query, fragment = urlsplit(url)
            account, _, hosts = place.rpartition("@")
            self._servers = [f"nats://{address(host)}" for host in hosts.split(",")]
            options = dict(parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query)))
        except ValueError:    # its text may show a part of the password
            raise ConfigurationError(FORM) from None
        self._prefix = options.pop("prefix", "hyperws")
        trusted = options.pop("ssl_ca_certs", None) if scheme == "tls" else None
        if scheme not in ("nats", "tls") or path not in ("", "/") or fragment or options or "@" in account:
            raise ConfigurationError(FORM)
        if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", self._prefix):
            raise ConfigurationError("the prefix of a backplane is up to 64 letters, digits, - and _")
        user, colon, password = account.partition(":")
        self._user = unquote(user) or None
        self._password = unquote(password) if colon else None
        try:
            self._tls = ssl.create_default_context(cafile=trusted) if scheme == "tls" else None
        except OSError as error:
            raise ConfigurationError(f"ssl_ca_certs of the backplane can't be read: {error}") from None
        self._name = f"{scheme}://{hosts}?prefix={self._prefix}"

    async def connect(
        self, origin: str, deliver: Callable[[Delivery], None], lost: Callable[[Exception], None]
    ) -> Link:
        client = Client(self._prefix, lost)
        await client.open(self._servers, self._user, self._password, self._tls)
        return NatsLink(client, self._prefix, origin, deliver)

    def __str__(self) -> str:
        return self._name


class NatsLink(Link):
    """One connection to a NATS server."""

    def __init__(
        self, client: Client, prefix: str, origin: str, deliver: Callable[[Delivery], None]
    ) -> None:
        self._client = client
        self._streams = JetStream(client)
        self._prefix = prefix
        self._origin = origin
        self._deliver = deliver
        self._subscriptions: dict[str, Subscription] = {}

    async def subscribe(self, topics: Sequence[str]) -> None:
        for topic in topics:
            if topic not in self._subscriptions:
                subscription = self._subscriptions[topic] = Subscription(topic, self._deliver)
                subject = f"{self._prefix}.topic.{part_of(topic)}.*"
                subscription.number = await self._client.listen(subject, subscription.receive)
        await self._client.round_trip()

    async def unsubscribe(self, topics: Sequence[str]) -> None:
        for topic in topics:
            if subscription := self._subscriptions.pop(topic, None):
                subscription.end()
                await self._client.leave(subscription.number)
        await self._client.round_trip()

    async def publish(self, publications: Sequence[Publication]) -> None:
        for keep in {publication.keep for publication in publications}:
            if keep is not None:
                await self._ensure_kept(keep)
        async with self._client.inbox() as inbox:
            unanswered = 0
            going_round: set[str] = set()    # topics with messages on their way through a stream
            for topic, data, number, keep in publications:
                if len(data) + OVERHEAD > self._client.max_payload:
                    self._refuse(topic, data)
                elif keep is not None:
                    headers = {"Nats-Msg-Id": f"{self._origin}:{number}"}
                    await self._client.publish(self._kept_as(topic, keep), data, inbox.subject, headers)
                    going_round.add(topic)
                    unanswered += 1
                else:
                    if topic in going_round:    # this one would overtake them
                        await answers(inbox, unanswered)
                        unanswered = 0
                        going_round.clear()
                    await self._client.publish(f"{self._prefix}.topic.{part_of(topic)}.{PLAIN}", data)
            await answers(inbox, unanswered)
        if any(publication.keep is None for publication in publications):
            await self._client.round_trip()

    def _refuse(self, topic: str, data: bytes) -> None:
        """It is not sent: over another connection, it would fail again."""
        logger.error(
            "a message of %d bytes to the topic %.100r is not published: the NATS server's max_payload is %d",
            len(data), topic, self._client.max_payload,
        )

    async def read(self, topic: str, keep: Keep) -> Past:
        await self._ensure_kept(keep)
        name, subject = self._stream_of(keep), self._kept_as(topic, keep)
        epoch = (await self._streams.settings(name))["republish"]["dest"].rpartition(".")[2]
        while not (stored := await self._streams.messages(name, subject)):
            await self._mark(subject)
        recent = [
            each for each in stored[-keep.messages:] if each.age <= keep.seconds and not is_mark(each.message)
        ]
        before = stored[:len(stored) - len(recent)]
        start = before[-1].sequence if before else recent[0].sequence - 1
        past = Past(epoch, start, [Kept(each.sequence, each.age, each.message.data) for each in recent])
        if subscription := self._subscriptions.get(topic):
            subscription.has_read(epoch, past.end)
        return past

    async def _mark(self, subject: str) -> None:
        headers = {MARK: "1", "Nats-Expected-Last-Subject-Sequence": "0"}
        async with self._client.inbox() as inbox:
            await self._client.publish(subject, b"", inbox.subject, headers)
            try:
                await answers(inbox, 1)
            except JetStreamError as error:
                if error.code != WRONG_LAST_SEQUENCE:    # something has come meanwhile
                    raise

    async def write_note(self, topic: str, note: bytes, seconds: float) -> None:
        await self._ensure_notes()
        subject = f"{self._prefix}.note.{part_of(topic)}.{self._origin}"
        async with self._client.inbox() as inbox:
            await self._client.publish(subject, note, inbox.subject, {SECONDS: f"{seconds:.3f}"})
            await answers(inbox, 1)

    async def read_notes(self, topic: str) -> dict[str, bytes]:
        await self._ensure_notes()
        subject = f"{self._prefix}.note.{part_of(topic)}.*"
        stored = await self._streams.messages(f"{self._prefix}_notes", subject)
        return {
            message.name: message.data for _, age, message in stored
            if message.data and age < float(value_of(SECONDS, message.headers) or 0)
        }

    async def ping(self) -> None:
        await self._client.round_trip()

    async def close(self) -> None:
        for subscription in self._subscriptions.values():
            subscription.end()
        await self._client.end()

    def _stream_of(self, keep: Keep) -> str:
        return f"{self._prefix}_kept_{word_for(keep)}"

    def _kept_as(self, topic: str, keep: Keep) -> str:
        return f"{self._prefix}.kept.{word_for(keep)}.{part_of(topic)}"

    async def _ensure_kept(self, keep: Keep) -> None:
        subjects = f"{self._prefix}.kept.{word_for(keep)}.*"
        sent_on = f"{self._prefix}.topic.{{{{wildcard(1)}}}}.{secrets.token_hex(8)}"
        await self._streams.ensure(
            self._stream_of(keep), f"{self._prefix}.kept.{word_for(keep)}.{NOBODYS_PART}",
            subjects=[subjects], republish={"src": subjects, "dest": sent_on},
            max_msgs_per_subject=keep.messages + 1, max_age=nanoseconds(keep.seconds + SPARE_SECONDS),
            duplicate_window=nanoseconds(REPETITION_SECONDS), storage="file",
        )

    async def _ensure_notes(self) -> None:
        await self._streams.ensure(
            f"{self._prefix}_notes", f"{self._prefix}.note.{NOBODYS_PART}.{self._origin}",
            subjects=[f"{self._prefix}.note.*.*"], storage="file",
            max_msgs_per_subject=1, max_age=nanoseconds(LONGEST_NOTE_SECONDS),
        )


def address(text: str) -> str:
    """A host with its port. Raises ValueError where it is none."""
    parts = urlsplit(f"//{text}")
    if not parts.hostname or parts.netloc != text:
        raise ValueError("no host")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{host}:{parts.port or PORT}"


def part_of(topic: str) -> str:
    """The topic as a part of a subject: no dots, spaces or wildcards, and no two topics have the same one."""
    quoted = quote(topic, safe="", errors="surrogatepass").replace(".", "%2E")
    if 0 < len(quoted) <= LONGEST_PART:
        return quoted
    return "%x" + sha256(topic.encode("utf-8", "surrogatepass")).hexdigest()    # "%x" is never quoted text


def word_for(keep: Keep) -> str:
    return f"{keep.messages}_{max(round(keep.seconds * 1000), 1)}"


def nanoseconds(seconds: float) -> int:
    return round(seconds * NANOSECONDS)
