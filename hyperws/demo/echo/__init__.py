"""Echo, at /ws: every message comes back as it was sent, text as text and bytes as bytes.

Its page is at /echo. The first message is the key of the client's handshake. Whoever sends without reading is
not read either: `send` waits. With several processes, each answers those who are connected to it.
"""

from __future__ import annotations

from pathlib import Path

from hyperws import Context, Server

from .. import pages


def mount(server: Server) -> None:
    pages.show(server, "/echo", Path(__file__).parent)
    server.route("/ws", echo, websocket=True)


async def echo(ctx: Context) -> None:
    await ctx.send(ctx.headers["sec-websocket-key"])
    async for message in ctx:
        await ctx.send(message)
