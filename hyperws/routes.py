"""The part of `Server` that tells which handler serves which path."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self, TypeVar, overload

from hyperws.errors import RouteError
from hyperws.hooks import Hookable
from hyperws.routing import Handler, MessageCallback, Router, parse_pattern

HandlerType = TypeVar("HandlerType", bound=Handler)


class Routable(Hookable):
    """Keeps the routes."""

    def __init__(self, *unnamed: object, **options: Any) -> None:
        super().__init__(*unnamed, **options)
        self.router = Router()

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
