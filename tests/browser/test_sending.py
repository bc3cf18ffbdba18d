"""hyperws.js sends and receives, and holds back where the line is full."""

from __future__ import annotations

from typing import Any

import pytest

from .conftest import Clock, Peers
from .pages import HEARTBEAT, connect, connected, messages, wait_for


def test_what_is_sent_and_received(page: Any, peers: Peers) -> None:
    peer = connect(page, peers)
    sent = page.evaluate(
        """() => [
            'text', {a: [1, null]}, 7, null, true, new Uint8Array([1, 2, 3]).subarray(1),
            new Uint8Array([4]).buffer, new DataView(new ArrayBuffer(2)), new Blob(['blob']), ''
        ].map(data => c.send(data))"""
    )
    assert sent == [True] * 10
    texts = ["text", '{"a":[1,null]}', "7", "null", "true"]
    assert [peer.hears_raw() for _ in range(10)] == [*texts, b"\2\3", b"\4", b"\0\0", b"blob", ""]
    for message in (*texts, "{not json", "", b"\0\xff", b'{"type": "pong"}'):
        peer.says_raw(message)
    got = page.evaluate_handle(
        """() => new Promise(done => setInterval(() => c.messages.length === 9 && done(c.messages), 10))"""
    )
    shown = got.evaluate(
        "all => all.map(one => one instanceof ArrayBuffer ? Array.from(new Uint8Array(one)) : one)"
    )
    as_they_are = ["{not json", "", [0, 255], list(b'{"type": "pong"}')]
    assert shown == ["text", {"a": [1, None]}, 7, None, True, *as_they_are]


def test_messages_as_they_come(page: Any, peers: Peers) -> None:
    peer = connect(page, peers, "{ parse: false }")
    peer.says_raw('{"type": "pong"}')
    assert messages(page, 1) == ['{"type": "pong"}']


def test_nothing_is_sent_where_there_is_no_connection(page: Any, peers: Peers) -> None:
    assert page.evaluate("() => { start(); return c.send('early') }") is False
    peer = connected(page, peers)
    assert page.evaluate("() => { c.cut(); return c.send('late') }") is False
    assert page.evaluate("() => { c.close(); return c.send('too late') }") is False
    assert peer.is_left()
    assert page.evaluate("() => c.drained()") is None


def test_nothing_is_sent_to_a_server_that_closes(page: Any, peers: Peers) -> None:
    connect(page, peers)
    page.evaluate("Object.defineProperty(WebSocket.prototype, 'readyState', { value: WebSocket.CLOSING })")
    assert page.evaluate("[c.state, c.send('into the void')]") == ["open", False]


def test_what_is_no_json_is_thrown_back(page: Any, peers: Peers) -> None:
    peer = connect(page, peers)
    with pytest.raises(Exception, match="BigInt"):
        page.evaluate("c.send({ number: 1n })")
    page.evaluate("c.send('goes on')")
    assert peer.hears_raw() == "goes on"


SO_MUCH = 1 << 26  # more than the system keeps between a page and a server that does not read
FILL = f"() => c.send(new ArrayBuffer({SO_MUCH})) && c.bufferedAmount"


def test_a_full_line(page: Any, peers: Peers, clock: Clock) -> None:
    peer = connect(page, peers)
    assert page.evaluate(FILL) == SO_MUCH
    page.evaluate("() => { c.subscribe('news'); c.drained().then(() => (window.isDrained = true)) }")
    clock.run(1)
    assert page.evaluate("[c.send('no'), window.isDrained]") == [False, None]
    assert len(peer.hears_raw()) == SO_MUCH
    assert peer.hears() == {"type": "subscribe", "topic": "news"}
    page.wait_for_function("c.bufferedAmount === 0")
    clock.run(0.02)
    assert page.evaluate("[c.send('yes'), window.isDrained]") == [True, True]
    assert peer.hears_raw() == "yes"


def test_a_line_that_drains_slowly_is_not_given_up_and_one_that_does_not_is(
    page: Any, peers: Peers, clock: Clock
) -> None:
    peer = connect(page, peers, "{ highWater: 1 << 30 }")
    page.evaluate(f"() => {{ for (let i = 0; i < 64; i++) c.send(new ArrayBuffer({SO_MUCH // 64})) }}")
    for _ in range(12):
        before = page.evaluate("c.bufferedAmount")
        while page.evaluate("c.bufferedAmount") >= before:
            peer.hears_raw()
        clock.run(HEARTBEAT / 4)
    assert page.evaluate("c.states") == ["connecting", "open"]
    assert page.evaluate("c.bufferedAmount") > 0
    clock.run(2 * HEARTBEAT)
    assert "waiting 1006 no sign of life from the server" in page.evaluate("c.states")


def test_a_loop_that_waits_for_the_connection_leaves_the_page_its_turn(page: Any, peers: Peers) -> None:
    connect(page, peers).aborts()
    wait_for(page, "waiting")
    page.evaluate("() => { (async () => { while (!c.send('at last')) await c.drained() })() }")
    assert connected(page, peers).hears_raw() == "at last"
