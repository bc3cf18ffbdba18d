"""hyperws: the whole server, with a plain function as the handler, on a transport without a socket."""

import asyncio
from collections.abc import Callable

from bench.pieces._transport import HANDSHAKE, Transport
from hyperws import Limits, Server
from hyperws._core.portable import Portable, Protocol
from hyperws.application import Application


def echo() -> Callable[[bytes], list[bytes]]:
    server = Server(allowed_origins="*").route("/chat", on_message=lambda ctx, message: ctx.send(message))
    loop, transport = asyncio.get_running_loop(), Transport()
    protocol = Protocol(Portable(loop, Limits(), Application(server, loop), True), "peer")
    protocol.connection_made(transport)
    protocol.data_received(HANDSHAKE)
    transport.take()

    def piece(frame: bytes) -> list[bytes]:
        protocol.data_received(frame)
        return transport.take()

    return piece
