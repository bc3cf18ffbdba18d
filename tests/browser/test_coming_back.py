"""hyperws.js comes back: after what, when, and when it does not."""

from __future__ import annotations

from typing import Any

import pytest

from .conftest import Clock, Peers
from .pages import connect, connected, happen, wait_for

PATIENCE = 15  # seconds, by default


def test_states_in_their_order_through_a_restart_of_the_server(page: Any, peers: Peers) -> None:
    connect(page, peers)
    peers.end()
    wait_for(page, "waiting")
    peers.begin()
    connected(page, peers)
    states = page.evaluate("c.states")
    assert states[:4] == ["connecting", "open", "waiting 1012 restart", "connecting"]
    assert states[4:-1] == ["waiting 1006 ", "connecting"] * ((len(states) - 5) // 2)  # while it was away
    assert states[-1] == "open"
    assert page.evaluate("[c.code === null, c.retryAt]") == [False, None]


def test_a_connection_that_breaks(page: Any, peers: Peers) -> None:
    connect(page, peers).aborts()
    connected(page, peers)
    assert page.evaluate("c.states") == ["connecting", "open", "waiting 1006 ", "connecting", "open"]


def test_cut(page: Any, peers: Peers) -> None:
    peer = connect(page, peers)
    page.evaluate("c.cut()")
    assert peer.is_left()
    connected(page, peers)
    cut = "waiting 1006 cut on this page"
    assert page.evaluate("c.states") == ["connecting", "open", cut, "connecting", "open"]


def test_cut_is_nothing_where_there_is_no_connection(page: Any, peers: Peers, clock: Clock) -> None:
    connect(page, peers)
    page.evaluate("() => { c.cut(); c.cut() }")
    assert page.evaluate("c.states.length") == 3
    page.evaluate("() => { c.close(); c.cut() }")
    clock.run(60)
    assert page.evaluate("c.states.slice(3)") == ["closed 1000 "]


@pytest.mark.parametrize(
    ("dice", "delays"),
    [
        (0, [250, 500, 1000, 2000, 4000, 7500, 7500]),
        (1, [500, 1000, 2000, 4000, 8000, 15000, 15000]),
    ],
)
def test_delays_grow_and_are_not_those_of_everybody(
    page: Any, peers: Peers, clock: Clock, dice: int, delays: list[int]
) -> None:
    peers.end()
    page.evaluate(f"Math.random = () => {dice}")
    page.evaluate("() => { start() }")
    for delay in delays:
        wait_for(page, "waiting")
        assert page.evaluate("c.retryAt - Date.now()") == delay
        clock.run(delay / 1000 - 0.001)
        assert page.evaluate("c.state") == "waiting"
        clock.run(0.001)
    wait_for(page, "waiting")
    assert page.evaluate("c.states.filter(state => state === 'connecting').length") == len(delays) + 1


def test_delays_begin_anew_after_a_connection_that_lasted(page: Any, peers: Peers, clock: Clock) -> None:
    page.evaluate("Math.random = () => 1")
    connect(page, peers).close(1011)
    for seconds in (0.5, 1, 2):  # it is accepted each time, and closed
        wait_for(page, "waiting")
        assert page.evaluate("c.retryAt - Date.now()") == seconds * 1000
        clock.run(seconds)
        peer = connected(page, peers)
        clock.run(5 if seconds == 2 else 4)
        peer.close(1011)
    wait_for(page, "waiting")
    assert page.evaluate("c.retryAt - Date.now()") == 500


def test_an_attempt_that_nobody_answers(page: Any, peers: Peers, clock: Clock) -> None:
    with peers.hung():
        page.evaluate("() => { start() }")
        clock.run(PATIENCE - 1)
        assert page.evaluate("c.states") == ["connecting"]
        clock.run(1)
        assert page.evaluate("c.states") == ["connecting", "waiting 1006 no answer from the server"]
    clock.run(1)
    connected(page, peers)


@pytest.mark.parametrize("moment", ["online", "visible"])
def test_the_moment_to_try_again(page: Any, peers: Peers, clock: Clock, moment: str) -> None:
    page.evaluate("Math.random = () => 1")
    connect(page, peers).aborts()
    for seconds in (0.5, 1, 2):
        wait_for(page, "waiting")
        clock.run(seconds)
        peers.next().aborts()
    wait_for(page, "waiting")
    happen(page, moment)
    connected(page, peers).aborts()
    wait_for(page, "waiting")
    assert page.evaluate("c.retryAt - Date.now()") == 500  # and the delays begin anew


def test_a_page_that_is_hidden_waits(page: Any, peers: Peers, clock: Clock) -> None:
    connect(page, peers).aborts()
    wait_for(page, "waiting")
    happen(page, "hidden")
    assert page.evaluate("c.state") == "waiting"


def test_a_page_that_was_left_and_is_come_back_to(launch: Any, peers: Peers) -> None:
    """The browser keeps it as it was, without its connection."""
    browser = launch(ignore_default_args=["--disable-back-forward-cache"])  # which is Playwright's
    page = browser.new_page()
    page.goto(f"http://127.0.0.1:{peers.port}/")
    connect(page, peers)
    page.goto(f"http://127.0.0.1:{peers.port}/elsewhere")
    page.go_back(wait_until="commit")
    connected(page, peers)
    states = page.evaluate("c.states.map(state => state.split(' ')[0])")
    assert states == ["connecting", "open", "waiting", "connecting", "open"]
    browser.close()


@pytest.mark.parametrize("code", [1008, 4400, 4499])
def test_codes_that_end_it(page: Any, peers: Peers, clock: Clock, code: int) -> None:
    connect(page, peers).close(code, "not for you")
    wait_for(page, "closed")
    clock.run(60)
    happen(page, "online")
    assert page.evaluate("c.states") == ["connecting", "open", f"closed {code} not for you"]
    assert page.evaluate("[c.code, c.reason, c.retryAt]") == [code, "not for you", None]


@pytest.mark.parametrize("code", [1000, 1001, 1009, 1011, 1013, 4399, 4500])
def test_codes_that_do_not(page: Any, peers: Peers, code: int) -> None:
    connect(page, peers).close(code, "so long")
    connected(page, peers)
    assert page.evaluate("c.states[2]") == f"waiting {code} so long"
