"""Processes that reach each other through Redis or Valkey.

What is published to a topic goes through a channel of its name. What is kept is numbered by a script, which
puts it into a stream and publishes it with its number in one step.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from itertools import count
from typing import Any
from urllib.parse import SplitResult, urlsplit

from hyperws.errors import ConfigurationError
from hyperws.groups.backplane import Backplane, Delivery, Keep, Kept, Link, Past, Publication
from hyperws.groups.redis_scripts import BEGIN, KEEP, READ, READ_NOTES, SCRIPTS, WRITE_NOTE, Script
from hyperws.groups.resp import Refusal, Reply, Wire, command

try:
    import redis.asyncio.connection as redis_py
    from redis.asyncio.retry import Retry
    from redis.backoff import NoBackoff
except ImportError:
    redis_py = None  # type: ignore[assignment]

AT_ONCE = 1000              # channels that are subscribed to in one command
HASH_LASTS = 86_400_000     # milliseconds that the last offset of a topic is known without any message
TOMBSTONE = 60.0            # seconds that it is known that a note has been taken away
PING = command(b"PING")

versions = count(1)
"""They tell the later of two notes of this process from the earlier one."""


class Redis(Backplane):
    """Redis 6.2 or later, or Valkey: one that is the primary, and not a cluster.

    The URL is like "redis://user:password@host:6379/0", "rediss://…" (TLS) or "unix:///socket?db=0", with the
    options that redis-py takes. `?prefix=` is what the names of keys and channels begin with, "hyperws" if it
    is not given: applications that share a database need different ones.

    Raises ConfigurationError for a URL that makes no sense, or where redis-py is missing.
    """

    def __init__(self, url: str) -> None:
        if redis_py is None:
            raise ConfigurationError("the backplane Redis needs redis-py: pip install 'hyperws[redis]'")
        options: dict[str, Any] = {}
        try:
            parts = urlsplit(url)
            options.update(redis_py.parse_url(url))
            sound = makes_sense(parts)
        except ValueError:
            sound = False
        if not sound:   # it is not shown: nobody knows where in it the password is
            raise ConfigurationError(
                "the URL of Redis must be like redis://user:password@host:6379/0 or unix:///socket?db=0, "
                "with / ? # @ and % in the password written as %2F %3F %23 %40 and %25"
            )
        self.prefix: str = options.pop("prefix", "hyperws")
        self.shown = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
        self.make = options.pop("connection_class", redis_py.Connection)
        # a failure is to be seen, not to be mended behind our back
        self.options = options | {
            "protocol": 2, "retry": Retry(NoBackoff(), 0), "retry_on_timeout": False, "retry_on_error": [],
        }
        try:
            self.database = int(self.make(**self.options).db)
        except TypeError as error:
            raise ConfigurationError(f"the URL of Redis has an unknown option: {error}") from None

    async def connect(
        self, origin: str, deliver: Callable[[Delivery], None], lost: Callable[[Exception], None]
    ) -> RedisLink:
        link = RedisLink(self, origin, deliver)
        try:
            await link.open()
        except BaseException:
            await link.close()
            raise
        link.lost = lost
        return link

    async def open(self, wire: Wire) -> None:
        """Connect, and let the wire have the connection."""
        connection = self.make(**self.options)
        try:
            await connection.connect()
        except BaseException:
            await connection.disconnect(nowait=True)
            raise
        writer, connection._writer, connection._reader = connection._writer, None, None
        wire.take_over(writer)

    def channel(self, topic: str) -> bytes:
        """Channels are the same in all databases, but for their names."""
        return f"{self.prefix}:{self.database}:{topic}".encode(errors="surrogatepass")

    def key(self, kind: str, topic: str) -> bytes:
        """What is in braces decides on the slot, unless it is empty: hence the colon."""
        return f"{self.prefix}:{kind}:{{:{topic}}}".encode(errors="surrogatepass")

    def __str__(self) -> str:
        return self.shown


def makes_sense(parts: SplitResult) -> bool:
    """Whether redis-py finds in the URL what was meant. Raises ValueError for a port that is none."""
    if parts.fragment:
        return False
    if parts.scheme == "unix":
        return not parts.hostname and len(parts.path) > 1
    database = parts.path[1:]
    return bool(parts.hostname) and parts.port != 0 and (not database or database.isdecimal())


class RedisLink(Link):
    """Two connections: subscribing to channels leaves one of them fit for nothing else."""

    def __init__(self, backplane: Redis, origin: str, deliver: Callable[[Delivery], None]) -> None:
        self.backplane = backplane
        self.origin = origin.encode()
        self.deliver = deliver
        self.lost: Callable[[Exception], None] | None = None
        """To be told of the end, unless it has been already, or nobody is there yet."""
        self.commands = Wire(None, self.end)
        self.channels = Wire(self.published, self.end)
        self.topics: dict[bytes, str] = {}
        """Those that are subscribed to, by their channels."""
        self.epoch = secrets.token_hex(4).encode()
        """What the names of new epochs begin with."""
        self.age = b""
        """Grows whenever Redis may have forgotten something."""

    async def open(self) -> None:
        await self.backplane.open(self.commands)
        await self.backplane.open(self.channels)
        [info] = await self.execute([command(b"INFO")])
        assert isinstance(info, bytes)
        facts = dict(line.partition(b":")[::2] for line in info.split(b"\r\n"))
        if facts[b"role"] != b"master":
            raise ConnectionError("this Redis is a replica, which takes no messages")
        # one that logs all that it does forgets nothing when it ends, only where a replica takes its place
        promoted = facts[b"master_replid2"].strip(b"0") != b""
        complete = facts[b"aof_enabled"] == b"1" and not promoted
        await self.load()
        key = f"{self.backplane.prefix}:age".encode()
        [age] = await self.execute([evaluate(BEGIN, [key], facts[b"run_id"], b"%d" % complete)])
        self.age = b"%d" % age

    async def load(self) -> None:
        await self.execute([command(b"SCRIPT", b"LOAD", script.source) for script in SCRIPTS])

    def end(self, error: Exception) -> None:
        """One of the connections has ended."""
        lost, self.lost = self.lost, None
        if lost is not None:
            lost(error)

    async def close(self) -> None:
        self.lost = None
        await self.commands.close()
        await self.channels.close()

    async def ping(self) -> None:
        for answer in self.commands.ask(PING), self.channels.ask(PING):
            await answer

    # ------------------------------------------------------------------------ what is published

    async def subscribe(self, topics: Sequence[str]) -> None:
        channels = {self.backplane.channel(topic): topic for topic in topics}
        self.topics.update(channels)
        await self.change(b"SUBSCRIBE", list(channels))

    async def unsubscribe(self, topics: Sequence[str]) -> None:
        channels = [self.backplane.channel(topic) for topic in topics]
        for channel in channels:
            self.topics.pop(channel, None)
        await self.change(b"UNSUBSCRIBE", channels)

    async def change(self, verb: bytes, channels: list[bytes]) -> None:
        for first in range(0, len(channels), AT_ONCE):
            some = channels[first:first + AT_ONCE]
            raise_refusals(await self.channels.ask(command(verb, *some), len(some)))

    def published(self, channel: bytes, payload: bytes) -> None:
        """A message has come: nothing or its epoch and offset, and its data on the next line."""
        topic = self.topics.get(channel)
        if topic is None:
            return
        head, _, data = payload.partition(b"\n")
        if not head:
            self.deliver(Delivery(topic, data))
            return
        epoch, _, offset = head.partition(b" ")
        if offset.isdigit():    # else it is none of ours
            number = int(offset)
            self.deliver(Delivery(topic, data, epoch.decode(), number, number - 1))

    async def publish(self, publications: Sequence[Publication]) -> None:
        before: dict[str, int] = {}
        commands = []
        for publication in publications:
            topic, data, number, keep = publication
            if keep is None:
                commands.append(command(b"PUBLISH", self.backplane.channel(topic), b"\n" + data))
            else:
                seen = self.backplane.key(f"seen:{self.origin.decode()}", topic)
                commands.append(evaluate(
                    KEEP, [*self.keys(topic), seen], *self.state(keep),
                    self.backplane.channel(topic), b"%d" % number, b"%d" % before.get(topic, 0), data,
                ))
                before[topic] = number
        await self.execute(commands)

    # --------------------------------------------------------------------------- what is kept

    def keys(self, topic: str) -> list[bytes]:
        return [self.backplane.key("state", topic), self.backplane.key("kept", topic)]

    def state(self, keep: Keep) -> list[bytes]:
        """The first arguments of the scripts that read or change what is kept."""
        lasts = milliseconds(keep.seconds)
        return [self.epoch, self.age, b"%d" % keep.messages, b"%d" % lasts, b"%d" % (lasts + HASH_LASTS)]

    async def read(self, topic: str, keep: Keep) -> Past:
        [reply] = await self.execute([evaluate(READ, self.keys(topic), *self.state(keep))])
        epoch, end, now, entries = reply
        kept = []
        for name, [_, data] in reversed(entries):
            time, _, offset = name.partition(b"-")
            kept.append(Kept(int(offset), max(0, now - int(time)) / 1000, data))
        return Past(epoch.decode(), kept[0].offset - 1 if kept else end, kept)

    async def write_note(self, topic: str, note: bytes, seconds: float) -> None:
        lasts = milliseconds(seconds if note else TOMBSTONE)
        await self.execute([evaluate(
            WRITE_NOTE, self.note_keys(topic), self.origin, b"%d" % next(versions), note, b"%d" % lasts
        )])

    async def read_notes(self, topic: str) -> dict[str, bytes]:
        [reply] = await self.execute([evaluate(READ_NOTES, self.note_keys(topic))])
        pairs = zip(reply[::2], reply[1::2], strict=True)
        notes = {origin.decode(): held.partition(b" ")[2] for origin, held in pairs}
        return {origin: note for origin, note in notes.items() if note}

    def note_keys(self, topic: str) -> list[bytes]:
        return [self.backplane.key("notes", topic), self.backplane.key("until", topic)]

    async def execute(self, commands: list[bytes]) -> list[Reply]:
        """The replies to these commands, once all have been carried out. Raises Refusal."""
        replies = await self.commands.ask(b"".join(commands), len(commands)) if commands else []
        refused = [at for at, reply in enumerate(replies) if isinstance(reply, Refusal)]
        if refused and str(replies[refused[0]]).startswith("NOSCRIPT"):     # somebody has flushed them
            await self.load()
            again = await self.commands.ask(b"".join(commands[at] for at in refused), len(refused))
            for at, reply in zip(refused, again, strict=True):
                replies[at] = reply
        raise_refusals(replies)
        return replies


def raise_refusals(replies: list[Reply]) -> None:
    for reply in replies:
        if isinstance(reply, Refusal):
            raise reply


def milliseconds(seconds: float) -> int:
    return max(1, round(seconds * 1000))


def evaluate(script: Script, keys: list[bytes], *arguments: bytes) -> bytes:
    return command(b"EVALSHA", script.name, b"%d" % len(keys), *keys, *arguments)
