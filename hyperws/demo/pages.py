"""Pages: the front page, what all pages share, and the folder `page/` of each application.

A path is never turned into a file name but by `Server.static`: nothing but the files in these folders can be
asked for.
"""

from __future__ import annotations

from pathlib import Path

from hyperws import Context, Server, browser

HERE = Path(__file__).parent
POLICY = "default-src 'self'; object-src 'none'; frame-ancestors 'none'"


def mount(server: Server) -> None:
    @server.response_middleware
    def protect(ctx: Context) -> None:
        """Whatever a visitor manages to slip in: no page runs it."""
        ctx.set_response_header("content-security-policy", POLICY)
        ctx.set_response_header("x-content-type-options", "nosniff")

    browser.serve(server)
    server.static("/shared", HERE / "shared")
    show(server, "/", HERE / "front")


def show(server: Server, pattern: str, folder: Path, file: str = "index.html") -> None:
    """Serve `page/index.html` in an application's folder at `pattern`, what lies beside it at /pages/NAME."""
    page = folder / "page"

    async def index(ctx: Context) -> None:
        await ctx.send_file(page / file)

    server.route(pattern, index, methods=["GET", "HEAD"], websocket=False)
    server.static(f"/pages/{folder.name}", page)
