"""RESP2, the protocol of Redis (redis.io/docs/latest/develop/reference/protocol-spec), on one connection."""

from __future__ import annotations

import asyncio
import re
from collections import deque
from collections.abc import Callable
from typing import Any

CHANNEL = re.compile(rb"\*3\r\n\$7\r\nmessage\r\n\$(\d+)\r\n")
PAYLOAD = re.compile(rb"\r\n\$(\d+)\r\n")

Reply = Any
"""What Redis answers: bytes, int, a list of replies, None for what is not there, or a Refusal."""


class Refusal(Exception):
    """An error that Redis answers. Its text begins with a word in capitals that tells its kind."""


def command(*words: bytes) -> bytes:
    """A command as it is sent."""
    return b"*%d\r\n%b" % (len(words), b"".join([b"$%d\r\n%b\r\n" % (len(word), word) for word in words]))


class Wire(asyncio.Protocol):
    """A connection: what is asked is answered in order, what is published comes in between.

    `publish` is called with the channel and the bytes of each message that comes; it is None for a connection
    that subscribes to nothing. `end` is called with the error when the connection has ended by itself.
    """

    def __init__(
        self, publish: Callable[[bytes, bytes], None] | None, end: Callable[[Exception], None]
    ) -> None:
        self.publish = publish
        self.end = end
        self.writer: asyncio.StreamWriter | None = None
        self.ended: Exception | None = None
        """Why nothing can be asked any more."""
        self.closed = asyncio.get_running_loop().create_future()
        self.questions: deque[tuple[asyncio.Future[list[Reply]], int]] = deque()
        """What has been asked, and the number of replies to it."""
        self.replies: list[Reply] = []
        """Those to the oldest question."""
        self.arrays: list[tuple[int, list[Reply]]] = []
        """The arrays that are being read, the innermost last, and their lengths."""
        self.pieces: list[bytes] = []
        """What could not be read yet."""
        self.held = 0       # bytes in the pieces
        self.needed = 0     # bytes that are needed to read on

    def take_over(self, writer: asyncio.StreamWriter) -> None:
        """Speak on this connection from now on. Nothing that has come over it may be left to be read."""
        self.writer = writer    # it closes its connection if it is forgotten
        writer.transport.set_protocol(self)

    def ask(self, data: bytes, replies: int = 1) -> asyncio.Future[list[Reply]]:
        """Send commands; the replies to them are the result. Their errors are not raised."""
        answer: asyncio.Future[list[Reply]] = asyncio.get_running_loop().create_future()
        if self.ended is not None:
            raise self.ended
        assert self.writer is not None
        self.questions.append((answer, replies))
        self.writer.write(data)
        return answer

    async def close(self) -> None:
        """End the connection without waiting for anybody."""
        if self.writer is not None:
            self.finish(ConnectionError("the connection is closed"))
            self.writer.transport.abort()
            await asyncio.shield(self.closed)

    def connection_lost(self, error: Exception | None) -> None:
        if self.ended is None:
            self.finish(error or ConnectionError("Redis has ended the connection"))
            assert self.ended is not None
            self.end(self.ended)
        if not self.closed.done():
            self.closed.set_result(None)

    def finish(self, error: Exception) -> None:
        self.ended = self.ended or error
        for answer, _ in self.questions:
            if not answer.done():
                answer.set_exception(self.ended)
                answer.exception()      # whoever does not wait for it any more has not overlooked it
        self.questions.clear()

    def data_received(self, data: bytes) -> None:
        if self.pieces:
            self.pieces.append(data)
            self.held += len(data)
            if self.held < self.needed:
                return
            data = b"".join(self.pieces)
            self.pieces.clear()
        read = self.read(data)
        if read < len(data):
            self.pieces.append(data[read:])
            self.held = len(data) - read
            self.needed -= read

    def read(self, data: bytes) -> int:
        """Take all replies that are there. Returns how many bytes those were."""
        at = 0
        reply: Reply
        while True:
            if not self.arrays and self.publish is not None:
                at = self.read_messages(data, at, self.publish)
            end = data.find(b"\r\n", at)
            if end < 0:
                self.needed = 0
                return at
            kind, text = data[at], data[at + 1:end]
            if kind == b"$"[0] and text != b"-1":
                begin = end + 2
                end = begin + int(text)
                if end + 2 > len(data):
                    self.needed = end + 2
                    return at
                reply = data[begin:end]
            elif kind == b"*"[0] and text not in (b"0", b"-1"):
                self.arrays.append((int(text), []))
                at = end + 2
                continue
            elif kind == b":"[0]:
                reply = int(text)
            elif kind == b"-"[0]:
                reply = Refusal(text.decode(errors="replace"))
            elif kind == b"+"[0]:
                reply = text
            else:
                reply = [] if text == b"0" else None
            at = end + 2
            while self.arrays:
                length, array = self.arrays[-1]
                array.append(reply)
                if len(array) < length:
                    break
                self.arrays.pop()
                reply = array
            else:
                self.take(reply)

    def read_messages(self, data: bytes, at: int, publish: Callable[[bytes, bytes], None]) -> int:
        """Take the messages that come next and are whole, in half the time. Returns where the rest begins."""
        while (channel := CHANNEL.match(data, at)) is not None:
            payload = PAYLOAD.match(data, channel.end() + int(channel[1]))
            if payload is None or len(data) < payload.end() + int(payload[1]) + 2:
                break
            at = payload.end() + int(payload[1]) + 2
            publish(data[channel.end():payload.start()], data[payload.end():at - 2])
        return at

    def take(self, reply: Reply) -> None:
        if self.publish is not None and isinstance(reply, list) and reply[:1] == [b"message"]:
            self.publish(reply[1], reply[2])
        elif self.questions:
            answer, count = self.questions[0]
            self.replies.append(reply)
            if len(self.replies) == count:
                self.questions.popleft()
                replies, self.replies = self.replies, []
                if not answer.done():
                    answer.set_result(replies)
