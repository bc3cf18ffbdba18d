"""A server for the tests of workers, as a process of its own that starts others.

Its argument is the options of the server, in JSON; "certificate" is the files for `tls`. On stdout it tells
its address once, as JSON.
"""

import json
import logging
import os
import sys

from hyperws import Limits, Server

logging.basicConfig(level=logging.INFO, format="%(message)s")
options = json.loads(sys.argv[1])
if certificate := options.pop("certificate", None):
    options["tls"] = tuple(certificate)
server = Server(**options, limits=Limits(shutdown_grace=60))


@server.route("/pid")
async def pid(ctx):
    await ctx.send(str(os.getpid()))


@server.route("/address")
async def address(ctx):
    await ctx.send(json.dumps(server.address))


@server.route("/upload")
async def upload(ctx):
    """Answer with the body, which comes to its end only when the client wants."""
    await ctx.send(await ctx.get_request_body())


@server.route("/stuck")
async def stuck(ctx):
    print("stuck", file=sys.stderr, flush=True)
    while True:
        pass


@server.route("/socket", websocket=True)
async def socket(ctx):
    async for message in ctx:
        await ctx.send(message)


@server.on_shutdown
def fail():
    if os.path.exists("fail"):
        os._exit(3)


if __name__ == "__main__":
    server.run(on_listening=lambda: print(json.dumps(server.address), flush=True))
    print("ended", flush=True)
