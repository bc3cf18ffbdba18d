"""A server for test_rolling.py, as a process of its own: what is in flight ends once a line comes on stdin.

Its argument is the grace that it gives them, in seconds. On stdout it tells its port, then the number of each
request as its handler starts.
"""

import asyncio
import logging
import sys

from hyperws import Limits, Server

logging.basicConfig(level=logging.INFO, format="%(message)s")
server = Server(port=0, access_log=True, limits=Limits(shutdown_grace=float(sys.argv[1])))
go_on = asyncio.Event()


@server.on_startup
def watch_stdin():
    asyncio.get_running_loop().add_reader(sys.stdin, go_on.set)


@server.on_shutdown
def leave_stdin():
    asyncio.get_running_loop().remove_reader(sys.stdin)


@server.route("/wait/{number}")
async def wait(ctx):
    """Answer, once it may."""
    print(ctx.params["number"], flush=True)
    await go_on.wait()
    await ctx.send(ctx.params["number"] * 1000)


@server.route("/stream/{number}")
async def stream(ctx):
    """Answer half, and the other half once it may."""
    await ctx.set_response_body(ctx.params["number"] * 500).send_body()
    print(ctx.params["number"], flush=True)
    await go_on.wait()
    await ctx.set_response_body(ctx.params["number"] * 500).send_body()


@server.route("/upload/{number}")
async def upload(ctx):
    """Answer with the body, which comes to its end only when the client wants."""
    print(ctx.params["number"], flush=True)
    await ctx.send(await ctx.get_request_body())


@server.route("/socket/{number}", websocket=True)
async def socket(ctx):
    async for message in ctx:
        await ctx.send(message)


server.run(on_listening=lambda: print(server.address[1], flush=True))
