"""What tests have a page do, and wait for."""

from __future__ import annotations

from typing import Any

from .conftest import Peer, Peers

HEARTBEAT = 10  # seconds, by default

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
"""Has the page count what is begun and not ended, from here on: timers, and listeners."""


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


def happen(page: Any, moment: str) -> None:
    """The page is "online" again after it was not, or it is "hidden", or "visible"."""
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
