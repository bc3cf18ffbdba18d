"""nats-py's client as the backplane needs it: given up at its first failure, and hiding none.

A subscription has no queue and no task, and what comes is handed on at once: nothing is ever dropped, and all
of it is in order. This takes some of what nats-py does not document; nothing else of hyperws uses that.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from ssl import SSLContext
from typing import NamedTuple

from hyperws.errors import ConfigurationError

try:
    from nats.aio.client import Client as NatsPyClient
    from nats.errors import ConnectionClosedError, NoServersError
except ImportError:
    raise ConfigurationError("a backplane at nats:// needs nats-py: pip install 'hyperws[nats]'") from None

CONNECT_SECONDS = 3
CLOSE_SECONDS = 1
FIRST_NUMBER = 1 << 32    # nats-py counts its own subscriptions from 1


class Message(NamedTuple):
    """What has come."""

    name: str
    """The last part of the subject that it was published to."""
    reply: str
    headers: bytes
    data: bytes

    @property
    def status(self) -> str:
        """What the server says instead of sending a message, such as "404 No Messages", or ""."""
        return self.headers.partition(b"\r\n")[0].removeprefix(b"NATS/1.0").strip().decode()


def value_of(name: str, headers: bytes) -> str | None:
    """That of one header, None where there is none."""
    _, found, rest = headers.partition(f"\r\n{name}:".encode())
    return rest.partition(b"\r\n")[0].strip().decode() if found else None


class Inbox:
    """What comes to a subject that is ours alone."""

    def __init__(self, subject: str) -> None:
        self.subject = subject
        self._arrived: asyncio.Queue[Message | Exception] = asyncio.Queue()

    def put(self, item: Message | Exception) -> None:
        self._arrived.put_nowait(item)

    async def receive(self) -> Message:
        """The next message. Raises why the connection is of no more use."""
        item = await self._arrived.get()
        if isinstance(item, Exception):
            raise item
        return item


class Client(NatsPyClient):
    """One connection to a NATS server.

    `lost` is called once, when the connection turns out to be of no more use after it was opened. Inboxes are
    below `prefix`.
    """

    def __init__(self, prefix: str, lost: Callable[[Exception], None]) -> None:
        super().__init__()
        self._lost = lost
        self._box = f"{prefix}.answer.{secrets.token_hex(8)}"
        self._last_number = FIRST_NUMBER
        self._receivers: dict[int, Callable[[Message], None]] = {}
        self._inboxes: set[Inbox] = set()
        self._needs_tls = False
        self._opened = False
        self._failure: Exception | None = None

    async def open(
        self, servers: list[str], user: str | None, password: str | None, tls: SSLContext | None
    ) -> None:
        """Connect to one of the servers. A user without a password is a token. Raises what went wrong."""
        self._needs_tls = tls is not None
        try:
            await self.connect(
                servers, name="hyperws", tls=tls, error_cb=self._failed,
                user=user if password is not None else None, password=password,
                token=user if password is None else None,
                allow_reconnect=False, max_reconnect_attempts=1, reconnect_time_wait=0,
                connect_timeout=CONNECT_SECONDS, pending_size=0,
            )
            self._failure = None    # the server that it is connected to may not be the first that it tried
            assert self._reading_task is not None
            self._reading_task.add_done_callback(self._read_no_more)    # not all ends of it are told
            async with asyncio.timeout(CONNECT_SECONDS):
                await self.round_trip()
        except NoServersError as error:
            await self.end()
            raise self._failure or error from None
        except BaseException:
            await self.end()
            raise
        self._opened = True

    async def end(self) -> None:
        """End the connection, whatever its state. Raises nothing."""
        self._opened = False
        self._fail(ConnectionClosedError())
        self._pending, self._pending_data_size = [], 0    # a server that hangs takes nothing more
        writer = getattr(self._transport, "_io_writer", None)
        if writer is not None:
            writer.transport.abort()
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await self.close()
        except Exception:
            pass

    async def listen(self, subject: str, receive: Callable[[Message], None]) -> int:
        """Subscribe, from before the next `round_trip` returns on. Returns a number to unsubscribe by."""
        self._last_number += 1
        self._receivers[self._last_number] = receive
        await self._send_command(f"SUB {subject} {self._last_number}\r\n".encode())
        return self._last_number

    async def leave(self, number: int) -> None:
        """Unsubscribe, and receive nothing more."""
        del self._receivers[number]
        await self._send_command(f"UNSUB {number}\r\n".encode())

    @asynccontextmanager
    async def inbox(self) -> AsyncIterator[Inbox]:
        """Where the answers to what is published may go."""
        inbox = Inbox(f"{self._box}.{self._last_number}")
        if self._failure is not None:
            raise self._failure
        number = await self.listen(inbox.subject, inbox.put)
        self._inboxes.add(inbox)
        try:
            yield inbox
        finally:
            self._inboxes.remove(inbox)
            await self.leave(number)

    async def round_trip(self) -> None:
        """Return once the server has done what it was told before. nats-py's own pings may overtake that."""
        async with self.inbox() as inbox:
            await self.publish(inbox.subject)
            await inbox.receive()

    def _fail(self, error: Exception) -> None:
        if self._failure is None:
            self._failure = error
            for inbox in self._inboxes:
                inbox.put(error)
            if self._opened:
                self._lost(error)

    async def _failed(self, error: Exception) -> None:
        self._fail(error)

    def _read_no_more(self, task: asyncio.Task[None]) -> None:
        self._fail(self.last_error or ConnectionClosedError())

    async def _process_msg(
        self, sid: int, subject: bytes, reply: bytes, data: bytes, headers: bytes | None
    ) -> None:
        """All that comes. What is raised in here would end nats-py's reading, and nobody would be told."""
        if receive := self._receivers.get(sid):
            try:
                name = subject[subject.rindex(b".") + 1:].decode()
                receive(Message(name, reply.decode(), headers or b"", data))
            except Exception as error:
                self._fail(error)

    def _connect_command(self) -> bytes:
        """What has the password in it."""
        if self._needs_tls and not self._server_info.get("tls_required"):
            raise ConnectionError("the NATS server does not ask for TLS, though the URL is tls://")
        return super()._connect_command()
