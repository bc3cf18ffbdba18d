"""The echo server that the Autobahn suite is run against. Prints its port once it listens."""

from hyperws import Compression, Limits, Server

# a client that wants no context kept says so: this way the suite sees both
keeping = Compression(server_no_context_takeover=False, client_no_context_takeover=False)
server = Server(
    port=0,
    compression=keeping,
    limits=Limits(max_message_size=16 * 1024 * 1024, send_queue=64 * 1024 * 1024),
)


@server.route("/")
async def echo(ctx):
    async for message in ctx:
        await ctx.send(message)


server.route("/callback", on_message=lambda ctx, message: ctx.send(message))
server.run(on_listening=lambda: print(server.address[1], flush=True))
