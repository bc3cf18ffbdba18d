"""What no application lets a hostile visitor do."""

from __future__ import annotations

import json

import pytest
from websockets.sync.client import ClientConnection, connect

from .conftest import Demo, Visitors

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


# --- names

NAMES = ["Ada", "Zoë 👩‍🚀", "عمر", "می‌خواهم", "<b>x</b>", "e\u0301", "x" * 20, "🦦" * 20]
NO_NAMES = [
    "\u202eadA", "Ada \u2067", "Ada\u200f", "\u061cAda", "Ada\0", "Ada\x85", "A\nda", "Ada\u2028",
    "\u200b" * 5, "\u200d", "Ada\u200b", "\ufeffAda", "A\u2060da", "A\xadda", "x" * 21, "", " Ada",
]  # fmt: skip
ASKS = {
    "/chat/names": ({"type": "enter", "id": "12345678"}, "you"),
    "/game/names": ({"type": "join", "token": "a" * 24}, "joined"),
    "/broadcast": ({"type": "subscribe", "topic": "names"}, "subscribed"),
}


@pytest.mark.parametrize("path", ASKS)
@pytest.mark.parametrize("name", [*NAMES, *NO_NAMES], ids=ascii)
def test_a_name_is_what_it_looks_like(demo: Demo, path: str, name: str) -> None:
    ask, granted = ASKS[path]
    with connect(demo.socket(path), proxy=None) as client:
        client.send(json.dumps(ask | {"name": name}))
        while True:
            answer = json.loads(client.recv(TIMEOUT))
            if answer["type"] == granted:
                assert name in NAMES
                return
            if answer["type"] == "error":
                assert name in NO_NAMES
                return


def test_pages_know_which_names_servers_take(visitors: Visitors, demo: Demo) -> None:
    page = visitors.visit(demo, "/chat/names")
    usable = page.evaluate(
        """async (names) => {
            const { usable } = await import("/shared/visitor.js");
            return names.filter((name) => usable(name) === name);  // it may take off spaces
        }""",
        [*NAMES, *NO_NAMES],
    )
    assert usable == NAMES


def test_accents_piled_up_cover_nothing(visitors: Visitors, demo: Demo) -> None:
    page = visitors.visit(demo, "/chat/accents", name="e" + 19 * "\u0301")
    page.fill("#text", "e" + 900 * "\u0301")
    page.press("#text", "Enter")
    for part in ("#people li", "#log .own small", "#log .own span"):
        page.wait_for_selector(part)
        assert page.eval_on_selector(part, "one => getComputedStyle(one).overflowY") != "visible", part
