"""The page: every file in static/ at a route of its own, ``index.html`` at ``/``.

The files are read once, when the server is made, and a path is never turned into a file name: nothing but
these files can be asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from importlib.resources import files
from pathlib import PurePath
from typing import Any

from hyperws import Context, Server

CONTENT_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
HEADERS = {
    "content-security-policy": "default-src 'self'",
    "x-content-type-options": "nosniff",
    "cache-control": "no-cache",
}


def mount(server: Server) -> None:
    for file in files("hyperws.demo").joinpath("static").iterdir():
        content_type = CONTENT_TYPES.get(PurePath(file.name).suffix)
        if content_type is not None:  # leaves out what an editor may have put beside them
            path = "/" if file.name == "index.html" else f"/{file.name}"
            handler = page(file.read_bytes(), content_type)
            server.route(path, handler, methods=["GET", "HEAD"], websocket=False)


def page(body: bytes, content_type: str) -> Callable[[Context], Coroutine[Any, Any, None]]:
    """The handler that answers with this one file."""

    async def handler(ctx: Context) -> None:
        for name, value in HEADERS.items():
            ctx.set_response_header(name, value)
        await ctx.set_response_header("content-type", content_type).set_response_body(body).send()

    return handler
