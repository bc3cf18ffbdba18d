"""The game on two pages."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from hyperws.demo.game.rules import STEPS

from .conftest import Demo, Visitors, wait_for_state
from .test_game import CLOCKWISE, client

COLLECT_HASHES = """until => {
    window.hashes = new Promise(done => {
        const canvas = document.getElementById("canvas");
        const hashes = {};
        new MutationObserver(() => {
            hashes[canvas.dataset.tick] = canvas.dataset.hash;
            if (canvas.dataset.tick >= until) done(hashes);
        }).observe(canvas, { attributes: true });
    });
}"""


def start(page: Any) -> None:
    page.get_by_role("button", name="Play").click()
    page.wait_for_selector("#canvas[data-length='3']")


def turn_all_ways(page: Any, turn: Callable[[str], None]) -> None:
    """Turn clockwise until each way was taken, a snake that crashes meanwhile some more times."""
    missing = set(STEPS)
    while missing:
        page.wait_for_selector("#canvas:not([data-length='0'])")
        to = CLOCKWISE[page.get_attribute("#canvas", "data-heading")]
        turn(to)
        page.wait_for_selector(f"#canvas[data-heading={to}], #canvas[data-length='0']")
        if page.get_attribute("#canvas", "data-heading") == to:
            missing.discard(to)


def test_two_pages_show_the_same_arena(visitors: Visitors, demo: Demo) -> None:
    ann = visitors.visit(demo, "/game/pages", name="Ann")
    bob = visitors.visit(demo, "/game/pages", name="<b>Bob</b>", has_touch=True)
    for page in (ann, bob):
        start(page)
    turn_all_ways(ann, lambda to: ann.keyboard.press(f"Arrow{to.title()}"))
    turn_all_ways(bob, lambda to: bob.keyboard.press({"up": "w", "right": "d", "down": "s", "left": "a"}[to]))
    turn_all_ways(bob, lambda to: bob.get_by_role("button", name=to).tap())
    until = int(bob.get_attribute("#canvas", "data-tick")) + 40
    for page in (ann, bob):
        page.evaluate(COLLECT_HASHES, until)
    hashes, others = (page.evaluate("() => window.hashes") for page in (ann, bob))
    for page in (ann, bob):
        assert page.inner_text("#sync") == "✓ in sync"
        assert sorted(page.locator("#scores li span:first-child").all_inner_texts()) == ["<b>Bob</b>", "Ann"]
    both = hashes.keys() & others.keys()
    assert len(both) > 15
    assert all(hashes[tick] == others[tick] for tick in both)


def test_a_swipe_turns(visitors: Visitors, demo: Demo) -> None:
    page = visitors.visit(demo, "/game/swipe", viewport={"width": 390, "height": 844})
    start(page)
    assert page.evaluate("document.documentElement.scrollHeight") == 844

    def swipe(to: str) -> None:
        across, down = STEPS[to]
        page.mouse.move(200, 250)
        page.mouse.down()
        page.mouse.move(200 + 50 * across, 250 + 50 * down, steps=5)
        page.mouse.up()

    turn_all_ways(page, swipe)


def test_who_finds_no_place_watches(visitors: Visitors, demo: Demo) -> None:
    with ExitStack() as stack:
        for each in "0123456789ab":
            stack.enter_context(client(demo, "watched")).join(each)
        page = visitors.visit(demo, "/game/watched")
        page.get_by_role("button", name="Play").click()
        page.wait_for_selector("#complaint:text('The arena is full')")
        assert page.is_visible("#entrance")
        assert not page.is_visible("#pad")
        page.evaluate(COLLECT_HASHES, int(page.get_attribute("#canvas", "data-tick")) + 20)
        page.evaluate("() => window.hashes")
    page.wait_for_selector("#scores span:text('(away)')")


def test_after_a_cut_it_is_the_same_snake(visitors: Visitors, demo: Demo) -> None:
    page = visitors.visit(demo, "/game/cut", name="Ann")
    start(page)
    player = page.get_attribute("#canvas", "data-player")
    with client(demo, "cut") as bob:
        page.get_by_role("button", name="Cut").click()
        bob.until(lambda _: "Ann is away." in bob.news)
        wait_for_state(page, "open")
        bob.until(lambda _: "Ann is back." in bob.news)
    assert page.get_attribute("#canvas", "data-player") == player
    turn_all_ways(page, lambda to: page.keyboard.press(f"Arrow{to.title()}"))
    page.reload()
    page.wait_for_selector(f"#canvas[data-player='{player}']")
    assert page.locator("#scores li").count() == 1


def test_a_copy_that_went_wrong_is_mended(visitors: Visitors, demo: Demo) -> None:
    """A page that is given one wrong delta notices at the next hash, and asks for a snapshot."""
    page = visitors.visit(demo, "/game/arena", wait=False)
    page.add_init_script("""
        const { prototype } = WebSocket;
        const { set } = Object.getOwnPropertyDescriptor(prototype, "onmessage");
        let spoilt = false;
        Object.defineProperty(prototype, "onmessage", { set(take) {
            set.call(this, take && ((event) => {
                const message = JSON.parse(event.data);
                if (message.type !== "delta" || spoilt || !message.delta.moved) return take(event);
                spoilt = true;
                message.delta.food = [0];
                take(new MessageEvent("message", { data: JSON.stringify(message) }));
            }));
        }});
        const { send } = prototype;
        prototype.send = function (data) {
            if (data.includes('"snapshot"')) document.body.dataset.asked = "yes";
            send.call(this, data);
        };
    """)
    page.goto(demo.url + "game/spoilt")
    wait_for_state(page, "open")
    start(page)
    page.wait_for_selector("body[data-asked]")
    page.wait_for_selector("#sync:text('✓ in sync')")
