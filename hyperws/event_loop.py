"""Serving in an event loop of its own, until a signal or a call stops it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import AbstractContextManager, AsyncExitStack
from typing import TYPE_CHECKING

from hyperws.errors import ConfigurationError
from hyperws.signals import Signals

if TYPE_CHECKING:
    from hyperws.server import Server

new_event_loop: Callable[[], asyncio.AbstractEventLoop]
try:
    from uvloop import new_event_loop
except ImportError:  # not on Windows
    from asyncio import new_event_loop

logger = logging.getLogger("hyperws")

Listening = Callable[[asyncio.Future[None], Callable[[], None]], AbstractContextManager[None]]
"""What listens to signals: by a future that is to have a result when they say stop, and a function for when
certificates are to be read again."""


def serve(
    servers: tuple[Server, ...], on_listening: Callable[[], None], signals: Listening = Signals
) -> None:
    """Serve until a signal, or a call of `stop` or `shutdown` for all servers, and stop gracefully."""
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(serve_all(servers, on_listening, signals))


async def serve_all(
    servers: tuple[Server, ...], on_listening: Callable[[], None], signals: Listening
) -> None:
    asked = asyncio.get_running_loop().create_future()
    async with AsyncExitStack() as stack:
        for server in servers:
            await stack.enter_async_context(server)
        with signals(asked, lambda: reload_certificates(servers)):
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
