"""aiohttp: its compiled parsers, and its writer on a transport without a socket."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from aiohttp import WSMsgType
from aiohttp._http_parser import HttpRequestParser
from aiohttp._websocket.mask import _websocket_mask_cython
from aiohttp._websocket.reader import WebSocketDataQueue, WebSocketReader
from aiohttp._websocket.writer import WebSocketWriter
from aiohttp.base_protocol import BaseProtocol

from bench.pieces._loop import turn
from bench.pieces._transport import Transport


def result_of(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """What a coroutine returns that need not wait."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        return end.value


def reader() -> tuple[WebSocketReader, WebSocketDataQueue]:
    loop = asyncio.get_running_loop()
    queue = WebSocketDataQueue(BaseProtocol(loop), 1 << 20, loop=loop)
    return WebSocketReader(queue, 1 << 20, False, True), queue


def writer() -> tuple[WebSocketWriter, Transport]:
    transport = Transport()
    return WebSocketWriter(BaseProtocol(asyncio.get_running_loop()), transport), transport


def mask() -> Callable[[bytes, bytes], bytearray]:
    def piece(payload: bytes, key: bytes) -> bytearray:
        masked = bytearray(payload)
        _websocket_mask_cython(key, masked)
        return masked

    return piece


def utf8() -> Callable[[bytes], str]:
    return bytes.decode


def decode() -> Callable[[bytes], bytes]:
    frames, queue = reader()

    def piece(frame: bytes) -> bytes:
        frames.feed_data(frame)
        return result_of(queue.read()).data

    return piece


def encode() -> Callable[[bytes], list[bytes]]:
    frames, transport = writer()

    def piece(payload: bytes) -> list[bytes]:
        result_of(frames.send_frame(payload, WSMsgType.BINARY))
        return transport.take()

    return piece


def echo() -> Callable[[bytes], list[bytes]]:
    decoded, encoded = decode(), encode()
    return lambda frame: encoded(decoded(frame))


def receive() -> Callable[[bytes], bytes]:
    loop, received = asyncio.get_running_loop(), []
    frames, queue = reader()

    async def handler() -> None:
        while True:
            received.append((await queue.read()).data)

    task = loop.create_task(handler())

    def piece(frame: bytes) -> bytes:
        frames.feed_data(frame)
        turn(task.get_loop())
        return received.pop()

    return piece


def parse_head() -> Callable[[bytes], tuple[str, Any]]:
    loop = asyncio.get_running_loop()
    protocol = BaseProtocol(loop)

    def piece(head: bytes) -> tuple[str, Any]:
        ((message, _),), _, _ = HttpRequestParser(protocol, loop, 1 << 16).feed_data(head)
        return message.path, message.headers

    return piece
