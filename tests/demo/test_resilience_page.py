"""Resilience on pages, which miss no tick and tell what is lost."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest

from .conftest import Demo, Visitors, running_broker, running_demo, wait_for_state
from .test_resilience import XSS


def figure(page: Any, name: str) -> int:
    return int(page.inner_text(f"#{name}"))


def wait_for_figure(page: Any, name: str, least: int) -> None:
    expression = "([name, least]) => +document.getElementById(name).textContent >= least"
    page.wait_for_function(expression, arg=[name, least])


def wait_for_words(page: Any, words: str) -> None:
    page.locator("#log > p", has_text=words).last.wait_for()


def test_cut_and_every_tick_comes_back(visitors: Visitors, demo: Demo) -> None:
    page = visitors.visit(demo, "/resilience")
    wait_for_figure(page, "live", 2)
    recovered = 0
    for times in range(1, 4):
        page.click("text=Cut")
        wait_for_figure(page, "reconnects", times)
        wait_for_words(page, "Lost: cut on this page")
        live = figure(page, "live")
        wait_for_figure(page, "live", live + 2)
        recovered = figure(page, "late")
    assert recovered > 0
    assert figure(page, "lost") == 0
    assert page.locator("#ticks .late").count() == recovered
    assert page.locator("#ticks .lost").count() == 0
    assert page.get_attribute("#ticks", "aria-label").endswith(f"{recovered} were recovered, 0 losses")


def test_closed_by_the_server(visitors: Visitors, demo: Demo) -> None:
    page = visitors.visit(demo, "/resilience")
    wait_for_figure(page, "live", 1)
    page.click("text=Close by the server")
    wait_for_words(page, "Lost: the server closed, as if it restarted")
    wait_for_words(page, "Back after")
    assert (figure(page, "reconnects"), figure(page, "lost")) == (1, 0)


def test_a_silent_server_is_given_up(visitors: Visitors, demo: Demo) -> None:
    page = visitors.visit(demo, "/resilience")
    wait_for_figure(page, "live", 1)
    page.click("text=Silent server")
    wait_for_words(page, "Lost: no sign of life from the server")
    wait_for_figure(page, "late", 10)
    assert figure(page, "lost") == 0


def test_a_server_that_stands_still(visitors: Visitors, tmp_path: Path) -> None:
    with running_demo(tmp_path) as demo:
        page = visitors.visit(demo, "/resilience")
        wait_for_figure(page, "live", 1)
        demo.process.send_signal(signal.SIGSTOP)
        try:
            wait_for_words(page, "Lost: no sign of life from the server")
        finally:
            demo.process.send_signal(signal.SIGCONT)
        wait_for_figure(page, "reconnects", 1)
        wait_for_figure(page, "live", figure(page, "live") + 2)
        assert figure(page, "lost") == 0


def test_what_a_broker_has_forgotten_is_told_as_a_loss(visitors: Visitors, tmp_path: Path) -> None:
    pytest.importorskip("redis")
    with (
        running_broker("RedisServer", tmp_path) as broker,
        running_demo(tmp_path, "--backplane", broker.url) as demo,
    ):
        page = visitors.visit(demo, "/resilience")
        wait_for_figure(page, "live", 1)
        broker.kill()
        broker.start()
        wait_for_figure(page, "lost", 1)
        wait_for_words(page, "some ticks may be lost")
        wait_for_figure(page, "live", figure(page, "live") + 2)
        assert figure(page, "reconnects") == 0


def test_a_restart_is_told_as_a_loss(visitors: Visitors, tmp_path: Path) -> None:
    with running_demo(tmp_path) as demo:
        page = visitors.visit(demo, "/resilience")
        wait_for_figure(page, "live", 1)
        port = demo.port
    wait_for_state(page, "waiting")
    with running_demo(tmp_path, port=port):
        wait_for_figure(page, "lost", 1)
        wait_for_words(page, "some ticks may be lost")
        live = figure(page, "live")
        wait_for_figure(page, "live", live + 2)
        assert (figure(page, "lost"), figure(page, "late")) == (1, 0)
        assert page.locator("#ticks .lost").count() == 1
        page.click("text=Cut")  # and from now on nothing is lost again
        wait_for_figure(page, "reconnects", 2)
        assert figure(page, "lost") == 1


def test_filling_the_line(visitors: Visitors, demo: Demo) -> None:
    page = visitors.visit(demo, "/resilience")
    page.click("text=Fill the line")
    page.wait_for_function("() => document.getElementById('waiting').value > 1 << 20")
    page.wait_for_function("() => / refused [1-9]/.test(document.getElementById('filling').textContent)")
    wait_for_figure(page, "live", 1)  # they come all the same
    page.locator("#outcome", has_text="Everything has arrived").wait_for()
    assert " 0 bytes wait here" in page.inner_text("#filling")
    assert page.inner_text("#trouble") == ""
    assert (figure(page, "reconnects"), figure(page, "lost")) == (0, 0)


def test_a_cut_while_the_line_is_full(visitors: Visitors, demo: Demo) -> None:
    page = visitors.visit(demo, "/resilience")
    page.click("text=Fill the line")
    page.wait_for_function("() => document.getElementById('waiting').value > 1 << 20")
    page.click("text=Cut")
    page.locator("#outcome", has_text="The connection is gone").wait_for()
    wait_for_figure(page, "reconnects", 1)
    assert figure(page, "lost") == 0


def test_messages_are_shown_as_text(visitors: Visitors, demo: Demo) -> None:
    page = visitors.visit(demo, "/resilience")
    for text in (XSS, "second"):
        page.fill("#text", text)
        page.press("#text", "Enter")
        wait_for_words(page, text)
        assert page.input_value("#text") == ""
    assert page.locator("#log img").count() == 0
    page.press("#text", "Enter")
    page.locator("#trouble", has_text="Empty message").wait_for()
    wait_for_figure(page, "processed", 2)
