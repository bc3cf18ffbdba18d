"""Running servers in an event loop of their own, until a signal or a call stops them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from hyperws.errors import ConfigurationError, UsageError
from hyperws.signals import Signals

if TYPE_CHECKING:
    from hyperws.server import Server

new_event_loop: Callable[[], asyncio.AbstractEventLoop]
try:
    from uvloop import new_event_loop
except ImportError:  # not on Windows
    from asyncio import new_event_loop

logger = logging.getLogger("hyperws")


def run(*servers: Server, on_listening: Callable[[], None] | None = None) -> None:
    """Serve until SIGINT or SIGTERM, then stop gracefully; a second signal ends the process at once.

    SIGHUP has TLS certificates read again. Other threads than the main one get no signals: there it serves
    until `shutdown` or `stop` is called. `on_listening` is called once connections are accepted. Uses uvloop
    where it is installed. Raises ListenError, what an `on_startup` function raises, and UsageError inside a
    running event loop.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        pass
    else:
        raise UsageError("run() has an event loop of its own: inside a running one use 'await start()'")
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(serve(servers, on_listening))


async def serve(servers: tuple[Server, ...], on_listening: Callable[[], None] | None) -> None:
    asked = asyncio.get_running_loop().create_future()
    async with AsyncExitStack() as stack:
        for server in servers:
            await stack.enter_async_context(server)
        with Signals(asked, lambda: reload_certificates(servers)):
            for server in servers:
                logger.info("listening on %s", server.address)
            if on_listening is not None:
                on_listening()
            ended = asyncio.gather(*(server.wait_stopped() for server in servers))
            await asyncio.wait([asked, ended], return_when=asyncio.FIRST_COMPLETED)
            await asyncio.gather(*(server.stop() for server in servers))
            await ended


def reload_certificates(servers: tuple[Server, ...]) -> None:
    for server in servers:
        if server.certificate is not None and server.certificate.files is not None:
            try:
                server.reload_tls()
            except ConfigurationError as error:
                logger.error("the certificate stays the one it is: %s", error)
            else:
                logger.info("the certificate has been read again")
