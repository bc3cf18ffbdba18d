"""hyperws.js leaves nothing when it is closed, whoever closes it and when; callbacks may throw."""

from __future__ import annotations

from typing import Any

import pytest

from .conftest import Clock, Peers
from .pages import KEPT, connect, connected, happen, messages, wait_for


@pytest.mark.parametrize("state", ["connecting", "open", "waiting"])
def test_close_leaves_nothing(page: Any, peers: Peers, state: str) -> None:
    page.evaluate(KEPT)
    if state == "connecting":
        page.evaluate("() => { start(); c.subscribe('news') }")
    else:
        peer = connect(page, peers)
        if state == "waiting":
            peer.close(1011)
            wait_for(page, "waiting")
    assert page.evaluate("kept.timers.size > 0 && kept.listeners > 0")
    page.evaluate("() => { c.close(); c.close(3000) }")
    assert page.evaluate("[kept.timers.size, kept.listeners]") == [0, 0]
    if state == "open":
        assert peer.is_left()
        assert peer.connection.close_code == 1000
    assert page.evaluate("c.states.at(-1)") == "closed 1000 "


def test_nothing_comes_after_close(page: Any, peers: Peers, clock: Clock) -> None:
    peer = connect(page, peers)
    page.evaluate("c.close(3001, 'enough')")
    assert peer.is_left()
    assert (peer.connection.close_code, peer.connection.close_reason) == (3001, "enough")
    clock.run(60)
    happen(page, "online")
    happen(page, "visible")
    assert page.evaluate("[c.states, c.messages]") == [["connecting", "open", "closed 3001 enough"], []]


@pytest.mark.parametrize("given", ["1001", "1000, 'long'.repeat(40)"])
def test_a_close_that_is_not_allowed_ends_nothing(page: Any, peers: Peers, given: str) -> None:
    peer = connect(page, peers)
    with pytest.raises(Exception, match="close"):
        page.evaluate(f"c.close({given})")
    page.evaluate("c.send('still here')")
    assert peer.hears_raw() == "still here"


@pytest.mark.parametrize("how", ["close", "cut"])
@pytest.mark.parametrize("where", ["connecting", "open", "onopen", "onmessage", "onlost", "waiting"])
def test_a_callback_may_end_it(page: Any, peers: Peers, clock: Clock, where: str, how: str) -> None:
    page.evaluate(
        """([where, how]) => {
            window.calls = [];
            const end = (name, connection) => {
                calls.push(name);
                if (name !== where || window.ended) return;
                window.ended = true;
                connection[how]();
            };
            start('/', {
                onstate: connection => end(connection.state, connection),
                onopen: connection => end('onopen', connection),
                onmessage: () => end('onmessage', c),
            });
            c.subscribe('news', { onlost: () => end('onlost', c) });
        }""",
        [where, how],
    )
    if where not in ("connecting", "open", "onopen"):
        peer = peers.next()
        peer.says(type="subscribed", topic="news", recovered=False)
        page.wait_for_function("calls.includes('onlost')")
        if where == "waiting":
            peer.aborts()
    page.wait_for_function("window.ended")
    before = {
        "connecting": ["connecting"],
        "open": ["connecting", "open"],
        "onopen": ["connecting", "open", "onopen"],
        "onlost": ["connecting", "open", "onopen", "onlost"],
        "onmessage": ["connecting", "open", "onopen", "onlost", "onmessage"],
        "waiting": ["connecting", "open", "onopen", "onlost", "onmessage", "waiting"],
    }[where]
    if how == "close":
        clock.run(60)
        assert page.evaluate("calls") == [*before, "closed"]
        return
    clock.run(1)
    page.wait_for_function("calls.filter(call => call === 'onopen').length > 0 && c.state === 'open'")
    after = [] if where == "waiting" else ["waiting"]
    late = ["onmessage"] if where == "onlost" else []
    assert page.evaluate("calls") == [*before, *after, *late, "connecting", "open", "onopen"]


@pytest.mark.parametrize("where", ["onstate", "onopen", "onmessage", "onlost"])
def test_a_callback_may_throw(page: Any, peers: Peers, errors: list[str], where: str) -> None:
    fault = f"{where}() {{ throw new Error('mine') }}"
    peer = connect(page, peers, f"{{ {fault} }}")
    page.evaluate(f"c.subscribe('news', {{ {fault} }})")
    assert peer.hears() == {"type": "subscribe", "topic": "news"}
    peer.says(type="subscribed", topic="news", at="e:1", recovered=False)
    peer.says(type="item", topic="news", at="e:2")
    if where == "onmessage":
        page.wait_for_event("pageerror", lambda _: len(errors) == 2)
    else:
        messages(page, 2)
    page.evaluate("c.cut()")
    peer = connected(page, peers)
    assert peer.hears() == {"type": "subscribe", "topic": "news", "since": "e:2"}
    page.evaluate("c.close()")
    assert {"onstate": 6, "onopen": 2, "onmessage": 2, "onlost": 1}[where] == len(errors)
    assert set(errors) == {"mine"}
    errors.clear()
