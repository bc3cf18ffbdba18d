"""The server of soak.py: `soak_server.py PORT [URL of a backplane]`, with two workers.

A client says `[room, name]` in the path's query and is a member of that room, gets its last ten messages, and
what it sends is published there.
"""

import sys

from hyperws import Context, Server

server = Server(port=int(sys.argv[1]), workers=2).history("room:*", messages=50, seconds=20)
if len(sys.argv) > 2:
    server.backplane(sys.argv[2])


@server.route("/{room}/{name}")
async def serve(ctx: Context) -> None:
    room, name = ctx.params["room"], ctx.params["name"]
    await ctx.subscribe(f"room:{room}", since="start", policy="latest")
    await ctx.subscribe(f"plain:{room}", policy="drop", member=name)
    members = await server.members(f"plain:{room}")
    await ctx.send(f"{len(members)} members")
    async for message in ctx:
        server.publish(f"room:{room}", message)
        ctx.publish(f"plain:{room}", message)


if __name__ == "__main__":
    server.run()
