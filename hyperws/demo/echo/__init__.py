"""Echo, at /ws: every message comes back as it was sent, text as text and bytes as bytes.

The first message is the key of the client's handshake.
"""

from __future__ import annotations

from hyperws import Context, Server


def mount(server: Server) -> None:
    server.route("/ws", echo, websocket=True)


async def echo(ctx: Context) -> None:
    await ctx.send(ctx.headers["sec-websocket-key"])
    async for message in ctx:
        await ctx.send(message)
