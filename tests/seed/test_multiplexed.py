"""`multiplexed_websocket_handler` and its parser."""

import re

import pytest

from . import handlers
from .conftest import receive_json, rest
from .handlers import MessageType, parse_message

CHAT = '{"type":"chat","content":"hi there"}'
UNKNOWN = {"type": "error", "message": "Unknown message type"}


async def test_each_type_of_message_has_its_answer(client, monkeypatch):
    monkeypatch.setattr(handlers, "current_timestamp", lambda: 1234567890)
    async with client("/mux") as websocket:
        welcome = await receive_json(websocket)
        assert re.fullmatch(r"client_\d+", welcome.pop("client_id"))
        assert welcome == {"type": "welcome"}

        for message, answer in [
            (CHAT, {"type": "chat", "content": "hi there"}),
            (CHAT.encode(), {"type": "chat", "content": "hi there"}),
            ('{"type":"command","command":"status"}', command_result("Server is running")),
            ('{"type":"command","command":"time"}', command_result("Current time: 1234567890")),
            ('{"type":"command","command":"memory"}', command_result("Memory usage: 95MB")),
            ('{"type":"command","command":"fly"}', command_result("Unknown command")),
            ('{"type":"ping"}', {"type": "pong"}),
            ('{"type":"dance"}', UNKNOWN),
            ('{"type":"chat"}', UNKNOWN),
            ("no JSON", UNKNOWN),
            (b"\xff", UNKNOWN),
        ]:
            await websocket.send(message)
            assert await receive_json(websocket) == answer

        await websocket.send("")
        assert await rest(websocket) == []


def command_result(result):
    return {"type": "command_result", "result": result}


@pytest.mark.parametrize(
    ("data", "parsed"),
    [
        (CHAT, MessageType.Chat("hi there")),
        ('{"content":"ü","type":"chat"}', MessageType.Chat("ü")),
        ('{"type":"chat","content":""}', MessageType.Chat("")),
        ('{"type":"chat","content":"no end', MessageType.Unknown()),
        ('{"type":"command","command":"time"}', MessageType.Command("time")),
        ('{"type":"command","content":"time"}', MessageType.Unknown()),
        ('{"type":"ping"}', MessageType.Ping()),
        ('{"type": "ping"}', MessageType.Unknown()),   # the seed looks for what JSON.stringify writes
        ("", MessageType.Unknown()),
    ],
)
def test_parse_message(data, parsed):
    assert parse_message(data.encode()) == parsed
