"""What happens with each request: the compiled core calls this for every one, and handlers start here."""

from __future__ import annotations

import asyncio
import inspect
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextvars import copy_context
from functools import partial
from typing import TYPE_CHECKING, Any

from hyperws._core.http import Request
from hyperws._core.http_session import HttpSession
from hyperws._core.waiter import Driven
from hyperws._core.websocket_session import WebSocketSession
from hyperws.access_log import log_bad_request, log_request, log_websocket
from hyperws.compression import Agreement
from hyperws.context import Context
from hyperws.errors import BadRequest, ConnectionClosed, UsageError
from hyperws.handshake import choose_subprotocol, parse_subprotocols
from hyperws.hooks import call, call_chain
from hyperws.origins import origin_allowed
from hyperws.response import encode_head, plain
from hyperws.routing import Handler, Route

if TYPE_CHECKING:
    from hyperws.server import Server

logger = logging.getLogger("hyperws")

FAILED = "The server failed to answer."
EXPECTED = (BadRequest, ConnectionClosed, asyncio.CancelledError)
"""What may end a handler without being a fault of it."""


class HandlerEnd:
    """Called when the task of a handler has ended. There is one for each WebSocket, so it is small."""

    __slots__ = ("application", "context")

    def __init__(self, application: Application, context: Context) -> None:
        self.application = application
        self.context = context

    def __call__(self, task: asyncio.Task[None]) -> None:
        self.application.ended(self.context, task)


class Application:
    """Answers the requests of one server, from the moment it starts."""

    def __init__(self, server: Server, loop: asyncio.AbstractEventLoop) -> None:
        self.server = server
        self.hooks = server.hooks
        self.loop = loop
        self.negotiator = server.negotiator
        self.background: set[asyncio.Task[None]] = set()
        """Hooks that run beside everything else."""

    # ------------------------------------------------------------------ called by the core

    def request(self, http: HttpSession, request: Request) -> None:
        """Answer a request, at once or in a task of its own."""
        try:
            route, params = self.server.router.find(request.path)
        except BadRequest as error:
            self.bad_request(http, error, request)
            return
        context = Context(self.server, http, request, params)
        if self.server.logs_access:
            context.began = time.monotonic()
        if self.hooks.request:
            self.start(context, self.after_middleware(context, route))
        else:
            self.serve_at_once(context, route)

    def serve_at_once(self, context: Context, route: Route | None) -> None:
        error = None
        try:
            if (coroutine := self.dispatch(context, route)) is not None:
                self.start(context, coroutine)
                return
        except Exception as failure:    # of response middleware
            error = failure
        if not context.is_websocket:
            self.http_ended(context, error)

    def bad_request(self, http: HttpSession, error: BadRequest, request: Request | None) -> None:
        """Answer what can't be served, and close: where the next request begins is unknown."""
        if not http.closed:
            head_only = request is not None and request.method == "HEAD"
            http.write(plain(error.status, error.text).encode(head_only=head_only))
            http.done(False)
            if self.server.logs_access:
                log_bad_request(http.client, error)

    def fault(self, client: str, error: BaseException) -> None:
        """Something of the application's raised where nobody else can hear it."""
        logger.error("an error on the connection of %s", client, exc_info=error)

    def out_of_descriptors(self) -> None:
        logger.warning(
            "no more connections can be accepted for now: raise the limit of open files (ulimit -n), "
            "or bound Limits.max_connections"
        )

    # ---------------------------------------------------------------------------- dispatch

    async def after_middleware(self, context: Context, route: Route | None) -> None:
        try:
            goes_on = await call_chain(self.hooks.request, context)
        finally:
            context.keep_headers()
        if not goes_on:
            return
        if (coroutine := self.dispatch(context, route)) is not None:
            await coroutine

    def dispatch(self, context: Context, route: Route | None) -> Coroutine[Any, Any, None] | None:
        """Serve a request at once, or return the coroutine that will."""
        request = context.request
        if request.wants_websocket and (refusal := request.upgrade_refusal()):
            status, text = refusal
            headers = {"sec-websocket-version": "13", "upgrade": "websocket"} if status == 426 else {}
            self.answer(context, status, text, headers)
        elif route is None or not (route.methods or route.serves_websocket):
            self.answer(context, 404, f"There is nothing at {request.path}: check the path.")
        elif request.wants_websocket and route.serves_websocket:
            return self.open_websocket(context, route)
        elif handler := route.handler_for(request.method):
            return self.serve(context, handler)
        elif route.serves_websocket and not route.methods:
            text = "This path speaks WebSocket only: connect to it with ws:// or wss://."
            self.answer(context, 426, text, {"upgrade": "websocket"})
        else:
            allowed = ", ".join(sorted(route.methods))
            text = f"{request.method} is not served here: use one of {allowed}."
            self.answer(context, 405, text, {"allow": allowed})
        return None

    def answer(self, context: Context, status: int, text: str, headers: dict[str, str] | None = None) -> None:
        if not context.http.closed:
            context.start_over(status, text).headers.update(headers or {})
            context.respond()

    def start(self, context: Context, coroutine: Coroutine[Any, Any, None]) -> None:
        """Run a coroutine as the task of a request or WebSocket."""
        if self.hooks.error:
            coroutine = self.with_error_handler(context, coroutine)
        driven, end = Driven(coroutine), HandlerEnd(self, context)
        name = context.request.path     # there already, where asyncio would make one
        if context.websocket is not None:
            variables = copy_context()      # one for both, where asyncio would make two
            task = self.loop.create_task(driven, name=name, context=variables)
            context.websocket.task = task
            task.add_done_callback(end, context=variables)
        else:
            # the next request may follow from its end, and must not see the variables of this one
            task = self.loop.create_task(driven, name=name)
            context.http.task = task
            task.add_done_callback(end)

    async def with_error_handler(self, context: Context, coroutine: Coroutine[Any, Any, None]) -> None:
        try:
            await coroutine
        except (BadRequest, ConnectionClosed):
            raise
        except Exception as error:
            self.report(context, error)
            half_sent = context.head_sent
            if not context.is_websocket and not half_sent:
                context.start_over(500, FAILED)
            for handler in self.hooks.error:
                await call(handler, context, error)
            if context.is_websocket:
                context.close(1011)
            elif half_sent:
                context.http.abort()

    def ended(self, context: Context, task: asyncio.Task[None]) -> None:
        """A handler has returned or raised: go on with the connection accordingly."""
        session = context.websocket or context.http
        session.handler_ended()
        error = asyncio.CancelledError() if task.cancelled() else task.exception()
        if context.is_websocket:
            self.websocket_ended(context, error)
        else:
            self.http_ended(context, error)

    def report(self, context: Context, error: BaseException) -> None:
        logger.error("the handler of %s raised, for %s", context.path, context.client, exc_info=error)

    # ------------------------------------------------------------------------------- HTTP

    async def serve(self, context: Context, handler: Handler) -> None:
        """Run the handler of one HTTP request."""
        returned: object = await handler(context)  # type: ignore[func-returns-value]
        if returned is not None:
            raise UsageError("a handler returns nothing: send the response by 'await ctx.send(...)'")

    def http_ended(self, context: Context, error: BaseException | None) -> None:
        if error is not None and not isinstance(error, EXPECTED):
            self.report(context, error)
        if not context.http.closed:
            outcome = self.finish(context, error)
        elif isinstance(error, asyncio.CancelledError):
            outcome = "cut off"
        else:
            outcome = "" if context.is_event_stream and self.server.stopping else "client gone"
        context.over = True
        if self.server.logs_access:
            log_request(context, outcome)

    def finish(self, context: Context, error: BaseException | None) -> str:
        """End the response of a request whose handler has ended. Returns what is wrong with it, or ""."""
        http = context.http
        try:
            whole = self.complete(context, error)
        except Exception as failure:  # of response middleware
            self.report(context, failure)
            if not context.head_sent:
                http.write(plain(500, FAILED).encode(head_only=context.method == "HEAD"))
                http.done(False)
                return "without response middleware"
            whole = False
        if whole:
            http.done(context.keep_alive)
            if self.server.stopping:
                http.go_away()      # the head may have been sent before, without a word of it
            return ""
        http.abort()  # the peer must not take half a response for a whole one
        return "cut off"

    def complete(self, context: Context, error: BaseException | None) -> bool:
        """Send what the handler has left unsent, or what went wrong. Whether the response is a whole one."""
        if error is None or (isinstance(error, ConnectionClosed) and context.is_event_stream_head):
            context.complete_response()
            return True
        if isinstance(error, asyncio.CancelledError):
            return False
        if context.is_complete:
            return True
        if context.head_sent:
            return False
        if isinstance(error, BadRequest):
            self.answer(context, error.status, error.text)
        else:
            context.http.read_no_more()
            self.answer(context, 500, FAILED)
        return True

    # -------------------------------------------------------------------------- WebSocket

    def open_websocket(self, context: Context, route: Route) -> Coroutine[Any, Any, None] | None:
        """Answer a handshake. Returns what is to run in a task, if anything is."""
        request, server = context.request, self.server
        if context.http.closed:
            return None     # the peer has left while middleware ran
        if server.stopping:
            self.refuse_when_stopping(context)
            return None
        if not origin_allowed(request.origin, context.host, server.origins):
            text = (
                f"A page of {request.origin} may not connect here: "
                "the server's allowed_origins can let it in."
            )
            self.answer(context, 403, text)
            return None
        try:
            context.subprotocol = choose_subprotocol(request.subprotocols, server.supported_subprotocols)
            agreement = self.negotiator.agree(request.extensions)
        except BadRequest as error:
            self.answer(context, error.status, error.text)
            return None
        if self.hooks.upgrade or self.hooks.connected:
            return self.open_with_hooks(context, route, agreement)
        self.upgrade(context, agreement)
        return self.handle_messages(context, route)

    def refuse_when_stopping(self, context: Context) -> None:
        self.answer(context, 503, "The server is going away: try again.")

    async def open_with_hooks(self, context: Context, route: Route, agreement: Agreement | None) -> None:
        chosen = context.subprotocol
        if not await call_chain(self.hooks.upgrade, context):
            return
        if context.http.input_ended:
            context.http.abort()    # nobody is there any more
            return
        if self.server.stopping:
            self.refuse_when_stopping(context)
            return
        if context.subprotocol != chosen and not self.is_offered(context, context.subprotocol):
            raise UsageError(f"the client did not offer the subprotocol {context.subprotocol!r}")
        if route.on_message is None:
            self.upgrade(context, agreement).queue()    # so that the hooks may receive, and ping
        else:
            self.upgrade(context, agreement, hold=True)
        for hook in self.hooks.connected:
            await call(hook, context)
        if (coroutine := self.handle_messages(context, route)) is not None:
            await coroutine

    @staticmethod
    def is_offered(context: Context, subprotocol: str | None) -> bool:
        offered = context.request.subprotocols
        return subprotocol is None or (offered is not None and subprotocol in parse_subprotocols(offered))

    def upgrade(
        self, context: Context, agreement: Agreement | None, hold: bool = False
    ) -> WebSocketSession:
        """Let the connection be a WebSocket. With `hold`, it is not read until its messages are handled."""
        headers = dict(context.response.headers) if context.has_response else {}
        headers["upgrade"], headers["connection"] = "websocket", "Upgrade"
        headers["sec-websocket-accept"] = context.request.accept_key
        if context.subprotocol is not None:
            headers["sec-websocket-protocol"] = context.subprotocol
        if agreement is not None:
            headers["sec-websocket-extensions"] = agreement.encode()
        writer, inflater = self.negotiator.writer(agreement), self.negotiator.inflater(agreement)
        head = encode_head(101, headers, context.response.cookies if context.has_response else ())
        session = context.http.upgrade(head, writer, inflater, hold)
        context.attach_websocket(session)
        if self.hooks.closed or self.server.logs_access:
            session.when_retired = partial(self.websocket_retired, context)
        return session

    def handle_messages(self, context: Context, route: Route) -> Coroutine[Any, Any, None] | None:
        session = context.websocket
        assert session is not None
        if route.on_message is not None:
            session.listen(context, route.on_message)
            return None
        assert route.websocket is not None
        session.queue()
        return route.websocket(context)

    def websocket_ended(self, context: Context, error: BaseException | None) -> None:
        session = context.websocket
        assert session is not None
        if isinstance(error, asyncio.CancelledError):
            session.close(1001, "the handler was cancelled")
        elif isinstance(error, ConnectionClosed):
            session.close(1000, "")
        elif error is not None:
            self.report(context, error)
            session.close(1011, "")
        elif session.inbox is not None:     # on_message functions go on
            session.close(1000, "")

    def websocket_retired(self, context: Context) -> None:
        """A WebSocket is closed, and its handler has ended."""
        if self.server.logs_access:
            log_websocket(context)
        if self.hooks.closed:
            self.run_beside(self.after_websocket(context))

    def notify(self, functions: Sequence[Callable[..., Awaitable[None] | None]], *arguments: object) -> None:
        """Call functions of the application without waiting for those that are asynchronous."""
        for function in functions:
            try:
                if inspect.isawaitable(result := function(*arguments)):
                    self.run_beside(self.finish_hook(function, result))
            except Exception as error:
                logger.error("%r raised", function, exc_info=error)

    async def finish_hook(self, function: object, result: Awaitable[None]) -> None:
        try:
            await result
        except Exception as error:
            logger.error("%r raised", function, exc_info=error)

    def run_beside(self, coroutine: Coroutine[Any, Any, None]) -> None:
        task = self.loop.create_task(coroutine)
        self.background.add(task)
        task.add_done_callback(self.background.discard)

    async def after_websocket(self, context: Context) -> None:
        for hook in self.hooks.closed:
            try:
                await call(hook, context)
            except Exception as error:
                self.report(context, error)
