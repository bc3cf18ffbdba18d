"""Processes that reach each other through Redis or Valkey.

What is published to a topic goes through a channel of its name. What is kept is numbered by a script, which
puts it into a stream and publishes it with its number in one step.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from itertools import count
from typing import Any
from urllib.parse import SplitResult, urlsplit

from hyperws.errors import ConfigurationError
from hyperws.groups.backplane import Backplane, Delivery, Keep, Kept, Link, Past, Publication
from hyperws.groups.redis_scripts import BEGIN, KEEP, READ, READ_NOTES, SCRIPTS, WRITE_NOTE, Script

try:
    import redis.asyncio as redis_py
    from redis.asyncio.connection import parse_url
    from redis.asyncio.retry import Retry
    from redis.backoff import NoBackoff
    from redis.exceptions import NoScriptError
except ImportError:
    redis_py = None  # type: ignore[assignment]

Command = tuple[bytes | str | int, ...]

AT_ONCE = 1000              # channels that are subscribed to in one command
HASH_LASTS = 86_400_000     # milliseconds that the last offset of a topic is known without any message
TOMBSTONE = 60.0            # seconds that it is known that a note has been taken away

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
            options.update(parse_url(url))
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
        # a failure is to be seen, not to be mended behind our back
        self.options = options | {
            "protocol": 2, "retry": Retry(NoBackoff(), 0), "retry_on_timeout": False, "retry_on_error": [],
        }
        try:
            self.database = int(self.pool().make_connection().db)   # type: ignore[no-untyped-call]
        except TypeError as error:
            unknown = str(error).rpartition(" argument ")[2]
            raise ConfigurationError(
                f"the URL of Redis has an option that redis-py lacks: {unknown}"
            ) from None

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

    def pool(self) -> redis_py.ConnectionPool:
        return redis_py.ConnectionPool(**self.options)

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
    """A connection for what is published, as one that subscribes to channels is fit for nothing else, and
    others for commands."""

    def __init__(self, backplane: Redis, origin: str, deliver: Callable[[Delivery], None]) -> None:
        self.backplane = backplane
        self.origin = origin.encode()
        self.deliver = deliver
        self.lost: Callable[[Exception], None] | None = None
        """To be told of the end, unless it has been already, or nobody is there yet."""
        self.ended: Exception | None = None
        self.client = redis_py.Redis(connection_pool=backplane.pool())
        self.channels = self.client.pubsub()
        self.reader: asyncio.Task[None] | None = None
        self.changing = asyncio.Lock()
        self.answers = 0
        """How many replies on the connection of the channels are waited for."""
        self.answered: asyncio.Future[None] | None = None
        self.topics: dict[bytes, str] = {}
        """Those that are subscribed to, by their channels."""
        self.epoch = secrets.token_hex(4).encode()
        """What the names of new epochs begin with."""
        self.age = b""
        """Grows whenever Redis may have forgotten something."""

    async def open(self) -> None:
        facts = await self.client.info()
        if facts["role"] != "master":
            raise ConnectionError("this Redis is a replica, which takes no messages")
        # one that logs all that it does forgets nothing when it ends, only where a replica takes its place
        promoted = str(facts["master_replid2"]).strip("0") != ""
        complete = facts["aof_enabled"] == 1 and not promoted
        await self.load()
        key = f"{self.backplane.prefix}:age".encode()
        [age] = await self.execute([evaluate(BEGIN, [key], str(facts["run_id"]).encode(), b"%d" % complete)])
        self.age = b"%d" % age
        # a channel of its own, so that there is always one
        await self.channels.subscribe(f"{self.backplane.prefix}:{secrets.token_hex(8)}")
        await self.channels.get_message(timeout=None)
        self.reader = asyncio.create_task(self.read_channels())

    async def load(self) -> None:
        for script in SCRIPTS:
            await self.client.script_load(script.source)

    async def read_channels(self) -> None:
        """Take what comes until the connection has ended."""
        try:
            while True:
                message = await self.channels.get_message(timeout=None)
                if message is not None:
                    self.take(message)
        except Exception as error:
            self.end(error)

    def take(self, message: dict[str, Any]) -> None:
        if message["type"] == "message":
            self.published(message["channel"], message["data"])
        elif self.answers:
            self.answers -= 1
            if not self.answers and self.answered is not None and not self.answered.done():
                self.answered.set_result(None)

    def end(self, error: Exception) -> None:
        """The connection has ended."""
        self.ended = error
        if self.answered is not None and not self.answered.done():
            self.answered.set_exception(error)
        lost, self.lost = self.lost, None
        if lost is not None:
            lost(error)

    async def close(self) -> None:
        self.lost = None
        self.ended = self.ended or ConnectionError("the connection is closed")
        if self.reader is not None:
            self.reader.cancel()
            await asyncio.gather(self.reader, return_exceptions=True)
        pool = self.client.connection_pool
        for connection in *pool._available_connections, *pool._in_use_connections:
            if connection._writer is not None:      # else it would wait until Redis has read what was sent
                connection._writer.transport.abort()
        with suppress(Exception):
            await self.channels.reset()
        with suppress(Exception):
            await pool.disconnect()

    async def ping(self) -> None:
        await self.execute([("PING",)])
        await self.ask_channels(1, self.channels.ping)

    # ------------------------------------------------------------------------ what is published

    async def subscribe(self, topics: Sequence[str]) -> None:
        channels = {self.backplane.channel(topic): topic for topic in topics}
        self.topics.update(channels)
        await self.change(self.channels.subscribe, list(channels))

    async def unsubscribe(self, topics: Sequence[str]) -> None:
        channels = [self.backplane.channel(topic) for topic in topics]
        for channel in channels:
            self.topics.pop(channel, None)
        await self.change(self.channels.unsubscribe, channels)

    async def change(self, ask: Callable[..., Awaitable[object]], channels: list[bytes]) -> None:
        for first in range(0, len(channels), AT_ONCE):
            some = channels[first:first + AT_ONCE]
            await self.ask_channels(len(some), ask, *some)

    async def ask_channels(self, answers: int, ask: Callable[..., Awaitable[object]], *words: bytes) -> None:
        """Send something on the connection of the channels, and wait until it has been answered."""
        async with self.changing:
            if self.ended is not None:
                raise self.ended
            self.answers += answers
            self.answered = asyncio.get_running_loop().create_future()
            await ask(*words)
            await self.answered

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
        commands: list[Command] = []
        for publication in publications:
            topic, data, number, keep = publication
            if keep is None:
                commands.append((b"PUBLISH", self.backplane.channel(topic), b"\n" + data))
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

    async def execute(self, commands: Sequence[Command]) -> list[Any]:
        """The replies to these commands, once all have been carried out. Raises those that are errors."""
        if self.ended is not None:
            raise self.ended
        replies = await self.send(commands)
        refused = [at for at, reply in enumerate(replies) if isinstance(reply, NoScriptError)]
        if refused:     # somebody has flushed them
            await self.load()
            again = await self.send(commands[at] for at in refused)
            for at, reply in zip(refused, again, strict=True):
                replies[at] = reply
        for reply in replies:
            if isinstance(reply, Exception):
                raise reply
        return replies

    async def send(self, commands: Iterable[Command]) -> list[Any]:
        pipeline = self.client.pipeline(transaction=False)
        for command in commands:
            pipeline.execute_command(*command)
        replies: list[Any] = await pipeline.execute(raise_on_error=False)
        return replies


def milliseconds(seconds: float) -> int:
    return max(1, round(seconds * 1000))


def evaluate(script: Script, keys: list[bytes], *arguments: bytes) -> Command:
    return b"EVALSHA", script.name, len(keys), *keys, *arguments
