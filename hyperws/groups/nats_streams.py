"""What the backplane asks of JetStream, the part of NATS that stores: streams, and what is in them."""

from __future__ import annotations

import asyncio
import json
from datetime import datetime
from typing import Any, NamedTuple

from hyperws.errors import ConfigurationError
from hyperws.groups.nats_client import Client, Inbox, Message

NANOSECONDS = 10**9
STREAM_NAME_IN_USE = 10058
STREAM_NOT_FOUND = 10059
SUBJECTS_OVERLAP = 10065     # what a server also says of a stream that is just being made
AT_ONCE = 256    # messages asked for in one request
CONSUMER_IDLE_SECONDS = 10
PROBES = 100
PROBE_SECONDS = 0.02


class JetStreamError(Exception):
    """JetStream has refused something. `code` is the number that it gives to the reason."""

    def __init__(self, text: str, code: int = 0) -> None:
        super().__init__(text)
        self.code = code


class Stored(NamedTuple):
    """A message in a stream."""

    sequence: int
    age: float
    """In seconds, by the clock of the server."""
    message: Message


class JetStream:
    """JetStream, as one connection uses it."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._there: set[str] = set()

    async def ensure(self, name: str, subject: str, **settings: Any) -> None:
        """Have a stream made, unless it is there. `subject` is one of its, to which nothing is published."""
        if name in self._there:
            return
        try:
            await self.settings(name)
        except JetStreamError as error:
            if error.code != STREAM_NOT_FOUND:
                raise
            await self._make(name, settings)
        await self._wait_for(name, subject)
        self._there.add(name)

    async def _wait_for(self, name: str, subject: str) -> None:
        """One that another process has just made is known a moment before it takes messages."""
        for _ in range(PROBES):
            async with self._client.inbox() as inbox:
                await self._client.publish(subject, b"", inbox.subject, {"Nats-Expected-Stream": "another"})
                if not (await inbox.receive()).status:    # it has refused it itself
                    return
            await asyncio.sleep(PROBE_SECONDS)
        raise JetStreamError(f"the stream {name} does not take what is published to {subject}")

    async def _make(self, name: str, settings: dict[str, Any]) -> None:
        try:
            await self._ask(f"STREAM.CREATE.{name}", {"name": name, **settings})
        except JetStreamError as error:
            if error.code not in (STREAM_NAME_IN_USE, SUBJECTS_OVERLAP):    # another process was faster
                raise

    async def settings(self, name: str) -> dict[str, Any]:
        """Those that a stream has."""
        config: dict[str, Any] = (await self._ask(f"STREAM.INFO.{name}"))["config"]
        return config

    async def messages(self, name: str, subject: str) -> list[Stored]:
        """The messages in a stream that went to a subject, the oldest first.

        If the subject is full, and some are trimmed away meanwhile, those before the last of what it has room
        for may have gaps between them.
        """
        consumer = await self._ask(f"CONSUMER.CREATE.{name}", {"stream_name": name, "config": {
            "filter_subject": subject, "deliver_policy": "all", "ack_policy": "none",
            "replay_policy": "instant", "mem_storage": True,
            "inactive_threshold": CONSUMER_IDLE_SECONDS * NANOSECONDS,
        }})
        reader = f"{name}.{consumer['name']}"
        now = datetime.fromisoformat(consumer["created"]).timestamp()
        messages: list[Stored] = []
        async with self._client.inbox() as inbox:
            is_more = consumer["num_pending"] > 0
            while is_more:
                is_more = await self._pull(reader, inbox, now, messages)
            await self._client.publish(f"$JS.API.CONSUMER.DELETE.{reader}", reply=inbox.subject)
        return messages

    async def _pull(self, reader: str, inbox: Inbox, now: float, messages: list[Stored]) -> bool:
        """Read some more messages. Returns whether there may be others."""
        request = json.dumps({"batch": AT_ONCE, "no_wait": True}).encode()
        await self._client.publish(f"$JS.API.CONSUMER.MSG.NEXT.{reader}", request, reply=inbox.subject)
        for _ in range(AT_ONCE):
            message = await inbox.receive()
            if message.status.startswith(("404", "408")):
                return False
            if message.status:
                raise JetStreamError(f"JetStream does not go on: {message.status}")
            messages.append(stored(message, now))
        return True

    async def _ask(self, request: str, parameters: dict[str, Any] | None = None) -> dict[str, Any]:
        body = b"" if parameters is None else json.dumps(parameters).encode()
        async with self._client.inbox() as inbox:
            await self._client.publish(f"$JS.API.{request}", body, reply=inbox.subject)
            message = await inbox.receive()
        if message.status:
            raise ConfigurationError(
                "topics with a history and presence need JetStream, which the NATS server has not got: "
                "start it with -js"
            )
        return content(message)


async def answers(inbox: Inbox, count: int) -> None:
    """Return once JetStream has taken so many messages. Raises JetStreamError where it has refused one."""
    for _ in range(count):
        content(await inbox.receive())


def content(answer: Message) -> dict[str, Any]:
    """What JetStream has answered. Raises JetStreamError where it has refused."""
    if answer.status:
        raise JetStreamError(f"JetStream has no such stream any more: {answer.status}")
    found: dict[str, Any] = json.loads(answer.data)
    if "error" in found:
        raise JetStreamError(f"JetStream: {found['error']['description']}", found["error"].get("err_code", 0))
    return found


def stored(message: Message, now: float) -> Stored:
    """What came from a consumer. Its reply subject tells the rest; older servers have no parts in brackets:

    $JS.ACK.[domain.account.]stream.consumer.deliveries.sequence.delivery.nanoseconds.pending[.random]
    """
    parts = message.reply.split(".")
    sequence, _, time = parts[5:8] if len(parts) == 9 else parts[7:10]
    return Stored(int(sequence), max(now - int(time) / NANOSECONDS, 0), message)
