"""`Server`: its routes, and its life from start to stop."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar, Unpack, overload

from hyperws._core.connection import Driver
from hyperws._core.portable import Portable
from hyperws._core.topics import Topics
from hyperws.application import Application
from hyperws.context import Context
from hyperws.errors import ConfigurationError, RouteError, UsageError
from hyperws.listening import listen_tcp, listen_unix
from hyperws.options import Configurable, Options
from hyperws.routing import Handler, MessageCallback, Router, parse_pattern
from hyperws.signals import StopSignals

new_event_loop: Callable[[], asyncio.AbstractEventLoop]
try:
    from uvloop import new_event_loop
except ImportError:  # not on Windows
    from asyncio import new_event_loop

if sys.platform != "win32":
    from hyperws._core.reactor import Reactor

if TYPE_CHECKING:
    from hyperws._core.message_writer import _Message

logger = logging.getLogger("hyperws")

HandlerType = TypeVar("HandlerType", bound=Handler)


class Server(Configurable):
    """Serves WebSockets and HTTP on one port.

    Every option is a chainable method: `Server(port=1)` is `Server().port(1)`. All of them must be set before
    the server starts. Raises ConfigurationError for an option or value that makes no sense.
    """

    def __init__(self, *unnamed: object, **options: Unpack[Options]) -> None:
        super().__init__(*unnamed, **options)
        self.router = Router()
        self.topics = Topics()
        self._driver: Driver | None = None
        self._sockets: list[socket.socket] = []
        self._stopping: asyncio.Task[None] | None = None
        self._ended: asyncio.Future[None] | None = None

    # ------------------------------------------------------------------------------- routes

    @overload
    def route(
        self,
        pattern: str,
        handler: None = None,
        *,
        methods: list[str] | None = None,
        websocket: bool | None = None,
        on_message: None = None,
    ) -> Callable[[HandlerType], HandlerType]: ...

    @overload
    def route(
        self,
        pattern: str,
        handler: Handler,
        *,
        methods: list[str] | None = None,
        websocket: bool | None = None,
    ) -> Self: ...

    @overload
    def route(self, pattern: str, *, on_message: MessageCallback) -> Self: ...

    def route(
        self,
        pattern: str,
        handler: Handler | None = None,
        *,
        methods: list[str] | None = None,
        websocket: bool | None = None,
        on_message: MessageCallback | None = None,
    ) -> Any:
        """Serve a path: `/a`, `/a/{name}`, `/a/{name:regex}`, or with a last `{rest:path}` all below it.

        `handler` is `async def handler(ctx)`, for WebSockets and plain HTTP alike; `websocket=True` or False
        gives it only one of the two, and `methods` only these HTTP methods (and no WebSocket, unless that is
        True). `on_message` is a plain `def on_message(ctx, message)` that is called for each message as it is
        read: the fastest form. Without either this is a decorator.

        Static parts win over dynamic ones, those over regexes. Raises RouteError for a bad or duplicate one.
        """
        if callable(pattern):
            raise RouteError("a route has a path: write @server.route('/path') above the function")
        if on_message is not None:
            if handler is not None or methods is not None or websocket is False:
                raise RouteError(f"{pattern!r}: on_message serves the WebSocket by itself: use it alone")
            self.router.add_callback(pattern, on_message)
            return self
        if handler is not None:
            self.router.add(pattern, handler, methods, websocket)
            return self
        parse_pattern(pattern)  # a bad one is told here, not at the function below

        def decorator(function: HandlerType) -> HandlerType:
            self.router.add(pattern, function, methods, websocket)
            return function

        return decorator

    # ------------------------------------------------------------------------------- groups

    def publish(
        self, topic: str, message: _Message, *, exclude: Context | None = None, compress: bool | None = None
    ) -> int:
        """Send `message` to every subscriber of `topic` but `exclude`. Returns how many it reached.

        `compress` is as in `Context.send`. To be called in the server's event loop. Raises UsageError for
        what can't be sent.
        """
        if exclude is not None and not isinstance(exclude, Context):
            raise UsageError(f"exclude takes a Context, not {type(exclude).__name__}")
        return self.topics.publish(topic, message, None if exclude is None else exclude.websocket, compress)

    # --------------------------------------------------------------------------------- life

    @property
    def address(self) -> tuple[str, int]:
        """(host, port) it listens on; (path, 0) for a Unix socket. Raises UsageError before it is started."""
        if not self._sockets:
            raise UsageError("the server has no address before it has started")
        name = self._sockets[0].getsockname()
        return (name, 0) if isinstance(name, str) else (name[0], name[1])

    async def start(self) -> None:
        """Listen, and serve in the running event loop until `stop`. Raises ListenError."""
        if self._started:
            raise UsageError("the server has started already")
        driver = self._make_driver(asyncio.get_running_loop())
        try:
            self._sockets = self._listen()
            self._driver, self._started, self._stopping = driver, True, None
            self._ended = asyncio.get_running_loop().create_future()
            if (starting := driver.start(self._sockets)) is not None:
                await starting
        except BaseException:
            driver.stop_listening()
            self._close(driver)
            raise

    async def stop(self, grace: float | None = None) -> None:
        """Stop listening, close WebSockets with 1001, let requests and handlers end, then cut off the rest.

        `grace` is how many seconds they get, `Limits.shutdown_grace` if it is not given. A handler that calls
        this is cut off like any other.
        """
        if grace is not None and (isinstance(grace, bool) or not isinstance(grace, (int, float))):
            raise UsageError(f"grace takes seconds or None, not {grace!r}")
        if self._driver is None:
            return
        if self._stopping is None:
            # a task of its own: the one that calls this may be among those that are cut off
            grace = self._limits.shutdown_grace if grace is None else grace
            self._stopping = asyncio.create_task(self._stop(self._driver, grace))
        await asyncio.shield(self._stopping)

    @property
    def stopping(self) -> bool:
        """Whether `stop` has been called since the server started."""
        return self._stopping is not None

    async def _stop(self, driver: Driver, grace: float | None) -> None:
        try:
            driver.stop_listening()
            self._close_listeners()
            for connection in list(driver.connections):
                connection.session.go_away()
            if not await ends_within(driver.wait_drained(), grace):
                await self._cut_off(driver)
        finally:
            self._close(driver)

    async def _cut_off(self, driver: Driver) -> None:
        """End what did not end by itself."""
        driver.abort_all()
        for connection in driver.connections:
            if connection.session.task is not None:
                connection.session.task.cancel()
        if not await ends_within(driver.wait_drained(), 1.0):
            for connection in driver.connections:
                task = connection.session.task
                logger.error("a handler went on after it was cancelled, and is left behind: %r", task)

    def _close_listeners(self) -> None:
        if self._unix_socket is not None and self._sockets:
            with suppress(FileNotFoundError):  # an event loop of Python 3.13 or later has removed it
                os.unlink(self._unix_socket)
        for listener in self._sockets:
            listener.close()
        self._sockets = []

    def _close(self, driver: Driver) -> None:
        self._close_listeners()
        driver.close()
        self._driver, self._started = None, False
        if self._ended is not None and not self._ended.done():
            self._ended.set_result(None)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.stop()

    def run(self, *, on_listening: Callable[[], None] | None = None) -> None:
        """Serve until SIGINT or SIGTERM, then stop gracefully; a second signal ends the process at once.

        `on_listening` is called once connections are accepted; `address` tells where. Uses uvloop where it is
        installed. Raises ListenError, and UsageError inside a running event loop.
        """
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            pass
        else:
            raise UsageError("run() has an event loop of its own: inside a running one use 'await start()'")
        with asyncio.Runner(loop_factory=new_event_loop) as runner:
            runner.run(self._serve_until_signal(on_listening))

    async def _serve_until_signal(self, on_listening: Callable[[], None] | None) -> None:
        async with self:
            asked, ended = asyncio.get_running_loop().create_future(), self._ended
            assert ended is not None
            with StopSignals(asked):
                logger.info("listening on %s", self.address)
                if on_listening is not None:
                    on_listening()
                await asyncio.wait([asked, ended], return_when=asyncio.FIRST_COMPLETED)
                await self.stop()

    def _make_driver(self, loop: asyncio.AbstractEventLoop) -> Driver:
        name = os.environ.get("HYPERWS_DRIVER") or self._driver_name
        app = Application(self, loop)
        if name == "portable":
            return Portable(loop, self._limits, app, self._nodelay, self._backlog)
        if name != "reactor":
            raise ConfigurationError(f"HYPERWS_DRIVER is 'reactor' or 'portable', not {name!r}")
        if sys.platform == "win32":
            raise ConfigurationError("the reactor needs epoll or kqueue: use the portable driver on Windows")
        return Reactor(loop, self._limits, app, self._http_buffer_size, self._ws_buffer_size)

    def _listen(self) -> list[socket.socket]:
        if self._unix_socket is not None:
            return [listen_unix(self._unix_socket, self._backlog)]
        return listen_tcp(self._host, self._port, self._backlog, self._tcp_options)


async def ends_within(future: asyncio.Future[None], seconds: float | None) -> bool:
    """Whether a future was done within so many seconds."""
    done, _ = await asyncio.wait([future], timeout=seconds)
    return bool(done)
