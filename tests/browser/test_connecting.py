"""hyperws.js connects: where to, by which protocol, and twice at once."""

from __future__ import annotations

from typing import Any

import pytest

from .conftest import Clock, Peers
from .pages import KEPT, connect, connected, messages, wait_for


def test_a_function_gives_the_url_of_each_attempt(page: Any, peers: Peers) -> None:
    page.evaluate("() => { let attempt = 0; start(() => `/path?attempt=${++attempt}`) }")
    for attempt in range(1, 4):
        peer = connected(page, peers)
        assert peer.path == f"/path?attempt={attempt}"
        peer.aborts()
        wait_for(page, "waiting")


@pytest.mark.parametrize("scheme", ["http", "ws"])
def test_a_whole_url(page: Any, peers: Peers, scheme: str) -> None:
    page.evaluate(f"() => {{ start('{scheme}://localhost:{peers.port}/there?a=1') }}")
    assert peers.next().path == "/there?a=1"
    assert page.evaluate("made") == [f"ws://localhost:{peers.port}/there?a=1"]  # what all browsers know


@pytest.mark.parametrize("url", ["'http://['", "'mailto:me'", "() => { throw new SyntaxError('invalid') }"])
def test_a_url_that_is_none(page: Any, url: str) -> None:
    page.evaluate(KEPT)
    with pytest.raises(Exception, match=r"SyntaxError|Invalid URL|invalid"):
        page.evaluate(f"() => {{ start({url}) }}")
    assert page.evaluate("[kept.timers.size, kept.listeners]") == [0, 0]


def test_a_function_that_gives_no_url_for_a_while(page: Any, peers: Peers) -> None:
    page.evaluate(
        """() => {
            let attempt = 0;
            start(() => {
                attempt += 1;
                if (attempt === 2) throw new Error('no token yet');
                return attempt === 3 ? 'http://[' : '/';
            });
        }"""
    )
    connected(page, peers).aborts()
    connected(page, peers)
    states = page.evaluate("c.states")
    assert states[:4] == ["connecting", "open", "waiting 1006 ", "waiting 1006 no token yet"]
    assert states[4].startswith("waiting 1006 Failed to construct 'URL'")
    assert states[5:] == ["connecting", "open"]


@pytest.mark.parametrize("then", ["return '/'", "throw new Error('no')"])
def test_a_function_that_has_had_enough(page: Any, peers: Peers, clock: Clock, then: str) -> None:
    page.evaluate(
        f"""() => {{
            window.asked = 0;
            start(() => {{
                if (++asked === 1) return '/';
                c.close();
                {then};
            }});
        }}"""
    )
    connected(page, peers).aborts()
    wait_for(page, "waiting")
    clock.run(60)
    assert page.evaluate("c.states") == ["connecting", "open", "waiting 1006 ", "closed 1000 "]
    assert page.evaluate("[made.length, asked]") == [1, 2]


@pytest.mark.parametrize(
    ("protocols", "chosen"), [("undefined", None), ("'first'", "first"), ("['other', 'second']", "second")]
)
def test_protocols(page: Any, peers: Peers, protocols: str, chosen: str | None) -> None:
    peer = connect(page, peers, f"{{ protocols: {protocols} }}")
    assert peer.connection.subprotocol == chosen


def test_two_connections_beside_each_other(page: Any, peers: Peers) -> None:
    first = connect(page, peers)
    page.evaluate("window.first = c")
    second = connect(page, peers)
    page.evaluate("() => { first.subscribe('news'); c.subscribe('sport') }")
    assert (first.hears()["topic"], second.hears()["topic"]) == ("news", "sport")
    page.evaluate("first.close()")
    assert first.is_left()
    second.says(type="item")
    messages(page, 1)
    assert page.evaluate("[first.states.at(-1), first.messages, c.states]") == [
        "closed 1000 ",
        [],
        ["connecting", "open"],
    ]
