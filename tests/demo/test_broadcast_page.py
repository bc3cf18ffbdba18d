"""Groups on pages."""

from __future__ import annotations

from typing import Any

from .conftest import Demo, Visitors, wait_for_state
from .test_broadcast import PATH


def say(page: Any, group: str, text: str) -> None:
    page.select_option("#say-to", group)
    page.fill("#say-text", text)
    page.click("#say button")


def join(page: Any, group: str) -> None:
    page.fill("#join-text", group)
    page.click("#join button")
    members(page, group).get_by_text("(you)").wait_for()


def members(page: Any, group: str) -> Any:
    return page.locator("#groups > li", has=page.get_by_role("heading", name=group, exact=True))


def heard(page: Any, text: str) -> Any:
    return page.locator("#log").get_by_text(text, exact=True)


def test_two_pages_see_each_other_and_no_markup_runs(visitors: Visitors, demo: Demo) -> None:
    one = visitors.visit(demo, PATH, name="<i>Otter</i>")
    other = visitors.visit(demo, PATH, name="Heron")
    members(one, "everyone").get_by_text("Heron").wait_for()
    heard(one, "Heron has joined everyone").wait_for()
    members(other, "everyone").get_by_text("<i>Otter</i>").wait_for()

    text = '<img src="x" onerror="document.title = 1">'
    say(one, "everyone", text)
    heard(one, text).wait_for()
    heard(other, text).wait_for()
    assert other.locator("main img, main i").count() == 0
    one.get_by_text("Sent to 2 here").wait_for()

    other.uncheck("#say-myself")
    say(other, "everyone", "to the other")
    heard(one, "to the other").wait_for()
    assert heard(other, "to the other").count() == 0

    other.fill("#name", "Robin")
    other.press("#name", "Enter")
    members(one, "everyone").get_by_text("Robin").wait_for()
    other.get_by_role("button", name="Leave everyone").click()
    heard(one, "Robin has left everyone").wait_for()
    other.get_by_text("You are in no group").wait_for()


def test_a_page_is_back_in_its_groups_after_it_was_cut(visitors: Visitors, demo: Demo) -> None:
    one = visitors.visit(demo, PATH, name="Otter")
    other = visitors.visit(demo, PATH, name="Heron")
    join(one, "tea")
    join(other, "tea")
    one.get_by_role("button", name="Cut").click()
    heard(other, "Otter has left tea").wait_for()
    wait_for_state(one, "open")
    heard(other, "Otter has joined tea").wait_for()
    say(other, "tea", "are you back?")
    heard(one, "are you back?").wait_for()
    assert members(one, "tea").locator(".names li").all_inner_texts() == ["Otter (you)", "Heron"]
    assert one.locator("#log").get_by_text("Otter has joined").count() == 0


def test_a_page_leaves_what_the_server_does_not_let_it_join(visitors: Visitors, demo: Demo) -> None:
    page = visitors.visit(demo, PATH)
    for group in ("a", "b", "c", "d"):
        join(page, group)
    page.fill("#join-text", "e")
    page.click("#join button")
    page.locator("#log").get_by_text("which is the most").wait_for()
    assert page.locator("#groups > li").count() == 5


def test_a_page_shows_what_becomes_of_a_slow_reader(visitors: Visitors, demo: Demo) -> None:
    page = visitors.visit(demo, PATH)
    story = page.locator("#story")
    page.get_by_label("close").check()
    page.select_option("#rate", "200")
    page.get_by_role("button", name="Start the feed").click()
    page.locator("#received:not(:text-is('0'))").wait_for()
    page.get_by_role("button", name="Stop reading").click()
    story.get_by_text("the reader stops reading").wait_for()
    story.get_by_text("cuts the reader off with 1013").wait_for()
    page.get_by_role("button", name="Read again").click()
    story.get_by_text("It comes to the end of its connection").wait_for()
    page.get_by_role("button", name="End the feed").click()
    story.get_by_text("The end.").wait_for()
    names = ("published", "own", "missed", "received", "dropped", "waiting")
    figures = {name: int(page.inner_text(f"#{name}")) for name in names}
    assert figures["own"] == figures["published"]
    assert (figures["missed"], figures["waiting"]) == (0, 0)
    assert figures["received"] + figures["dropped"] == figures["published"]
    assert figures["dropped"] > 0
    page.get_by_role("button", name="Start the feed").wait_for()


def test_a_feed_ends_with_the_connection_and_can_be_started_again(visitors: Visitors, demo: Demo) -> None:
    page = visitors.visit(demo, PATH)
    page.get_by_role("button", name="Start the feed").click()
    page.locator("#own:not(:text-is('0'))").wait_for()
    page.get_by_role("button", name="Cut").click()
    page.get_by_text("the feed ended with it").wait_for()
    wait_for_state(page, "open")
    page.get_by_role("button", name="Start the feed").click()
    page.get_by_role("button", name="End the feed").wait_for()
    page.locator("#received:not(:text-is('0'))").wait_for()
    assert page.inner_text("#missed") == "0"
