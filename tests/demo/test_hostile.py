"""What no application lets a hostile visitor do."""

from __future__ import annotations

import json

import pytest
from websockets.sync.client import ClientConnection, connect

from .conftest import Demo

TIMEOUT = 10  # seconds
SOCKETS = [
    "/chat/hostile", "/data", "/mux", "/broadcast", "/game/hostile", "/trading", "/collab/hostile",
    "/resilience",
]  # fmt: skip
LONG = "x" * 1_000_000


def error(client: ClientConnection) -> str:
    """The next error, among whatever else comes."""
    while True:
        data = client.recv(TIMEOUT)
        if isinstance(data, str) and '"type":"error"' in data:
            return data


@pytest.mark.parametrize("path", SOCKETS)
@pytest.mark.parametrize(
    "message",
    [{"type": LONG}, {"type": "ping", LONG: 1}, {"type": "command", "command": "time", LONG: 1}],
    ids=["type", "member", "member of another"],
)
def test_an_error_does_not_send_back_all_that_is_wrong(
    demo: Demo, path: str, message: dict[str, object]
) -> None:
    with connect(demo.socket(path), proxy=None) as client:
        client.send(json.dumps(message))
        assert len(error(client)) < 500
        client.send('{"type":"ping"}')
        while client.recv(TIMEOUT) != '{"type":"pong"}':
            pass
