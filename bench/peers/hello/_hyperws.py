"""What the peers of hyperws share."""

from collections.abc import Awaitable, Callable

from bench.peers._uvloop import serve
from hyperws import Context, Server


def serve_handler(handler: Callable[[Context], Awaitable[None]]) -> None:
    """Serve "/" by a coroutine function, on uvloop."""

    async def start(port: int) -> Server:
        server = Server(host="127.0.0.1", port=port)
        server.route("/", handler)
        await server.start()
        return server

    serve(start)
