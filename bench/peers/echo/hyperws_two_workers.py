"""hyperws: two worker processes that share the port, and here the core."""

import sys

from hyperws import Context, Server


def echo(ctx: Context, message: str | bytes) -> None:
    ctx.send(message)


server = Server(host="127.0.0.1", port=int(sys.argv[1]), workers=2)
server.route("/", on_message=echo)
server.run()
