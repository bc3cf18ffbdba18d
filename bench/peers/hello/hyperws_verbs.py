"""hyperws: a coroutine that puts the response together with the verbs."""

from bench.peers.hello._hyperws import serve_handler
from hyperws import Context


async def hello(ctx: Context) -> None:
    await ctx.set_response_header("content-type", "text/plain").set_response_body("Hello, World!").send()


serve_handler(hello)
