"""`Server`: its routes, and its life from start to stop."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from types import TracebackType
from typing import Self, Unpack

from hyperws._core.connection import Driver
from hyperws._core.portable import Portable
from hyperws._core.websocket_session import WebSocketSession
from hyperws.application import Application
from hyperws.errors import ConfigurationError, UsageError
from hyperws.handover import Handover, address_of
from hyperws.hooks import call
from hyperws.incoming import Incoming
from hyperws.listening import listen_tcp, listen_unix
from hyperws.options import Options
from hyperws.publishing import Publisher
from hyperws.running import run

if sys.platform != "win32":
    from hyperws._core.reactor import Reactor

logger = logging.getLogger("hyperws")

GOODBYES = 1000  # WebSockets a second that are closed when the server stops
GOODBYE_BATCH = 10


class Server(Publisher):
    """Serves WebSockets and HTTP on one port.

    Every option is a chainable method: `Server(port=1)` is `Server().port(1)`. All of them must be set before
    the server starts. Raises ConfigurationError for an option or value that makes no sense.
    """

    def __init__(self, *unnamed: object, **options: Unpack[Options]) -> None:
        super().__init__(*unnamed, **options)
        self._driver: Driver | None = None
        self.sockets: list[socket.socket] = []
        self._stopping: asyncio.Task[None] | None = None
        self._stopped: asyncio.Future[None] | None = None
        self._stop_asked = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self.handover: Handover | None = None       # where this is a worker

    def seen_by_client(self, context: Incoming) -> tuple[str, str, str | None]:
        """(client, scheme, host) of a request, as its client has them."""
        peer, scheme = context.connection.client, "http" if self.certificate is None else "https"
        if self.proxies is None:
            return peer, scheme, context.request.host
        forwarded = self.proxies.resolve(peer, context.headers)
        return forwarded.client, forwarded.scheme or scheme, forwarded.host or context.request.host

    # --------------------------------------------------------------------------------- life

    @property
    def address(self) -> tuple[str, int]:
        """(host, port) it listens on; (path, 0) for a Unix socket. Raises UsageError before it is started."""
        if not self.sockets:
            raise UsageError("the server has no address before it has started")
        return address_of(self.sockets)

    async def start(self) -> None:
        """Listen, and serve in the running event loop until `stop`.

        Raises ListenError, what an `on_startup` function raises, and UsageError for a server with workers.
        """
        if self._started:
            raise UsageError("the server has started already")
        if self.worker_count > 1 and self.handover is None:
            raise UsageError("workers are processes of their own, which only 'server.run()' starts")
        self._loop = loop = asyncio.get_running_loop()
        driver = self._make_driver(loop)
        self._started, self._stopping, self._stop_asked = True, None, False
        self._stopped = loop.create_future()
        started_up = False
        try:
            await self._start_publishing(self._app)
            for function in self.hooks.startup:
                await call(function)
            started_up = True
            if self._stop_asked:
                raise UsageError("the server was told to stop before it had started")
            self.sockets = self._listen()
            driver.start(self.sockets)
            self._driver = driver
        except BaseException:
            driver.stop_listening()
            self._close(driver)
            if started_up:
                await self._shut_down()
            await self._stop_publishing()
            raise

    async def stop(self, grace: float | None = None) -> None:
        """Stop listening, let requests and handlers end, close WebSockets with 1001, then cut off the rest.

        Connections that wait to be accepted are taken first. A peer that has come, or was last heard of, a
        moment ago may bring one more request, which is answered too.

        `grace` is how many seconds they get, `Limits.shutdown_grace` if it is not given. WebSockets are
        closed a thousand a second, or faster where half the grace would not be enough, so that clients which
        connect again don't come all at once. A handler that calls this is cut off like any other.
        """
        if grace is not None and (isinstance(grace, bool) or not isinstance(grace, (int, float))):
            raise UsageError(f"grace takes seconds or None, not {grace!r}")
        if self._driver is None:
            self._stop_asked = True     # it may be starting up
            return
        if self._stopping is None:
            # a task of its own: the one that calls this may be among those that are cut off
            grace = self._limits.shutdown_grace if grace is None else grace
            self._stopping = asyncio.create_task(self._stop(self._driver, grace))
        await asyncio.shield(self._stopping)

    def shutdown(self) -> None:
        """Have a running server stop, as `stop` does, from any thread. Returns at once."""
        if self._loop is not None and not self._loop.is_closed():
            with suppress(RuntimeError):    # it closes just now
                self._loop.call_soon_threadsafe(lambda: asyncio.ensure_future(self.stop()))

    @property
    def stopping(self) -> bool:
        """Whether `stop` has been called since the server started."""
        return self._stopping is not None

    async def wait_stopped(self) -> None:
        """Wait until a server that has started is stopped, whoever does it."""
        if self._stopped is not None:
            await asyncio.shield(self._stopped)

    async def _stop(self, driver: Driver, grace: float | None) -> None:
        loop = asyncio.get_running_loop()
        ends_at = None if grace is None else loop.time() + grace
        try:
            driver.stop_listening()
            self._close_listeners()
            drained = driver.wait_drained()
            await self._say_goodbye(driver, grace)
            if not await ends_within([drained], ends_at and ends_at - loop.time()):
                await self._cut_off(driver)
            if background := self._app.background:
                await ends_within(background, ends_at and max(ends_at - loop.time(), 1.0))
            await self._shut_down()
            await self._stop_publishing()
        finally:
            self._close(driver)

    async def _say_goodbye(self, driver: Driver, grace: float | None) -> None:
        websockets = []
        for connection in list(driver.connections):
            if isinstance(connection.session, WebSocketSession):
                websockets.append(connection.session)
            else:
                connection.session.go_away()
        seconds = len(websockets) / GOODBYES
        if grace is not None:
            seconds = min(seconds, grace / 2)
        for at in range(0, len(websockets), GOODBYE_BATCH):
            if at:
                await asyncio.sleep(seconds * GOODBYE_BATCH / len(websockets))
            for session in websockets[at:at + GOODBYE_BATCH]:
                session.go_away()

    async def _cut_off(self, driver: Driver) -> None:
        """End what did not end by itself."""
        driver.abort_all()
        for connection in driver.connections:
            if connection.session.task is not None:
                connection.session.task.cancel()
        if not await ends_within([driver.wait_drained()], 1.0):
            for connection in driver.connections:
                task = connection.session.task
                logger.error("a handler went on after it was cancelled, and is left behind: %r", task)

    async def _shut_down(self) -> None:
        for function in reversed(self.hooks.shutdown):
            try:
                await call(function)
            except Exception as error:
                logger.error("%r raised while the server stopped", function, exc_info=error)

    def _close_listeners(self) -> None:
        if self._unix_socket is not None and self.sockets and self.handover is None:
            with suppress(FileNotFoundError):
                os.unlink(self._unix_socket)
        for listener in self.sockets:
            listener.close()
        self.sockets = []

    def _close(self, driver: Driver) -> None:
        self._close_listeners()
        driver.close()
        self._driver, self._started = None, False
        if self._stopped is not None and not self._stopped.done():
            self._stopped.set_result(None)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.stop()

    def run(self, *, on_listening: Callable[[], None] | None = None) -> None:
        """Serve until SIGINT or SIGTERM, as `hyperws.run` does, which says more.

        In several processes, where the server has `workers`.
        """
        run(self, on_listening=on_listening)

    def reload_tls(self) -> None:
        """Read the files of `tls` again, for the handshakes from now on. `run` does so at SIGHUP.

        Raises ConfigurationError where they can't be used, and keeps the certificate then.
        """
        if self.certificate is None:
            raise UsageError("the server has no certificate: give it one by tls(certfile, keyfile)")
        self.certificate.reload()

    def _make_driver(self, loop: asyncio.AbstractEventLoop) -> Driver:
        default = "portable" if sys.platform == "win32" or self.certificate is not None else "reactor"
        name = os.environ.get("HYPERWS_DRIVER") or self._driver_name or default
        app = self._app = Application(self, loop)
        if name == "portable":
            tls = None if self.certificate is None else self.certificate.context
            return Portable(loop, self._limits, app, self._nodelay, tls)
        if name != "reactor":
            raise ConfigurationError(f"HYPERWS_DRIVER is 'reactor' or 'portable', not {name!r}")
        if sys.platform == "win32":
            raise ConfigurationError("the reactor needs epoll or kqueue: use the portable driver on Windows")
        if self.certificate is not None:
            raise ConfigurationError("the reactor has no TLS: leave the driver to the server")
        return Reactor(loop, self._limits, app, self._http_buffer_size, self._ws_buffer_size)

    def _listen(self) -> list[socket.socket]:
        if self._unix_socket is not None:
            if self.handover is not None:
                return self.handover.listen_unix(self._unix_socket, self._backlog)
            return [listen_unix(self._unix_socket, self._backlog)]
        listen = listen_tcp if self.handover is None else self.handover.listen_tcp
        return listen(self._host, self._port, self._backlog, self._tcp_options)


async def ends_within(futures: Iterable[asyncio.Future[None]], seconds: float | None) -> bool:
    """Whether futures were done within so many seconds."""
    _, pending = await asyncio.wait(futures, timeout=seconds)
    return not pending
