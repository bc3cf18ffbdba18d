"""`websocket_handler` and `chat_websocket_handler`."""

import pytest
from websockets.asyncio.client import connect

from .conftest import address, rest
from .handlers import create_server


@pytest.mark.parametrize(
    "message",
    ["Hello from client!", "ü", b"\xff\x00", b"valid UTF-8", "x" * 100_000, b"\xff" * 100_000, ""],
    ids=["text", "not ASCII", "binary", "binary that reads as text", "long text", "long binary", "empty"],
)
async def test_the_handshake_key_and_the_message_come_back_and_then_the_end(client, message):
    async with client("/ws") as websocket:
        await websocket.send(message)
        key = websocket.request.headers["Sec-WebSocket-Key"]
        assert await rest(websocket) == [key, message]


async def test_chat_welcomes_a_client_by_its_address_and_echoes_in_order(client):
    async with client("/chat") as websocket:
        assert await websocket.recv() == f"Welcome to chat, client: {address(websocket)}"
        said = ["hello", "Grüße, 世界 👋", "x" * 100_000, *map(str, range(100))]
        for message in said:
            await websocket.send(message)
        for message in said:
            assert await websocket.recv() == f"Echo: {message}"


async def test_chat_answers_binary_with_text_and_replaces_what_is_not_utf_8(client):
    async with client("/chat") as websocket:
        await websocket.recv()
        await websocket.send(b"a\xffb")
        assert await websocket.recv() == "Echo: a\N{REPLACEMENT CHARACTER}b"


async def test_chat_ends_at_an_empty_message(client):
    async with client("/chat") as websocket:
        await websocket.recv()
        await websocket.send("last")
        await websocket.send("")
        assert await rest(websocket) == ["Echo: last"]


async def test_chat_keeps_clients_apart(serving):
    async with (
        serving(create_server("127.0.0.1", 0)) as running,
        connect(running.ws("/chat")) as alice,
        connect(running.ws("/chat")) as bob,
    ):
        for websocket in (alice, bob):
            assert await websocket.recv() == f"Welcome to chat, client: {address(websocket)}"
        await bob.send("from bob")
        await alice.send("from alice")
        assert await alice.recv() == "Echo: from alice"
        assert await bob.recv() == "Echo: from bob"
