"""The seed's server, started for a test, and what its clients and handlers have in common."""

import asyncio
import json
from contextlib import asynccontextmanager, suppress

import pytest
from websockets.asyncio.client import connect

from hyperws import ConnectionClosed

from . import handlers


@pytest.fixture
def client(serving):
    """`async with client("/chat") as websocket:` is connected to a server of its own."""

    @asynccontextmanager
    async def client(path):
        async with (
            serving(handlers.create_server("127.0.0.1", 0)) as running,
            connect(running.ws(path)) as websocket,
        ):
            yield websocket

    return client


@pytest.fixture
def handler_returns(monkeypatch):
    """`handler_returns(handler)` is a future that is done once that handler has come to its own end.

    Its end by ConnectionClosed is one too, but not its cancellation. To be called before the server is made.
    """

    def handler_returns(handler):
        returned = asyncio.get_running_loop().create_future()

        async def watched(ctx):
            with suppress(ConnectionClosed):
                await handler(ctx)
            returned.set_result(None)

        monkeypatch.setattr(handlers, handler.__name__, watched)
        return returned

    return handler_returns


def address(websocket):
    """A client's address as the server knows it."""
    host, port = websocket.local_address
    return f"{host}:{port}"


def from_json(message):
    """What the message of a server says in JSON, which a browser could read: it is text."""
    assert isinstance(message, str)
    return json.loads(message)


async def receive_json(websocket):
    return from_json(await websocket.recv())


async def rest(websocket):
    """All further messages, until the server has closed the connection as a handler's end does."""
    messages = [message async for message in websocket]
    assert websocket.close_code == 1000
    return messages
