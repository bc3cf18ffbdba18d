"""hyperws: a coroutine that sends a str."""

from bench.peers.hello._hyperws import serve_handler
from hyperws import Context


async def hello(ctx: Context) -> None:
    await ctx.send("Hello, World!")


serve_handler(hello)
