"""picows: its protocol, on a transport without a socket."""

import logging
from collections.abc import Callable
from typing import Any

from picows import WSAutoPingStrategy, WSFrame, WSListener, WSMsgType, WSTransport
from picows.picows import WSProtocol, _parse_http_request

from bench.pieces._given import SUBSCRIBERS
from bench.pieces._transport import HANDSHAKE, Transport


class Decode(WSListener):
    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        self.payload = frame.get_payload_as_bytes()


class Echo(WSListener):
    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        transport.send(frame.msg_type, frame.get_payload_as_memoryview())


def opened(listener: WSListener, transport: Transport) -> WSProtocol:
    """A server's side of a connection, its handshake done, with a read buffer for any frame in one piece."""
    protocol = WSProtocol(
        None, None, False, lambda request: listener, logging.getLogger("picows"), True, None,
        False, 10, 10, WSAutoPingStrategy.PING_WHEN_IDLE, True, 1 << 20, None, 1 << 18,
    )
    protocol.connection_made(transport)
    feed(protocol, HANDSHAKE)
    transport.take()
    return protocol


def feed(protocol: WSProtocol, data: bytes) -> None:
    protocol.get_buffer(-1)[: len(data)] = data
    protocol.buffer_updated(len(data))


def decode() -> Callable[[bytes], bytes]:
    listener = Decode()
    protocol = opened(listener, Transport())

    def piece(frame: bytes) -> bytes:
        feed(protocol, frame)
        return listener.payload

    return piece


def encode() -> Callable[[bytes], list[bytes]]:
    transport = Transport()
    protocol = opened(WSListener(), transport)
    send = protocol.transport.send

    def piece(payload: bytes) -> list[bytes]:
        send(WSMsgType.BINARY, payload)
        return transport.take()

    return piece


def echo() -> Callable[[bytes], list[bytes]]:
    listener, transport = Echo(), Transport()
    protocol = opened(listener, transport)

    def piece(frame: bytes) -> list[bytes]:
        feed(protocol, frame)
        return transport.take()

    return piece


def publish() -> Callable[[bytes], list[list[bytes]]]:
    transports = [Transport() for _ in range(SUBSCRIBERS)]
    subscribers = {opened(WSListener(), transport).transport for transport in transports}
    written = [transport.written for transport in transports]

    def piece(payload: bytes) -> list[list[bytes]]:
        for subscriber in subscribers:
            subscriber.send(WSMsgType.BINARY, payload)
        return written

    return piece


def parse_head() -> Callable[[bytes], tuple[bytes, Any]]:
    def piece(head: bytes) -> tuple[bytes, Any]:
        request = _parse_http_request(head[:-4])
        return request.path, request.headers

    return piece
