"""A peer whose every byte is the test's, on a plain socket.

What it sends is in the server's socket once `send` returns: no loop turn goes by meanwhile.
"""

from __future__ import annotations

import asyncio
import socket
import struct

from .oracle_websocket import BINARY, CLOSE, TEXT, read, write

KEY = b"\x9a\x01\xfe\x37"

HANDSHAKE = (
    b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


def frame_of(message):
    """The frame of a client that sends `message`."""
    if isinstance(message, str):
        return write(TEXT, message.encode(), key=KEY)
    return write(BINARY, message, key=KEY)


class Peer:
    """One connection to a server, with a small receive buffer."""

    @classmethod
    async def connect(cls, host, port):
        peer = cls()
        peer.socket = socket.socket()
        peer.socket.setblocking(False)
        peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16384)
        peer.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        peer.came = bytearray()
        try:
            await asyncio.get_running_loop().sock_connect(peer.socket, (host, port))
        except OSError:
            peer.close()
            raise
        return peer

    def write(self, data):
        assert self.socket.send(data) == len(data)

    def send(self, *messages):
        self.write(b"".join(map(frame_of, messages)))

    async def send_all(self, messages):
        """Send more than the server may be willing to take at once."""
        data = b"".join(map(frame_of, messages))
        await asyncio.wait_for(asyncio.get_running_loop().sock_sendall(self.socket, data), 20)

    async def flood(self, data, times):
        """Send `data` over and over. Whether the server takes it so many times, or holds this peer back."""
        rest = memoryview(b"")
        quiet = 0
        while quiet < 50:
            if not rest:
                if not times:
                    return True
                rest = memoryview(data)
                times -= 1
            try:
                rest = rest[self.socket.send(rest):]
                quiet = 0
            except BlockingIOError:
                quiet += 1
            await asyncio.sleep(0)
        return False

    def send_close(self, code, reason=""):
        self.write(write(CLOSE, code.to_bytes(2) + reason.encode(), key=KEY))

    async def read_some(self):
        data = await asyncio.wait_for(asyncio.get_running_loop().sock_recv(self.socket, 1 << 20), 20)
        if not data:
            raise EOFError
        self.came += data

    async def take(self, size):
        """The next `size` bytes."""
        while len(self.came) < size:
            await self.read_some()
        data = bytes(self.came[:size])
        del self.came[:size]
        return data

    async def read_head(self):
        """The head of a response."""
        while (size := self.came.find(b"\r\n\r\n") + 4) < 4:
            await self.read_some()
        return (await self.take(size))[:-4]

    async def response(self):
        """(status, body) of a response that has a Content-Length."""
        head = await self.read_head()
        status, *lines = head.lower().split(b"\r\n")
        length = int(dict(line.split(b": ", 1) for line in lines).get(b"content-length", 0))
        return int(status.split()[1]), await self.take(length)

    async def event(self):
        """What the next frame says, as the oracle reads it."""
        frame = await self.take(2)
        extended = {126: 2, 127: 8}.get(frame[1], 0)
        frame += await self.take(extended)
        frame += await self.take(int.from_bytes(frame[2:]) if extended else frame[1])
        (event,) = read(frame, 1 << 30, 1, masked=False)
        return event

    async def events(self, count):
        return [await self.event() for _ in range(count)]

    async def messages(self, count):
        events = await self.events(count)
        assert {kind for kind, *_ in events} == {"message"}
        return [message for _, message in events]

    def vanish(self):
        """End the connection by a reset."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def close(self):
        self.socket.close()
