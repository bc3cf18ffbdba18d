"""hyperws.js asks a server that says nothing for a sign of life, and gives it up."""

from __future__ import annotations

from typing import Any

import pytest

from .conftest import Clock, Peers
from .pages import HEARTBEAT, connect, connected, happen, messages

PING = {"type": "ping"}


def test_a_server_that_falls_silent_is_given_up(page: Any, peers: Peers, clock: Clock) -> None:
    peer = connect(page, peers)
    clock.run(HEARTBEAT)
    assert peer.hears() == PING
    clock.run(HEARTBEAT - 1)
    assert page.evaluate("c.send('after one ping')")
    assert peer.hears_raw() == "after one ping"
    clock.run(1)
    assert page.evaluate("c.states.at(-1)") == "waiting 1006 no sign of life from the server"
    assert peer.is_left()
    clock.run(1)
    peer = connected(page, peers)
    clock.run(HEARTBEAT)
    assert peer.hears() == PING  # it is not trusted any more than the one before


def test_whatever_the_server_says_is_a_sign_of_life(page: Any, peers: Peers, clock: Clock) -> None:
    peer = connect(page, peers)
    for number in range(8):
        clock.run(HEARTBEAT * 0.75)
        peer.says(number=number)
        messages(page, number + 1)
    page.evaluate("c.send('that was all')")
    assert peer.hears_raw() == "that was all"  # and no ping before it


def test_a_server_that_answers_pings(page: Any, peers: Peers, clock: Clock) -> None:
    peer = connect(page, peers)
    for number in range(1, 4):
        clock.run(HEARTBEAT)
        assert peer.hears() == PING
        clock.run(HEARTBEAT * 0.75)
        peer.says(type="pong")
        peer.says(type="pong", id=number)
        assert messages(page, number)[-1] == {"type": "pong", "id": number}  # which the page wants
    assert page.evaluate("c.states") == ["connecting", "open"]
    assert len(page.evaluate("c.messages")) == 3


def test_after_a_sleep_the_server_may_answer_before_it_is_given_up(
    page: Any, peers: Peers, clock: Clock
) -> None:
    """So may it where timers run once a minute, as in a page that is hidden."""
    peer = connect(page, peers)
    for _ in range(4):
        clock.sleep(60)
    assert peer.hears() == PING
    for _ in range(3):
        clock.sleep(3600)
    assert page.evaluate("c.states") == ["connecting", "open"]
    peer.says(type="here")
    messages(page, 1)
    clock.sleep(3600)
    assert page.evaluate("c.states") == ["connecting", "open"]


@pytest.mark.parametrize("moment", ["online", "visible"])
def test_the_moment_to_ask_for_a_sign_of_life(page: Any, peers: Peers, clock: Clock, moment: str) -> None:
    peer = connect(page, peers)
    happen(page, moment)
    happen(page, moment)
    assert peer.hears() == PING
    page.evaluate("c.send('and not twice')")
    assert peer.hears_raw() == "and not twice"
    clock.run(HEARTBEAT)
    assert page.evaluate("c.state") == "waiting"


def test_no_heartbeat(page: Any, peers: Peers, clock: Clock) -> None:
    peer = connect(page, peers, "{ heartbeat: 0 }")
    clock.run(1000)
    happen(page, "online")
    page.evaluate("c.send('still here')")
    assert peer.hears_raw() == "still here"
