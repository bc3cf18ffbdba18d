"""The dashboard: one feed by WebSocket, event stream and polling, and the page that shows all three."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import re
import signal
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from websockets.asyncio.client import connect as open_socket
from websockets.sync.client import ClientConnection, connect

from hyperws import Server
from hyperws.demo import dashboard
from hyperws.demo.dashboard import feed as feeds

from .conftest import Demo, Visitors, running_demo, wait_for_state

TIMEOUT = 10  # seconds
SUBSCRIBE = {"type": "subscribe", "topic": "dashboard"}
UNSUBSCRIBE = {"type": "unsubscribe", "topic": "dashboard"}
FIGURES = {"late", "received", "sent", "answers", "sockets", "streams", "memory", "cpu"}

Point = dict[str, Any]


# --- the ways, as a program uses them


@contextlib.contextmanager
def opened(demo: Demo, *, subscribe: bool = True) -> Iterator[ClientConnection]:
    with connect(demo.socket("/data"), max_queue=None) as client:
        if subscribe:
            tell(client, SUBSCRIBE)
        yield client


def tell(client: ClientConnection, message: object) -> None:
    client.send(message if isinstance(message, (str, bytes)) else json.dumps(message))


def next_of(client: ClientConnection, kind: str) -> dict[str, Any]:
    """The next message of a type."""
    while True:
        message: dict[str, Any] = json.loads(client.recv(TIMEOUT))
        if message["type"] == kind:
            return message


def points_of(client: ClientConnection) -> Iterator[Point]:
    while True:
        yield next_of(client, "point")


@contextlib.contextmanager
def streamed(demo: Demo, query: str = "", **headers: str) -> Iterator[Iterator[tuple[str, str, str]]]:
    """The events of a stream, each as (type, id, data)."""
    connection = http.client.HTTPConnection(demo.host, timeout=TIMEOUT)
    connection.request("GET", f"/data/events{query}", headers=headers)
    response = connection.getresponse()
    try:
        assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
        yield events_in(response)
    finally:
        response.close()
        connection.close()


def events_in(response: http.client.HTTPResponse) -> Iterator[tuple[str, str, str]]:
    fields: dict[str, str] = {}
    for raw in response:
        name, _, value = raw.decode().rstrip("\n").partition(": ")
        if name:
            fields[name] = value
        else:
            if "data" in fields:
                yield fields.get("event", "message"), fields.get("id", ""), fields["data"]
            fields = {}


def poll(demo: Demo, query: str = "") -> tuple[int, str]:
    connection = http.client.HTTPConnection(demo.host, timeout=TIMEOUT)
    try:
        connection.request("GET", f"/data/poll{query}")
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


def polled(demo: Demo) -> Iterator[Point]:
    """Points, asked for again and again from the last one on."""
    at = None
    while True:
        status, body = poll(demo, "" if at is None else f"?since={at}")
        assert status == 200
        answer = json.loads(body)
        assert answer["recovered"] is (None if at is None else True)
        for point in answer["points"]:
            at = point["at"]
            yield point


def take(points: Iterator[Point], count: int) -> list[Point]:
    return [next(points) for _ in range(count)]


def assert_gap_free(points: list[Point]) -> None:
    assert [point["n"] for point in points] == list(range(points[0]["n"], points[0]["n"] + len(points)))
    times = [point["t"] for point in points]
    assert times == sorted(set(times))


def wait_for(points: Iterator[Point], condition: Callable[[Point], bool]) -> Point:
    """The first point that is so; it has to come within some hundred."""
    for _ in range(600):
        point = next(points)
        if condition(point):
            return point
    raise AssertionError(f"no point was so; the last one: {point}")


# --- what is measured


@pytest.mark.any_driver
async def test_it_measures_while_somebody_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeds, "LINGER", 0.1)
    server = Server(port=0)
    feed = feeds.Feed(server)
    async with server:
        assert feed.task is None
        feed.look()
        assert feed.task is not None
        await asyncio.wait_for(feed.task, TIMEOUT)
        count = feed.number
        assert count > 0
        feed.look()
        await asyncio.wait_for(feed.task, TIMEOUT)
        assert [json.loads(point)["n"] for point in feed.recent] == list(range(count + 1, feed.number + 1))


@pytest.mark.any_driver
async def test_a_busy_event_loop_is_late(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeds, "LINGER", 1.0)
    server = Server(port=0)
    feed = feeds.Feed(server)
    async with server:
        got: asyncio.Queue[str] = asyncio.Queue()
        server.subscribe(feed.topic, got.put_nowait)
        began = time.monotonic()
        feed.look()
        await got.get()
        ends = time.process_time() + 0.2
        while time.process_time() < ends:
            pass
        point = json.loads(await asyncio.wait_for(got.get(), TIMEOUT))
        assert point["late"] > 150
        assert point["cpu"] > 90 * 0.2 / (time.monotonic() - began)     # of a process that was given less


@pytest.mark.any_driver
async def test_a_reader_that_stalls_disturbs_nobody_and_goes_on_with_what_is_new(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def bulky(self: feeds.Feed, *arguments: object) -> str:
        self.number += 1
        return json.dumps({"n": self.number, "padding": "x" * 200_000})  # no network holds many of them

    monkeypatch.setattr(feeds.Feed, "point", bulky)
    server = Server(port=0)
    dashboard.mount(server)
    async with server:
        url = f"ws://127.0.0.1:{server.address[1]}/data"
        async with open_socket(url, max_queue=1) as stalled, open_socket(url) as other:
            await stalled.send(json.dumps(SUBSCRIBE))
            await other.send(json.dumps(SUBSCRIBE))
            numbers = [await number_of_next(other) for _ in range(120)]
            assert numbers == list(range(numbers[0], numbers[0] + 120))
            numbers = [await number_of_next(stalled)]
            while numbers[-1] < numbers[0] + 120:
                numbers.append(await number_of_next(stalled))
            assert numbers == sorted(set(numbers))
            assert len(numbers) < 120


async def number_of_next(client: Any) -> int:
    while "n" not in (message := json.loads(await asyncio.wait_for(client.recv(), TIMEOUT))):
        pass
    number: int = message["n"]
    return number


@pytest.mark.parametrize("way", ["socket", "events", "polling"])
def test_points_come_without_a_gap(demo: Demo, way: str) -> None:
    with contextlib.ExitStack() as stack:
        if way == "socket":
            points = points_of(stack.enter_context(opened(demo)))
        elif way == "events":
            events = stack.enter_context(streamed(demo))
            points = (json.loads(data) for _, _, data in events)
        else:
            points = polled(demo)
        got = take(points, 90)
    assert_gap_free(got)
    for point in got:
        assert point.keys() == {"type", "topic", "at", "pid", "n", "t", *FIGURES}
        assert point["pid"] == demo.process.pid
        assert point["memory"] > 1_000_000
        assert 0 <= point["cpu"] <= 1000
        assert point["late"] >= 0
    assert len({point["late"] for point in got}) > 10
    assert got[-1]["sockets"] >= (way == "socket")
    assert got[-1]["streams"] >= (way == "events")


@pytest.mark.parametrize("path", ["/mux", "/collab/counted"])  # which read in ways of their own
def test_messages_to_other_applications_are_counted(demo: Demo, path: str) -> None:
    with opened(demo) as client, connect(demo.socket(path)) as other:
        points = points_of(client)
        wait_for(points, lambda point: point["received"] == 0)
        for _ in range(20):
            tell(other, {"type": "ping"})
        wait_for(points, lambda point: point["received"] >= 15)


def test_connections_and_messages_are_counted(demo: Demo) -> None:
    with opened(demo) as client:
        points = points_of(client)
        first = next(points)
        with opened(demo, subscribe=False) as other, streamed(demo):
            wait_for(points, lambda point: point["sockets"] == first["sockets"] + 1)
            wait_for(points, lambda point: point["streams"] == first["streams"] + 1)
            for _ in range(20):
                tell(other, {"type": "ping"})
            wait_for(points, lambda point: point["received"] >= 15)
        wait_for(points, lambda point: point["sockets"] == first["sockets"])
        wait_for(points, lambda point: point["streams"] == first["streams"])
        wait_for(points, lambda point: point["received"] == 0)
        poll(demo)
        wait_for(points, lambda point: point["answers"] > 0)


def test_what_the_feed_sends_is_counted(demo: Demo) -> None:
    with opened(demo) as client, opened(demo) as other:
        points, others = points_of(client), points_of(other)
        wait_for(points, lambda point: next(others)["sent"] > 90 and point["sent"] > 90)


# --- coming back, and going away


def test_an_event_stream_goes_on_from_the_last_event(demo: Demo) -> None:
    with streamed(demo) as events:
        got = [json.loads(data) for _, _, data in (next(events) for _ in range(5))]
        _, last, _ = next(events)
    with opened(demo) as client:
        take(points_of(client), 30)  # missed by the stream
    for query, headers in (("", {"Last-Event-ID": last}), (f"?since={last}", {})):
        with streamed(demo, query, **headers) as events:
            back = [json.loads(data) for _, _, data in (next(events) for _ in range(60))]
        assert back[0]["n"] == got[-1]["n"] + 2
        assert_gap_free(back)


@pytest.mark.parametrize("last", ["0123456789abcdef:1", "garbage", "x" * 2000])
def test_an_event_stream_says_what_is_lost(demo: Demo, last: str) -> None:
    with streamed(demo, **{"Last-Event-ID": last}) as events:
        assert next(events) == ("lost", "", "Some points are lost")
        assert next(events)[0] == "message"


def test_a_socket_goes_on_from_the_last_point(demo: Demo) -> None:
    with opened(demo) as client:
        last = next(points_of(client))
    with opened(demo) as client:
        take(points_of(client), 30)
    with opened(demo, subscribe=False) as client:
        tell(client, SUBSCRIBE | {"since": last["at"]})
        messages = [json.loads(client.recv(TIMEOUT)) for _ in range(60)]
    told = [message for message in messages if message["type"] == "subscribed"]
    assert [message["recovered"] for message in told] == [True]
    points = [message for message in messages if message["type"] == "point"]
    assert points[0]["n"] == last["n"] + 1
    assert_gap_free(points)


def test_a_socket_may_subscribe_again(demo: Demo) -> None:
    with opened(demo) as client:
        first = next(points_of(client))
        tell(client, SUBSCRIBE | {"since": first["at"]})
        tell(client, SUBSCRIBE | {"since": first["at"]})
        next_of(client, "subscribed")
        assert next_of(client, "subscribed")["recovered"] is True
        assert_gap_free(take(points_of(client), 30))


def test_a_position_that_is_unknown_is_not_recovered(demo: Demo) -> None:
    with opened(demo, subscribe=False) as client:
        tell(client, SUBSCRIBE | {"since": "0123456789abcdef:1"})
        assert next_of(client, "subscribed")["recovered"] is False
        next_of(client, "point")
        status, body = poll(demo, "?since=0123456789abcdef:1")
    answer = json.loads(body)
    assert (status, answer["recovered"], len(answer["points"])) == (200, False, 1)


def test_who_unsubscribes_gets_no_more(demo: Demo) -> None:
    with opened(demo) as client:
        next_of(client, "point")
        tell(client, UNSUBSCRIBE)
        tell(client, {"type": "clock", "sent": 1.5})
        answer = next_of(client, "clock")
        assert answer["sent"] == 1.5
        with opened(demo) as other:
            assert answer["now"] < wait_for(points_of(other), lambda point: point["n"] > 0)["t"] + 1
            take(points_of(other), 30)
        tell(client, {"type": "ping"})
        assert json.loads(client.recv(TIMEOUT)) == {"type": "pong"}


@pytest.mark.parametrize(
    "garbage",
    [
        "no JSON",
        "{}",
        b"bytes",
        {"type": "subscribe"},
        {"type": "subscribe", "topic": "chat:lobby"},
        {"type": "subscribe", "topic": "dashboard", "since": "garbage"},
        {"type": "subscribe", "topic": "dashboard", "since": "x" * 100 + ":1"},
        {"type": "subscribe", "topic": "dashboard", "since": 1},
        {"type": "clock"},
        {"type": "clock", "sent": "now"},
        {"type": "clock", "sent": 1, "more": 2},
    ],
)
def test_garbage_is_refused_in_words(demo: Demo, garbage: object) -> None:
    with opened(demo, subscribe=False) as client:
        tell(client, garbage)
        answer = json.loads(client.recv(TIMEOUT))
        assert answer["type"] == "error"
        assert answer["text"]
        tell(client, {"type": "ping"})
        assert json.loads(client.recv(TIMEOUT)) == {"type": "pong"}


@pytest.mark.parametrize("since", ["", "garbage", "a:b", "a:-1", "a:1%0A", "x" * 100 + ":1"])
def test_a_poll_for_garbage_is_refused_in_words(demo: Demo, since: str) -> None:
    assert poll(demo, f"?since={since}") == (400, 'since takes the "at" of a point.\n')


def test_each_worker_shows_itself(tmp_path: Any) -> None:
    pytest.importorskip("zmq", reason="workers need pyzmq")
    with running_demo(tmp_path, "--workers", "2") as demo:
        seen: set[int] = set()
        while len(seen) < 2:
            with opened(demo) as client:
                points = take(points_of(client), 30)
            assert_gap_free(points)
            assert len({point["pid"] for point in points}) == 1
            seen.add(points[0]["pid"])
            assert 0 < points[-1]["sockets"] <= 2
        assert demo.process.pid not in seen
        with streamed(demo) as events:
            assert_gap_free([json.loads(data) for _, _, data in (next(events) for _ in range(30))])


# --- the page

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
