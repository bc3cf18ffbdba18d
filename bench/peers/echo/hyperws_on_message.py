"""hyperws: a plain function called inside the compiled read loop."""

from bench.peers._uvloop import serve
from hyperws import Server


async def start(port: int) -> Server:
    server = Server(host="127.0.0.1", port=port)
    server.route("/", on_message=lambda ctx, message: ctx.send(message))
    await server.start()
    return server


serve(start)
