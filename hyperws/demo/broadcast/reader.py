"""A reader that can stop reading: as much of a WebSocket client (RFC 6455) as that takes."""

from __future__ import annotations

import asyncio
import secrets
import socket
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import suppress

import msgspec

HANDSHAKE = """\
GET {path} HTTP/1.1\r
Host: localhost\r
Connection: Upgrade\r
Upgrade: websocket\r
Sec-WebSocket-Version: 13\r
Sec-WebSocket-Key: {key}\r
\r
"""
TEXT, CLOSE = 0x81, 0x88
BUFFER = 4096   # bytes that are to wait on the reader's side
SEGMENT = 2048  # bytes in one packet: on the server's side, systems keep some packets, whatever their length


class Reader:
    """Receives {"number": n}, counts how many, and how many are missing in between."""

    def __init__(self) -> None:
        self.may_read = asyncio.Event()
        self.may_read.set()
        self.received = 0
        self.last = 0
        self.skipped = 0
        self.ended = False
        self.writer: asyncio.StreamWriter | None = None

    async def connect(self, host: str, port: int, path: str) -> None:
        """Connect, and wait for the first message. Raises OSError or EOFError where it does not come."""
        self.stream, self.writer = await asyncio.open_connection(
            sock=await small_socket(host, port), limit=BUFFER
        )
        key = b64encode(secrets.token_bytes(16)).decode()
        self.writer.write(HANDSHAKE.format(path=path, key=key).encode())
        answer = await self.stream.readuntil(b"\r\n\r\n")
        if not answer.startswith(b"HTTP/1.1 101 "):
            raise ConnectionRefusedError(answer.decode("latin-1"))
        self.messages = self.receive()
        await anext(self.messages)

    async def run(self) -> None:
        """Read until the end of the connection, whenever it may."""
        async for text in self.messages:
            number = msgspec.json.decode(text)["number"]
            self.received += 1
            self.skipped += number - self.last - 1
            self.last = number
            await self.may_read.wait()
        self.ended = True

    async def receive(self) -> AsyncIterator[bytes]:
        """The messages. The server sends each in one frame."""
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                opcode, size = await self.stream.readexactly(2)
                if size == 126:
                    size = int.from_bytes(await self.stream.readexactly(2))
                payload = await self.stream.readexactly(size)
                if opcode == TEXT:
                    yield payload
                elif opcode == CLOSE:
                    return

    def close(self) -> None:
        if self.writer is not None:
            self.writer.close()


async def small_socket(host: str, port: int) -> socket.socket:
    """A socket for which the system keeps little: megabytes, unless it is told otherwise."""
    connected = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    try:
        connected.setblocking(False)
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
        with suppress(AttributeError, OSError):     # not every system lets one choose
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, SEGMENT)
        await asyncio.get_running_loop().sock_connect(connected, (host, port))
    except BaseException:
        connected.close()
        raise
    return connected
