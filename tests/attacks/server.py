"""The server that is attacked: `server.py '{"limits": {"max_headers": 5}, "files": 64}'`.

Prints its port once it listens. `files` bounds its file descriptors.
"""

import json
import resource
import sys

from hyperws import ConnectionClosed, Limits, Server, UsageError

settings = json.loads(sys.argv[1])
if "files" in settings:
    resource.setrlimit(resource.RLIMIT_NOFILE, (settings["files"], settings["files"]))

server = Server(port=0, limits=Limits(**settings["limits"]), compression=True, subprotocols=["b"])
ended = []  # the close codes that handlers of /topic have seen


@server.route("/", websocket=False, methods=["GET", "POST"])
async def page(ctx):
    """Looks at all that a request brings, as applications do."""
    seen = dict(ctx.headers), ctx.query, ctx.cookies, await ctx.get_request_body()
    await ctx.send(f"alive, {len(seen[0])} headers")


@server.route("/", websocket=True)
async def echo(ctx):
    async for message in ctx:
        await ctx.send(message)


@server.route("/topic")
async def topic(ctx):
    ctx.subscribe("all")
    try:
        while True:
            server.publish("all", await ctx.receive())
    except ConnectionClosed as error:
        ended.append(error.code)


@server.route("/ended")
async def codes(ctx):
    await ctx.send(json.dumps(ended))


@server.route("/header")
async def header(ctx):
    """Lets the peer choose a header, as a careless application does."""
    try:
        ctx.set_response_status_code(302).set_response_header(ctx.query["name"], ctx.query["value"])
    except UsageError:
        ctx.set_response_status_code(500)
    await ctx.send("done")


@server.route("/reason")
async def reason(ctx):
    """Closes with the reason that the peer chooses."""
    async for message in ctx:
        try:
            await ctx.close(1000, message.decode(errors="surrogateescape"))
        except UsageError:
            await ctx.send("refused")


server.run(on_listening=lambda: print(server.address[1], flush=True))
