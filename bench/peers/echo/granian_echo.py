"""granian: an RSGI application in one worker, with one thread of its Rust runtime, on uvloop."""

import sys
from typing import Any

from granian import Granian
from granian.rsgi import WebsocketMessageType


async def echo(scope: Any, protocol: Any) -> None:
    transport = await protocol.accept()
    while (message := await transport.receive()).kind != WebsocketMessageType.close:
        await transport.send_bytes(message.data)


if __name__ == "__main__":      # the worker imports this too
    Granian(
        "bench.peers.echo.granian_echo:echo", port=int(sys.argv[1]), interface="rsgi", loop="uvloop",
        http="1", runtime_mode="st", runtime_threads=1, workers=1, websockets=True, log_enabled=False,
    ).serve()
