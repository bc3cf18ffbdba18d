"""The echo server that the Autobahn suite is run against. Prints its port once it listens."""

from hyperws import Limits, Server

server = Server(
    port=0, compression=True, limits=Limits(max_message_size=16 * 1024 * 1024, send_queue=64 * 1024 * 1024)
)


@server.route("/")
async def echo(ctx):
    async for message in ctx:
        await ctx.send(message)


server.route("/callback", on_message=lambda ctx, message: ctx.send(message))
server.run(on_listening=lambda: print(server.address[1], flush=True))
