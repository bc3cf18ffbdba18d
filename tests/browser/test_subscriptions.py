"""hyperws.js subscribes, asks for what was missed, and tells what is lost."""

from __future__ import annotations

from typing import Any

from .conftest import Peers
from .pages import connect, connected, messages


def test_what_was_missed_is_asked_for(page: Any, peers: Peers) -> None:
    peer = connect(page, peers)
    page.evaluate("() => { c.subscribe('news', { kind: 'short' }); c.subscribe('sport') }")
    assert peer.hears() == {"type": "subscribe", "topic": "news", "kind": "short"}
    assert peer.hears() == {"type": "subscribe", "topic": "sport"}
    peer.says(type="subscribed", topic="news", at="e:1", recovered=None)
    peer.says(type="item", topic="sport", at="f:7")
    peer.says(type="item", topic="news", at="e:2")
    peer.says(type="item", topic="weather", at="g:1")  # nobody has asked for it
    peer.says(type="item", topic="sport")
    assert len(messages(page, 5)) == 5
    peer.aborts()
    peer = connected(page, peers)
    assert peer.hears() == {"type": "subscribe", "topic": "news", "since": "e:2", "kind": "short"}
    assert peer.hears() == {"type": "subscribe", "topic": "sport", "since": "f:7"}
    peer.aborts()
    peer = connected(page, peers)
    assert peer.hears()["since"] == "e:2"


def test_subscriptions_before_there_is_a_connection(page: Any, peers: Peers) -> None:
    page.evaluate(
        """() => {
            start('/', { onopen: connection => connection.send('open') });
            c.subscribe('news');
            c.subscribe('sport');
            c.unsubscribe('sport');
        }"""
    )
    peer = peers.next()
    assert peer.hears() == {"type": "subscribe", "topic": "news"}
    assert peer.hears_raw() == "open"


def test_a_page_may_say_where_it_begins(page: Any, peers: Peers) -> None:
    peer = connect(page, peers)
    page.evaluate("c.subscribe('news', { since: 'start' })")
    assert peer.hears()["since"] == "start"
    peer.aborts()
    peer = connected(page, peers)
    assert peer.hears()["since"] == "start"
    peer.says(type="item", topic="news", at="e:9")
    messages(page, 1)
    page.evaluate("c.subscribe('news', { since: 'e:5' })")  # it has lost something by itself
    assert peer.hears()["since"] == "e:5"
    peer.aborts()
    assert connected(page, peers).hears()["since"] == "e:5"


def test_a_subscription_that_is_told_late_does_not_move_the_position_back(page: Any, peers: Peers) -> None:
    peer = connect(page, peers)
    page.evaluate("c.subscribe('news')")
    for at in ("e:2", "e:3"):
        peer.says(type="item", topic="news", at=at)
    peer.says(type="subscribed", topic="news", at="e:1", recovered=None)
    messages(page, 3)
    peer.aborts()
    peer = connected(page, peers)
    assert peer.hears()["since"] == "e:3"
    peer.says(type="subscribed", topic="news", at="e:9", recovered=False)  # now it is the first to be told
    messages(page, 4)
    peer.aborts()
    assert connected(page, peers).hears()["since"] == "e:9"


def test_what_is_lost_is_told(page: Any, peers: Peers) -> None:
    peer = connect(page, peers)
    page.evaluate(
        """() => {
            window.lost = [];
            c.subscribe('news', { onlost: message => lost.push(message.at) });
            c.subscribe('sport');
        }"""
    )
    for recovered in (None, True, False):
        peer.says(type="subscribed", topic="news", at=f"{recovered}", recovered=recovered)
        peer.says(type="subscribed", topic="sport", at="e:1", recovered=recovered)
    assert len(messages(page, 6)) == 6
    assert page.evaluate("lost") == ["False"]


def test_unsubscribing(page: Any, peers: Peers) -> None:
    peer = connect(page, peers)
    page.evaluate("() => { c.subscribe('news'); c.unsubscribe('news'); c.unsubscribe('sport') }")
    assert [peer.hears()["type"], peer.hears()] == ["subscribe", {"type": "unsubscribe", "topic": "news"}]
    page.evaluate("() => { c.unsubscribe('news'); c.cut() }")
    assert peer.is_left()
    peer = connected(page, peers)
    page.evaluate("c.send('nothing was asked for')")
    assert peer.hears_raw() == "nothing was asked for"


def test_who_subscribes_again_at_each_connection_gets_nothing_twice(page: Any, peers: Peers) -> None:
    peer = connect(page, peers, "{ onopen: connection => connection.subscribe('news') }")
    assert peer.hears() == {"type": "subscribe", "topic": "news"}
    peer.says(type="item", topic="news", at="e:1")
    messages(page, 1)
    peer.aborts()
    peer = connected(page, peers)
    assert peer.hears() == {"type": "subscribe", "topic": "news", "since": "e:1"}
    assert peer.hears() == {"type": "subscribe", "topic": "news"}
