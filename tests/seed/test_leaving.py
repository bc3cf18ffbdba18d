"""A client that leaves midway ends its handler, whichever handler it is and however the client leaves."""

import asyncio

import pytest

from . import handlers

RECEIVED_BEFORE = {     # handler: its path, and how many messages the client waits for before it leaves
    handlers.websocket_handler: ("/ws", 0),
    handlers.chat_websocket_handler: ("/chat", 1),
    handlers.real_time_data_handler: ("/data", 3),
    handlers.multiplexed_websocket_handler: ("/mux", 1),
    handlers.broadcast_websocket_handler: ("/broadcast", 1),
    handlers.game_websocket_handler: ("/game", 1),
    handlers.resilient_websocket_handler: ("/resilient", 2),
    handlers.trading_websocket_handler: ("/trading", 6),
    handlers.collaboration_websocket_handler: ("/collab", 1),
}


async def close(websocket):
    await websocket.close()
    assert websocket.close_code == 1000


async def vanish(websocket):
    websocket.transport.abort()


@pytest.mark.parametrize("leave", [close, vanish])
@pytest.mark.parametrize("message", [None, "midway"], ids=["idle", "busy"])
@pytest.mark.parametrize("handler", RECEIVED_BEFORE, ids=lambda handler: handler.__name__)
async def test_the_handler_ends(client, handler_returns, monkeypatch, handler, message, leave):
    # The only handler that learns of it by its own heartbeat; the streams keep the seed's seconds, of which
    # most are left when the client goes.
    monkeypatch.setattr(handlers, "HEARTBEAT_INTERVAL", 0.15)
    returned = handler_returns(handler)
    path, count = RECEIVED_BEFORE[handler]
    async with client(path) as websocket:
        for _ in range(count):
            await websocket.recv()
        if message is not None:
            await websocket.send(message)
        await leave(websocket)
        await asyncio.wait_for(returned, 5)
