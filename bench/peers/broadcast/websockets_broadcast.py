"""websockets: its broadcast function, without compression."""

from websockets.asyncio.server import ServerConnection, broadcast
from websockets.asyncio.server import serve as websockets_serve

from bench.peers._uvloop import serve
from bench.peers.broadcast._messages import messages

subscribers: set[ServerConnection] = set()


async def handle(connection: ServerConnection) -> None:
    assert connection.request
    if connection.request.path == "/control":
        async for request in connection:
            assert isinstance(request, str)
            for message in messages(request):
                broadcast(subscribers, message)
    else:
        subscribers.add(connection)
        await connection.wait_closed()
        subscribers.discard(connection)


async def start(port: int) -> object:
    return await websockets_serve(handle, "127.0.0.1", port, compression=None)


serve(start)
