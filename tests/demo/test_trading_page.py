"""Trading on pages."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path
from typing import Any

from .conftest import Demo, Visitors, running_demo, wait_for_state

RECORD = """() => {
    window.seen = {};
    const note = () => seen[book.dataset.seq] = book.dataset.checksum;
    new MutationObserver(note).observe(book, {attributeFilter: ["data-seq", "data-checksum"]});
}"""


def wait_until(page: Any, condition: str) -> None:
    """Wait until an expression is true in the page, whose policy forbids to evaluate one there."""
    page.evaluate(f"""async () => {{
        for (let tries = 0; !({condition}); tries++) {{
            if (tries > 200) throw new Error("it never was");
            await new Promise(done => setTimeout(done, 50));
        }}
    }}""")


def wait_for_sync(page: Any) -> None:
    page.locator("#sync", has_text="✓ in sync").wait_for()


def wait_for_log(page: Any, text: str) -> None:
    page.locator("#log p", has_text=text).first.wait_for()


def wait_for_checksums(page: Any, more: int) -> None:
    """Wait until so many more checksums were right."""
    now = int(page.text_content("#checked"))
    wait_until(page, f"checked.textContent >= {now + more}")
    assert page.locator("#log .error").count() == 0


def test_two_pages_show_the_same_book(visitors: Visitors, demo: Demo) -> None:
    pages = [visitors.visit(demo, "/trading") for _ in range(2)]
    for page in pages:
        wait_for_sync(page)
        page.evaluate(RECORD)
    for page in pages:
        wait_until(page, "Object.keys(seen).length > 15")
        wait_for_checksums(page, 1)
    one, other = (page.evaluate("seen") for page in pages)
    common = one.keys() & other.keys()
    assert len(common) > 5
    assert all(one[number] == other[number] for number in common)


def test_a_page_shows_exact_prices(visitors: Visitors, demo: Demo) -> None:
    page = visitors.visit(demo, "/trading")
    for symbol, places in (("PEBBLE", 6), ("OTTER", 3)):
        page.click(f"text={symbol}")
        assert page.get_attribute(f"text={symbol}", "aria-pressed") == "true"
        page.locator("#book-title", has_text=symbol).wait_for()
        wait_for_sync(page)
        wait_for_checksums(page, 1)
        rows = page.eval_on_selector_all(
            "#book tbody tr", "rows => rows.map(row => [...row.cells].map(cell => cell.textContent))"
        )
        assert [row[0] for row in rows] == ["Ask"] * 6 + ["Spread"] + ["Bid"] * 6
        assert all(re.fullmatch(rf"\d+\.\d{{{places}}}", row[1]) for row in rows)
        prices = [Decimal(row[1]) for row in rows if row[0] != "Spread"]
        assert prices == sorted(prices, reverse=True)
        assert Decimal(rows[6][1]) == prices[5] - prices[6]
        assert int(rows[0][3]) == sum(int(row[2]) for row in rows[:6])


def test_quotes_are_switched_on_and_off(visitors: Visitors, demo: Demo) -> None:
    page = visitors.visit(demo, "/trading")
    row = page.locator("[data-symbol=PEBBLE]")
    assert not re.search(r"\d", row.text_content())
    row.locator("input").check()
    row.locator("td:nth-child(2)", has_text=re.compile(r"^\d\.\d{6} · \d\.\d{6}$")).wait_for()
    row.locator("td:nth-child(3)", has_text=re.compile(r"^[▲▼] \d\.\d{6}$")).wait_for()
    row.locator("input").uncheck()
    wait_for_sync(page)
    wait_for_checksums(page, 1)  # time in which quotes would have come
    assert not re.search(r"\d", row.text_content())


def test_a_lost_message_is_found_and_recovered(visitors: Visitors, demo: Demo) -> None:
    page = visitors.visit(demo, "/trading")
    wait_for_sync(page)
    page.evaluate(RECORD)
    page.click("text=Lose a message")
    wait_for_log(page, "A gap: tick ")
    wait_for_sync(page)
    wait_for_checksums(page, 2)
    seen = sorted(map(int, page.evaluate("Object.keys(seen)")))
    assert seen == list(range(seen[0], seen[-1] + 1))  # none is missing in the end


def test_a_page_that_reads_nothing_for_a_while(visitors: Visitors, demo: Demo) -> None:
    page = visitors.visit(demo, "/trading")
    wait_for_sync(page)
    page.click("text=Read nothing for 3 s")
    wait_for_log(page, "Reading again: ")
    wait_for_log(page, "Of the book, all ")
    assert int(page.text_content("#left-out")) > 20
    wait_for_sync(page)
    wait_for_checksums(page, 1)


def test_a_cut_heals_without_a_new_snapshot(visitors: Visitors, demo: Demo) -> None:
    page = visitors.visit(demo, "/trading")
    wait_for_sync(page)
    page.evaluate(RECORD)
    page.click("text=Cut")
    wait_for_state(page, "waiting")
    assert page.text_content("#sync") == "… no connection"
    wait_for_state(page, "open")
    wait_for_sync(page)
    wait_for_checksums(page, 2)
    seen = sorted(map(int, page.evaluate("Object.keys(seen)")))
    assert seen == list(range(seen[0], seen[-1] + 1))
    assert "▲" in page.text_content("#watch") or "▼" in page.text_content("#watch")


def test_a_page_goes_on_at_another_server(visitors: Visitors, tmp_path: Path) -> None:
    with running_demo(tmp_path) as first:
        page = visitors.visit(first, "/trading")
        wait_for_sync(page)
        page.evaluate(RECORD)
    with running_demo(tmp_path, port=first.port):
        wait_for_state(page, "open")
        wait_for_sync(page)
        wait_for_checksums(page, 1)
        seen = sorted(map(int, page.evaluate("Object.keys(seen)")))
        assert seen == list(range(seen[0], seen[-1] + 1))
        page.context.close()
