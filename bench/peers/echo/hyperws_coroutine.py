"""hyperws: a coroutine per connection."""

from bench.peers._uvloop import serve
from hyperws import Context, Server


async def echo(ctx: Context) -> None:
    async for message in ctx:
        await ctx.send(message)


async def start(port: int) -> Server:
    server = Server(host="127.0.0.1", port=port)
    server.route("/", echo)
    await server.start()
    return server


serve(start)
