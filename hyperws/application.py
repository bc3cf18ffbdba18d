"""What happens with each request: the compiled core calls this for every one, and handlers start here."""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from typing import TYPE_CHECKING

from hyperws._core.http import Request
from hyperws._core.http_session import HttpSession
from hyperws._core.websocket_session import WebSocketSession
from hyperws.context import Context
from hyperws.errors import BadRequest, ConnectionClosed, UsageError
from hyperws.handshake import choose_subprotocol
from hyperws.origins import origin_allowed
from hyperws.response import Response, encode_head, plain
from hyperws.routing import Handler, Route

if TYPE_CHECKING:
    from hyperws.server import Server

logger = logging.getLogger("hyperws")


class Application:
    """Answers the requests of one server, from the moment it starts."""

    def __init__(self, server: Server, loop: asyncio.AbstractEventLoop) -> None:
        self.server = server
        self.loop = loop
        self.negotiator = server.negotiator

    # ------------------------------------------------------------------ called by the core

    def request(self, http: HttpSession, request: Request) -> None:
        """Answer a request, at once or by a handler of its own."""
        route, params = self.server.router.find(request.path)
        if request.wants_websocket and (refusal := request.upgrade_refusal()):
            status, text = refusal
            headers = {"sec_websocket_version": "13", "upgrade": "websocket"} if status == 426 else {}
            self.answer(http, request, plain(status, text, **headers), keep_alive=False)
        elif route is None or not (route.methods or route.serves_websocket):
            self.answer(http, request, plain(404, f"There is nothing at {request.path}: check the path."))
        elif request.wants_websocket and route.serves_websocket:
            self.open_websocket(http, request, route, params)
        elif handler := route.handler_for(request.method):
            context = Context(self.server, http, request, params)
            http.task = self.loop.create_task(self.serve(context, handler))
            http.task.add_done_callback(partial(self.http_ended, context, http))
        elif route.serves_websocket and not route.methods:
            text = "This path speaks WebSocket only: connect to it with ws:// or wss://."
            self.answer(http, request, plain(426, text, upgrade="websocket"))
        else:
            allowed = ", ".join(sorted(route.methods))
            text = f"{request.method} is not served here: use one of {allowed}."
            self.answer(http, request, plain(405, text, allow=allowed))

    def bad_request(self, http: HttpSession, error: BadRequest) -> None:
        """Answer what can't be served, and close: where the next request begins is unknown."""
        if not http.closed:
            http.write(plain(error.status, error.text).encode())
            http.done(False)

    def fault(self, client: str, error: BaseException) -> None:
        """Something of the application's raised where nobody else can hear it."""
        logger.error("an error on the connection of %s", client, exc_info=error)

    def out_of_descriptors(self) -> None:
        logger.warning(
            "no more connections can be accepted for now: raise the limit of open files (ulimit -n), "
            "or bound Limits.max_connections"
        )

    # ------------------------------------------------------------------------------- HTTP

    def answer(
        self, http: HttpSession, request: Request, response: Response, *, keep_alive: bool = True
    ) -> None:
        if http.closed:
            return
        keep_alive = keep_alive and request.keep_alive and not self.server.stopping
        http.write(response.encode(request.minor_version, keep_alive, head_only=request.method == "HEAD"))
        http.done(keep_alive)

    async def serve(self, context: Context, handler: Handler) -> None:
        """Run the handler of one HTTP request, and send what it left unsent."""
        returned: object = await handler(context)  # type: ignore[func-returns-value]
        if returned is not None:
            raise UsageError("a handler returns nothing: send the response by 'await ctx.send(...)'")
        context.complete_response()

    def http_ended(self, context: Context, http: HttpSession, task: asyncio.Task[None]) -> None:
        """A handler has returned or raised: go on with the connection accordingly."""
        http.handler_ended()
        error = None if task.cancelled() else task.exception()
        if error is not None and not isinstance(error, ConnectionClosed):
            self.report(context, error)
        if http.closed:
            return
        if not task.cancelled() and error is None:
            http.done(context.keep_alive and not self.server.stopping)
        elif context.head_sent or task.cancelled():
            http.abort()  # the peer must not take half a response for a whole one
        else:
            self.answer(http, context.request, plain(500, "The server failed to answer."), keep_alive=False)

    # -------------------------------------------------------------------------- WebSocket

    def open_websocket(
        self, http: HttpSession, request: Request, route: Route, params: dict[str, str]
    ) -> None:
        if not origin_allowed(request.origin, request.host, self.server.origins):
            text = (
                f"A page of {request.origin} may not connect here: "
                "the server's allowed_origins can let it in."
            )
            self.answer(http, request, plain(403, text), keep_alive=False)
            return
        try:
            subprotocol = choose_subprotocol(request.subprotocols, self.server.supported_subprotocols)
            agreement = self.negotiator.agree(request.extensions)
        except BadRequest as error:
            self.bad_request(http, error)
            return
        head = {"upgrade": "websocket", "connection": "Upgrade", "sec-websocket-accept": request.accept_key}
        if subprotocol is not None:
            head["sec-websocket-protocol"] = subprotocol
        if agreement is not None:
            head["sec-websocket-extensions"] = agreement.encode()
        writer, inflater = self.negotiator.writer(agreement), self.negotiator.inflater(agreement)
        context = Context(self.server, http, request, params, subprotocol)
        session = http.upgrade(encode_head(101, head), writer, inflater)
        if http.closed:
            return
        context.attach_websocket(session)
        if route.on_message is not None:
            session.listen(context, route.on_message)
        else:
            assert route.websocket is not None
            session.queue()
            session.task = self.loop.create_task(route.websocket(context))
            session.task.add_done_callback(partial(self.websocket_ended, context, session))

    def websocket_ended(self, context: Context, session: WebSocketSession, task: asyncio.Task[None]) -> None:
        """A handler has returned or raised: close its connection accordingly."""
        session.handler_ended()
        error = None if task.cancelled() else task.exception()
        if task.cancelled():
            session.close(1001, "the handler was cancelled")
        elif error is None or isinstance(error, ConnectionClosed):
            session.close(1000, "")
        else:
            self.report(context, error)
            session.close(1011, "")

    def report(self, context: Context, error: BaseException) -> None:
        logger.error("the handler of %s raised, for %s", context.path, context.client, exc_info=error)
