"""The dashboard on pages, which show all three ways."""

from __future__ import annotations

import re
import signal
from typing import Any

from .conftest import Demo, Visitors, running_demo, wait_for_state
from .test_dashboard import opened, points_of, take, wait_for

WAYS = ["WebSocket", "Event stream", "Polling"]

INK = """(title) => {
    const titled = (one) => one.querySelector("h3").textContent === title;
    const chart = [...document.querySelectorAll(".chart")].find(titled);
    const ink = getComputedStyle(chart.querySelector(".key"), "::before").backgroundColor;
    const [red, green, blue] = ink.match(/\\d+/g).map(Number);
    const canvas = chart.querySelector("canvas");
    const pen = new OffscreenCanvas(canvas.width, canvas.height).getContext("2d");
    pen.drawImage(canvas, 0, 0);
    const { data } = pen.getImageData(0, 0, canvas.width, canvas.height);
    const found = [];
    for (let at = 0; at < data.length; at += 4) {
        if (data[at] === red && data[at + 1] === green && data[at + 2] === blue && data[at + 3] === 255) {
            found.push((at / 4) % canvas.width);
        }
    }
    return found.sort((a, b) => a - b);
}"""
"""The pixels of a chart that have the colour of its first line: how far from the left each is."""

HIDE = """(hidden) => {
    Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
    const visibilityState = hidden ? "hidden" : "visible";
    Object.defineProperty(document, "visibilityState", { value: visibilityState, configurable: true });
    document.dispatchEvent(new Event("visibilitychange"));
}"""


def wait_for_ink(page: Any, chart: str, condition: str) -> None:
    """Wait until a condition holds for the `ink` of a chart, and for those of it where it `was` before."""
    page.wait_for_function(
        f"""({{chart, was}}) => {{ const ink = ({INK})(chart); return {condition}; }}""",
        arg={"chart": chart, "was": page.evaluate(INK, chart)},
    )


def figures(page: Any, label: str) -> list[str]:
    """A row of the table: what it says of each way."""
    row = page.get_by_role("row").filter(has=page.get_by_role("rowheader", name=label, exact=True))
    texts: list[str] = row.get_by_role("cell").all_text_contents()
    return texts


def wait_for_figures(page: Any, label: str, condition: str) -> None:
    """Wait until a condition holds for the `texts` of a row, or the `numbers` that they are."""
    page.wait_for_function(
        f"""(label) => {{
            const named = (row) => row.cells[0].textContent === label;
            const [, ...cells] = [...document.querySelectorAll("tbody tr")].find(named).cells;
            const texts = cells.map(cell => cell.textContent), numbers = texts.map(Number);
            return {condition};
        }}""",
        arg=label,
    )


def wait_for_states(page: Any, words: str) -> None:
    """Wait until the line below each way's chart begins so."""
    page.wait_for_function(
        """words => [...document.querySelectorAll("#ways [role=status]")]
            .filter(one => one.textContent.startsWith(words)).length === 3""",
        arg=words,
    )


def test_all_three_ways_show_the_same_figures(visitors: Visitors, demo: Demo) -> None:
    page = visitors.visit(demo, "/data")
    assert page.get_by_role("columnheader").all_text_contents() == WAYS
    wait_for_figures(page, "Process", f"numbers.every(number => number === {demo.process.pid})")
    for label in ("Memory, MB", "WebSockets open", "Event streams open", "Points sent, a second"):
        wait_for_figures(page, label, "numbers.every(number => number > 0)")
    wait_for_figures(page, "Points here, a second", "numbers.every(number => number > 20)")
    wait_for_figures(page, "kB here, a second", "numbers.every(number => number > 4)")
    waits = "numbers[0] > 0 && numbers[1] > 0 && numbers[2] > Math.max(numbers[0], numbers[1])"
    wait_for_figures(page, "Latency, ms", waits)  # polling has points wait for the next question
    page.get_by_text("That is asked over the WebSocket").wait_for()
    assert figures(page, "Points that never came") == ["0", "0", "0"]
    wait_for_states(page, f"live: process {demo.process.pid}")


def test_charts_draw_and_move(visitors: Visitors, demo: Demo) -> None:
    page = visitors.visit(demo, "/data")
    with opened(demo, subscribe=False):  # more sockets than streams, whose line would hide the other's
        for chart in (*WAYS, "Messages a second", "Connections", "CPU", "Memory"):
            wait_for_ink(page, chart, "ink.length > 20")
            wait_for_ink(page, chart, "ink[0] < was[0]")  # what came first goes to the left


def test_charts_take_the_colours_of_the_scheme(visitors: Visitors, demo: Demo) -> None:
    page = visitors.visit(demo, "/data", color_scheme="light")
    wait_for_ink(page, "Memory", "ink.length > 20")
    colour = "getComputedStyle(document.querySelector('.key'), '::before').backgroundColor"
    light = page.evaluate(colour)
    page.emulate_media(color_scheme="dark")
    wait_for_ink(page, "Memory", "ink.length > 20")
    assert page.evaluate(colour) != light


def test_charts_fit_the_window(visitors: Visitors, demo: Demo) -> None:
    page = visitors.visit(demo, "/data", viewport={"width": 1280, "height": 900})
    wait_for_ink(page, "WebSocket", "ink.length > 20")
    for width in (320, 1000):
        page.set_viewport_size({"width": width, "height": 844})
        page.wait_for_function("""() => [...document.querySelectorAll(".canvas")].every(
            one => one.querySelector("canvas").clientWidth === one.clientWidth)""")
        assert page.evaluate("document.documentElement.scrollWidth") == width
        wait_for_ink(page, "WebSocket", "ink.length > 20")


def test_it_polls_as_often_as_chosen(visitors: Visitors, demo: Demo) -> None:
    page = visitors.visit(demo, "/data")
    page.get_by_label("Poll every").select_option("0.25 s")
    wait_for_figures(page, "HTTP responses, a second", "numbers.every(number => number > 2)")


def test_a_page_that_nobody_looks_at_rests(visitors: Visitors, demo: Demo) -> None:
    page = visitors.visit(demo, "/data")
    wait_for_ink(page, "Polling", "ink.length > 20")
    with opened(demo) as client:
        points = points_of(client)
        before = wait_for(points, lambda point: point["sent"] > 150)  # to this client and the page's two
        page.evaluate(HIDE, True)
        wait_for(points, lambda point: point["streams"] == before["streams"] - 1)
        wait_for(points, lambda point: point["sent"] < 90 and point["answers"] == 0)
        drawn = [page.evaluate(INK, chart) for chart in (*WAYS, "Memory")]
        said = page.inner_text("main")
        assert {point["answers"] for point in take(points, 90)} == {0}
        assert [page.evaluate(INK, chart) for chart in (*WAYS, "Memory")] == drawn
        assert page.inner_text("main") == said

        page.evaluate(HIDE, False)
        wait_for(points, lambda point: point["streams"] == before["streams"])
    wait_for_states(page, "live")
    for chart in (*WAYS, "Memory"):
        wait_for_ink(page, chart, "ink[0] < was[0]")
    assert figures(page, "Points that never came") == ["0", "0", "0"]  # it was back in time


def test_it_says_what_is_stale(visitors: Visitors, tmp_path: Any) -> None:
    with running_demo(tmp_path) as demo:
        page = visitors.visit(demo, "/data")
        wait_for_states(page, "live")
        demo.process.send_signal(signal.SIGSTOP)
        try:
            wait_for_states(page, "stale since ")
        finally:
            demo.process.send_signal(signal.SIGCONT)
        wait_for_states(page, "live")
        assert figures(page, "Points that never came") == ["0", "0", "0"]
        page.context.close()


def test_it_heals_after_a_cut_and_misses_nothing(visitors: Visitors, demo: Demo) -> None:
    page = visitors.visit(demo, "/data")
    wait_for_states(page, "live")
    cut = page.get_by_role("button", name="Cut")
    assert cut.evaluate("one => { one.click(); return document.body.dataset.state; }") == "waiting"
    wait_for_state(page, "open")
    at = max(int(text) for text in figures(page, "Point"))
    wait_for_figures(page, "Point", f"numbers.every(number => number > {at})")
    assert figures(page, "Points that never came") == ["0", "0", "0"]


def test_it_says_what_never_came(visitors: Visitors, demo: Demo) -> None:
    page = visitors.visit(demo, "/data")
    wait_for_states(page, "live")

    def lose_some(route: Any) -> None:
        answer = route.fetch().json()
        del answer["points"][3:5]
        route.fulfill(json=answer)

    page.route("**/data/poll*", lose_some)
    page.get_by_role("status").filter(has_text=re.compile(r", \d+ points never came")).wait_for()
    page.unroute_all(behavior="wait")
    socket, stream, polling = map(int, figures(page, "Points that never came"))
    assert (socket, stream) == (0, 0)
    assert polling > 0


def test_an_event_stream_that_is_refused_is_tried_again(visitors: Visitors, demo: Demo) -> None:
    page = visitors.visit(demo, "/data")
    page.route("**/data/events*", lambda route: route.fulfill(status=503))
    page.reload()
    page.get_by_role("status").filter(has_text="stale since").wait_for()
    page.unroute_all(behavior="wait")
    wait_for_states(page, "live")
    assert visitors.complaints
    assert all("503" in complaint for complaint in visitors.complaints)
    visitors.complaints.clear()


def test_it_goes_on_with_another_server(visitors: Visitors, tmp_path: Any) -> None:
    with running_demo(tmp_path) as demo:
        page = visitors.visit(demo, "/data")
        wait_for_states(page, f"live: process {demo.process.pid}")
    wait_for_states(page, "stale since ")
    with running_demo(tmp_path, port=demo.port) as demo:
        wait_for_states(page, f"live: process {demo.process.pid}")
        for chart in WAYS:
            wait_for_ink(page, chart, "ink[0] < was[0]")
        page.context.close()


def test_who_wants_no_motion_sees_less_of_it(visitors: Visitors, demo: Demo) -> None:
    page = visitors.visit(demo, "/data", reduced_motion="reduce")
    wait_for_ink(page, "Memory", "ink.length > 20")
    frames = page.evaluate("""async () => {
        const canvas = document.querySelector("#process canvas");
        const frame = () => new Promise(requestAnimationFrame);
        let drawn = 0;
        for (let at = 0, was = canvas.toDataURL(); at < 30; at++) {
            await frame();
            if (canvas.toDataURL() !== was) drawn++;
            was = canvas.toDataURL();
        }
        return drawn;
    }""")
    assert frames < 15
