"""hyperws.js in a real browser: what a page sees, and what a server gets."""

from __future__ import annotations

from typing import Any

import pytest

from .conftest import Clock, Peer, Peers

PING = {"type": "ping"}
HEARTBEAT = 10  # seconds, by default
PATIENCE = 15


def connect(page: Any, peers: Peers, options: str = "{}") -> Peer:
    """The page connects; `options` are JavaScript. Returns the server's end once the page knows."""
    page.evaluate(f"() => {{ start('/', {options}) }}")
    return connected(page, peers)


def connected(page: Any, peers: Peers) -> Peer:
    peer = peers.next()
    page.wait_for_function("c.state === 'open'")
    return peer


def wait_for(page: Any, state: str) -> None:
    page.wait_for_function("state => c.state === state", arg=state)


def messages(page: Any, count: int) -> Any:
    """What the page was given, once it is so many messages."""
    page.wait_for_function("count => c.messages.length >= count", arg=count)
    return page.evaluate("c.messages")


# --- it comes back


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


def happen(page: Any, moment: str) -> None:
    if moment == "online":
        page.context.set_offline(True)
        page.context.set_offline(False)
    else:
        page.evaluate(
            """hidden => {
                Object.defineProperty(document, 'hidden', { value: hidden, configurable: true });
                document.dispatchEvent(new Event('visibilitychange', { bubbles: true }));
            }""",
            moment == "hidden",
        )


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


# --- heartbeat


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


# --- subscriptions


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


# --- sending


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


# --- the end


KEPT = """() => {
    window.kept = { timers: new Set(), listeners: 0 };
    for (const [set, clear] of [['setTimeout', 'clearTimeout'], ['setInterval', 'clearInterval']]) {
        const [really, forget] = [window[set], window[clear]];
        window[set] = (run, delay) => {
            const id = really(() => { if (set === 'setTimeout') kept.timers.delete(id); run() }, delay);
            kept.timers.add(id);
            return id;
        };
        window[clear] = id => { kept.timers.delete(id); forget(id) };
    }
    for (const [name, step] of [['addEventListener', 1], ['removeEventListener', -1]]) {
        const really = window[name];
        for (const one of [window, document])
            one[name] = (kind, ...given) => {
                if (['online', 'visibilitychange'].includes(kind)) kept.listeners += step;
                return really.call(one, kind, ...given);
            };
    }
}"""


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


# --- where to


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
