"""The part of `Server` that tells which handler serves which path."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, Self, TypeVar, overload

from hyperws.errors import RouteError
from hyperws.folders import Folder
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

    def static(
        self, prefix: str, directory: str | os.PathLike[str], *, max_age: int | None = None
    ) -> Self:
        """Serve the files of a directory below a path, as in `static("/assets", "build/assets")`.

        A folder's path gives its `index.html`. Clients that take gzip get `name.gz` where that lies beside
        `name` and is not older. Caches ask each time whether a file has changed, or keep it for `max_age`
        seconds. Hidden files (all but `.well-known`) and links that lead out of the directory can't be had.

        Raises RouteError for a bad or duplicate path, ConfigurationError for a directory that isn't there.
        """
        parse_pattern(prefix)
        if "{" in prefix:
            raise RouteError(f"{prefix!r}: static takes a path without names, as in '/assets'")
        base = prefix.removesuffix("/")
        folder = Folder(base.count("/"), directory, max_age)
        for pattern in filter(None, [base, base + "/{path:path}"]):
            self.route(pattern, folder, methods=["GET", "HEAD"], websocket=False)
        return self
