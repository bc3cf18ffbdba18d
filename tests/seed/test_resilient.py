"""`resilient_websocket_handler`."""

import pytest

from . import handlers
from .conftest import address, receive_json


@pytest.fixture(autouse=True)
def _short_times(monkeypatch):
    monkeypatch.setattr(handlers, "HEARTBEAT_INTERVAL", 0.05)
    monkeypatch.setattr(handlers, "RECEIVE_DELAY", 0.001)


async def acknowledgment(websocket):
    assert await receive_json(websocket) == {"type": "connected", "client": address(websocket)}
    assert await receive_json(websocket) == {"type": "heartbeat", "count": 0}


async def next_answer(websocket, heartbeats):
    """The next message that is no heartbeat; the counts of those before it are added to `heartbeats`."""
    while (told := await receive_json(websocket))["type"] == "heartbeat":
        heartbeats.append(told["count"])
    return told


async def test_messages_are_processed_or_refused_and_the_connection_goes_on(client):
    async with client("/resilient") as websocket:
        await acknowledgment(websocket)
        for message, answer in [
            ("hi", {"type": "processed", "original": "hi"}),
            ("x" * 1025, {"type": "error", "message": "Message too long"}),
            ("ü" * 513, {"type": "error", "message": "Message too long"}),
            (" \t\n", {"type": "error", "message": "Empty message"}),
            ("x" * 1024, {"type": "processed", "original": "x" * 1024}),
            (b"\xff", {"type": "processed", "original": "\N{REPLACEMENT CHARACTER}"}),
        ]:
            await websocket.send("")    # skipped, and not the end of this handler
            await websocket.send(message)
            assert await next_answer(websocket, []) == answer


async def test_a_heartbeat_tells_how_many_messages_there_were(client):
    async with client("/resilient") as websocket:
        await acknowledgment(websocket)
        heartbeats = []
        processed = 0
        while len(heartbeats) < 3:
            await websocket.send("hi")
            before = len(heartbeats)
            assert await next_answer(websocket, heartbeats) == {"type": "processed", "original": "hi"}
            assert heartbeats[before:] == [processed] * (len(heartbeats) - before)
            processed += 1


async def test_the_cleanup_after_the_loop_runs_once_the_client_has_left(client, capsys):
    async with client("/resilient") as websocket:
        await acknowledgment(websocket)
        left = address(websocket)
    # The server has stopped by now, and has waited for its handler.
    assert capsys.readouterr().out == f"WebSocket connection closed for {left}\n"
