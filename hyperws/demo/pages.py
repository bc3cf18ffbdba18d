"""The page: every file in static/ at a route of its own, ``index.html`` at ``/``.

A path is never turned into a file name: nothing but these files can be asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from hyperws import Context, Server


def mount(server: Server) -> None:
    for file in Path(__file__).with_name("static").iterdir():
        path = "/" if file.name == "index.html" else f"/{file.name}"
        server.route(path, page(file), methods=["GET", "HEAD"], websocket=False)


def page(file: Path) -> Callable[[Context], Coroutine[Any, Any, None]]:
    """The handler that answers with this one file."""

    async def handler(ctx: Context) -> None:
        await ctx.set_response_header("content-security-policy", "default-src 'self'").send_file(file)

    return handler
