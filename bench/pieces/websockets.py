"""websockets: its frames, its protocol, and its connections on transports without sockets."""

import asyncio
from collections.abc import Callable, Generator
from typing import Any

from websockets.asyncio.connection import Connection, broadcast
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import State
from websockets.server import ServerProtocol
from websockets.speedups import apply_mask
from websockets.streams import StreamReader

from bench.pieces._given import SUBSCRIBERS
from bench.pieces._loop import turn
from bench.pieces._transport import Transport


def result_of(parsing: Generator[None, None, Any]) -> Any:
    """What a parser returns that need not wait, as all of its data is there."""
    try:
        next(parsing)
    except StopIteration as end:
        return end.value


def opened() -> tuple[Connection, Transport]:
    connection, transport = Connection(ServerProtocol(state=State.OPEN, max_size=1 << 20)), Transport()
    connection.connection_made(transport)
    return connection, transport


def mask() -> Callable[[bytes, bytes], bytes]:
    return apply_mask


def utf8() -> Callable[[bytes], str]:
    return bytes.decode


def decode() -> Callable[[bytes], bytes]:
    reader = StreamReader()

    def piece(frame: bytes) -> bytes:
        reader.feed_data(frame)
        return result_of(Frame.parse(reader.read_exact, mask=True, max_size=1 << 20)).data

    return piece


def encode() -> Callable[[bytes], bytes]:
    return lambda payload: Frame(Opcode.BINARY, payload).serialize(mask=False)


def echo() -> Callable[[bytes], list[bytes]]:
    protocol = ServerProtocol(state=State.OPEN, max_size=1 << 20)

    def piece(frame: bytes) -> list[bytes]:
        protocol.receive_data(frame)
        for event in protocol.events_received():
            protocol.send_binary(event.data)
        return protocol.data_to_send()

    return piece


def receive() -> Callable[[bytes], bytes]:
    loop, received = asyncio.get_running_loop(), []
    connection, _ = opened()

    async def handler() -> None:
        while True:
            received.append(await connection.recv())

    task = loop.create_task(handler())

    def piece(frame: bytes) -> bytes:
        connection.data_received(frame)
        turn(task.get_loop())
        return received.pop()

    return piece


def publish() -> Callable[[bytes], list[list[bytes]]]:
    pairs = [opened() for _ in range(SUBSCRIBERS)]
    subscribers = {connection for connection, _ in pairs}
    written = [transport.written for _, transport in pairs]

    def piece(payload: bytes) -> list[list[bytes]]:
        broadcast(subscribers, payload)
        return written

    return piece


def parse_head() -> Callable[[bytes], tuple[str, Any]]:
    reader = StreamReader()

    def piece(head: bytes) -> tuple[str, Any]:
        reader.feed_data(head)
        request = result_of(Request.parse(reader.read_line))
        return request.path, request.headers

    return piece
