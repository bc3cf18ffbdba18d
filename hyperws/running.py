"""Running servers in this process, or one in several."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import threading
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from hyperws import worker
from hyperws.errors import ConfigurationError, UsageError
from hyperws.event_loop import serve
from hyperws.groups.between_workers import new_bus
from hyperws.supervisor import Supervisor

if TYPE_CHECKING:
    from hyperws.server import Server

logger = logging.getLogger("hyperws")


def run(*servers: Server, on_listening: Callable[[], None] | None = None) -> None:
    """Serve until SIGINT or SIGTERM, then stop gracefully; a second signal ends the process at once.

    SIGHUP has TLS certificates read again. Other threads than the main one get no signals: there it serves
    until `shutdown` or `stop` is called. `on_listening` is called once connections are accepted. Uses uvloop
    where it is installed. Raises ListenError, what an `on_startup` function raises, and UsageError inside a
    running event loop.

    A server with `workers` is run alone, and its workers are started here and watched over, `on_listening`
    being called once all of them accept connections. SIGHUP replaces them one by one. Raises SystemExit with
    the status 1 where one could not start at all, or did not end well when it was told to.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        pass
    else:
        raise UsageError("run() has an event loop of its own: inside a running one use 'await start()'")
    if worker.makes_server:
        raise UsageError("this is run already: put 'server.run()' below 'if __name__ == \"__main__\":'")
    if any(server.worker_count > 1 for server in servers):
        if len(servers) > 1:
            raise ConfigurationError("a server with workers can't be run together with others")
        return run_with_workers(servers[0], on_listening)

    def announce() -> None:
        for server in servers:
            logger.info("listening on %s", server.address)
        if on_listening is not None:
            on_listening()

    serve(servers, announce)


def run_with_workers(server: Server, on_listening: Callable[[], None] | None) -> None:
    def announce(sockets: list[socket.socket]) -> None:
        if on_listening is not None:
            server.sockets = sockets    # for its address
            try:
                on_listening()
            finally:
                server.sockets = []

    if status := supervise(
        lambda: server, server.worker_count, announce, with_bus=not server.has_backplane
    ):
        raise SystemExit(status)


def supervise(
    make_server: Callable[[], Server],
    count: int | None,
    on_ready: Callable[[list[socket.socket]], None] | None = None,
    *,
    with_bus: bool = True,
) -> int:
    """Run workers until they are told to end. Each makes its server, whose `workers` is their number where
    `count` is None. Returns the exit status. Raises ConfigurationError and UsageError."""
    if not hasattr(os, "fork"):
        raise ConfigurationError("workers are forked, which this system can't: leave them out")
    if threading.current_thread() is not threading.main_thread():
        raise UsageError("workers are started and stopped by signals: call run() in the main thread")
    bus = new_bus() if with_bus and count != 1 else None
    companions = {} if bus is None else {"the message bus": bus.serve}
    work = partial(worker.work, make_server, count, bus)
    return Supervisor(work, count, companions=companions, on_ready=on_ready).run()
