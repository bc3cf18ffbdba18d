"""hyperws.js, a WebSocket in the browser that comes back: `serve(server)` gives it to pages.

Pages import it, `import { connect } from "/hyperws.js"`. What it sends and expects is in docs/browser.md.
"""

from __future__ import annotations

from pathlib import Path

from hyperws.context import Context
from hyperws.server import Server

SCRIPT = Path(__file__).with_name("hyperws.js")


def serve(server: Server, path: str = "/hyperws.js") -> None:
    """Route `path` to the script. Raises RouteError where that is no path, or taken."""

    async def script(ctx: Context) -> None:
        await ctx.send_file(SCRIPT)

    server.route(path, script, methods=["GET", "HEAD"], websocket=False)
