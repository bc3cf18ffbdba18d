"""websockets: its asyncio server, without compression."""

from websockets.asyncio.server import ServerConnection
from websockets.asyncio.server import serve as websockets_serve

from bench.peers._uvloop import serve


async def echo(connection: ServerConnection) -> None:
    async for message in connection:
        await connection.send(message)


async def start(port: int) -> object:
    return await websockets_serve(echo, "127.0.0.1", port, compression=None)


serve(start)
