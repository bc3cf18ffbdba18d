"""hyperws: the whole server, with handlers as applications have them, on transports without sockets."""

import asyncio
from collections.abc import Callable

from bench.pieces._given import SUBSCRIBERS, masked_frame
from bench.pieces._loop import turn
from bench.pieces._transport import HANDSHAKE, Transport
from hyperws import Context, Limits, Server
from hyperws._core.portable import Portable, Protocol
from hyperws.application import Application


def started(server: Server) -> Portable:
    loop = asyncio.get_running_loop()
    return Portable(loop, Limits(), Application(server, loop), True)


def opened(driver: Portable) -> tuple[Protocol, Transport]:
    """A connection whose handshake is done."""
    protocol, transport = Protocol(driver, "peer"), Transport()
    protocol.connection_made(transport)
    protocol.data_received(HANDSHAKE)
    transport.take()
    return protocol, transport


def echo() -> Callable[[bytes], list[bytes]]:
    server = Server(allowed_origins="*").route("/chat", on_message=lambda ctx, message: ctx.send(message))
    protocol, transport = opened(started(server))

    def piece(frame: bytes) -> list[bytes]:
        protocol.data_received(frame)
        return transport.take()

    return piece


def receive() -> Callable[[bytes], bytes]:
    received = []

    async def handler(ctx: Context) -> None:
        while True:
            received.append(await ctx.receive())

    protocol, _ = opened(started(Server(allowed_origins="*").route("/chat", handler)))

    def piece(frame: bytes) -> bytes:
        protocol.data_received(frame)
        return received.pop()

    return piece


def publish() -> Callable[[bytes], list[list[bytes]]]:
    loop, written = asyncio.get_running_loop(), []
    server = Server(allowed_origins="*")
    driver = started(server.route("/chat", on_message=lambda ctx, message: ctx.subscribe("feed")))
    for _ in range(SUBSCRIBERS):
        protocol, transport = opened(driver)
        protocol.data_received(masked_frame(b"subscribe"))
        written.append(transport.written)

    def piece(payload: bytes) -> list[list[bytes]]:
        server.publish("feed", payload)
        turn(loop)  # at whose end everything is written
        return written

    return piece
