"""hyperws: published by the plain function that the control connection's messages are given to."""

from bench.peers._uvloop import serve
from bench.peers.broadcast._messages import messages
from hyperws import Context, Server


async def subscribe(ctx: Context) -> None:
    ctx.subscribe("feed")
    await ctx.wait_closed()


async def start(port: int) -> Server:
    server = Server(host="127.0.0.1", port=port)

    def publish(ctx: Context, request: str) -> None:
        for message in messages(request):
            server.publish("feed", message)

    server.route("/", subscribe)
    server.route("/control", on_message=publish)
    await server.start()
    return server


serve(start)
