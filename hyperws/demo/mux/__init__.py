"""Many kinds of requests on one socket, at /mux, each answered by its id. All messages are JSON.

From a visitor:  {"type": "chat", "id": 1, "content": "hello"}
                 {"type": "command", "id": 2, "command": "status"}, or "time", or "memory"
                 {"type": "command", "id": 3, "command": "wait", "seconds": 2.5}
                 {"type": "ping", "id": 4}
To a visitor:    {"type": "welcome", "client_id": "client_1f0c3a77"}
                 {"type": "chat", "client_id": "client_1f0c3a77", "content": "hello"}, to everyone
                 {"type": "ack", "id": 1}, to who said it
                 {"type": "command_result", "id": 2, "command": "status", "result": {...}}
                 {"type": "pong", "id": 4}
                 {"type": "error", "id": 5, "text": "what is wrong with request 5"}

The client chooses the ids, texts or whole numbers; what has none is answered without one. An answer comes as
soon as it is there, so that a request that takes its time, such as "wait", is overtaken by others.
"""

from __future__ import annotations

import asyncio
import secrets
from contextlib import suppress
from pathlib import Path
from typing import Any

from hyperws import ConnectionClosed, Context, Server

from .. import pages
from ..messages import Rate, Refused, message
from .process import Commands, commands
from .protocol import Chat, Command, Ping, id_of, parse, reply

TOPIC = "mux"
MOST_WAITING = 8  # requests of one visitor


def mount(server: Server) -> None:
    known = commands(server)

    async def mux(ctx: Context) -> None:
        client = f"client_{secrets.token_hex(4)}"
        await ctx.send(message("welcome", client_id=client))
        ctx.subscribe(TOPIC)
        rate = Rate(20, 40)
        waiting: set[asyncio.Task[None]] = set()
        try:
            async for data in ctx:
                try:
                    match parse(data, rate):
                        case Ping(id=id):
                            await ctx.send(reply("pong", id))
                        case Chat(id=id, content=content):
                            server.publish(TOPIC, message("chat", client_id=client, content=content))
                            await ctx.send(reply("ack", id))
                        case Command(command="wait") as command:
                            wait_beside(ctx, command, waiting)
                        case Command() as command:
                            await ctx.send(run(command, known))
                except Refused as refused:
                    await ctx.send(reply("error", id_of(data), text=str(refused)))
        finally:
            for task in waiting:
                task.cancel()

    pages.show(server, "/mux", Path(__file__).parent)
    server.route("/mux", mux, websocket=True)


def run(command: Command, known: Commands) -> str:
    if command.command not in known:
        raise Refused(f"Unknown command: there are {', '.join(known)} and wait")
    return result_of(command, known[command.command]())


def result_of(command: Command, result: dict[str, Any]) -> str:
    return reply("command_result", command.id, command=command.command, result=result)


def wait_beside(ctx: Context, command: Command, waiting: set[asyncio.Task[None]]) -> None:
    """Answer after a while, in a task of its own: meanwhile, other requests are answered."""
    if len(waiting) == MOST_WAITING:
        raise Refused(f"{MOST_WAITING} requests are waiting already")

    async def wait() -> None:
        await asyncio.sleep(command.seconds)
        with suppress(ConnectionClosed):
            await ctx.send(result_of(command, {"seconds": command.seconds}))

    task = asyncio.create_task(wait())
    waiting.add(task)
    task.add_done_callback(waiting.discard)
