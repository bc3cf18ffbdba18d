"""Server-Sent Events and long polls, and that both get what is published beside WebSockets."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import aiohttp
import httpx
import pytest

from hyperws import ConnectionClosed, Limits, Server, UsageError
from hyperws._core.event_writer import encode_event

from .test_bodies import soon
from .test_http import get

OVER_TLS = True


@pytest.mark.parametrize(
    ("arguments", "encoded"),
    [
        (("hello",), b"data: hello\n\n"),
        (("",), b"data: \n\n"),
        (("two\nlines",), b"data: two\ndata: lines\n\n"),
        (("a\r\nb\rc\n",), b"data: a\ndata: b\ndata: c\ndata: \n\n"),
        (("\u20ac", "kind", "7", 500), "event: kind\nid: 7\nretry: 500\ndata: \u20ac\n\n".encode()),
        ((None, None, None, 500), b"retry: 500\n\n"),
        (("x", None, ""), b"id: \ndata: x\n\n"),
        (("\x85\u2028\x0b\x0c",), "data: \x85\u2028\x0b\x0c\n\n".encode()),     # no line ends here
    ],
)
def test_events_as_bytes(arguments, encoded):
    assert encode_event(*arguments) == encoded


@pytest.mark.parametrize(
    ("arguments", "fix"),
    [
        ((b"bytes",), "serialise"),
        (("x", "two\nlines"), "one line"),
        (("x", None, "a\r"), "one line"),
        (("x", None, "a\0"), "one line"),
        (("x", None, 7), "one line"),
        (("x", None, None, -1), "milliseconds"),
        (("x", None, None, 1.5), "milliseconds"),
        (("\ud800",), "surrogate"),
    ],
)
def test_what_no_event_can_have(arguments, fix):
    with pytest.raises(UsageError, match=fix):
        encode_event(*arguments)


def make_server(**options):
    server = Server(**options)
    server.seen, server.left = asyncio.Queue(), asyncio.Queue()

    @server.route("/events")
    async def events(ctx):
        """A stream that topics feed."""
        try:
            await ctx.send_event("welcome", event="hello", id="1", retry=100)
            ctx.subscribe("news")
            server.seen.put_nowait(ctx.last_event_id)
            await ctx.wait_closed()
        finally:
            server.left.put_nowait(None)

    @server.route("/count/{number}")
    async def count(ctx):
        """A stream that ends."""
        for number in range(int(ctx.params["number"])):
            await ctx.send_event(str(number))

    @server.route("/busy")
    async def busy(ctx):
        """A stream whose handler notices by sending that the client has left."""
        try:
            while True:
                await ctx.send_event("tick")
                await asyncio.sleep(0.001)
        except ConnectionClosed:
            server.left.put_nowait(None)
            raise

    @server.route("/poll")
    async def poll(ctx):
        server.seen.put_nowait(None)
        try:
            await ctx.poll("news", timeout=float(ctx.query.get("timeout", "20")))
        finally:
            server.left.put_nowait(None)

    @server.route("/socket")
    async def socket(ctx):
        ctx.subscribe("news")
        server.seen.put_nowait(None)
        async for message in ctx:
            ctx.publish("news", message)

    return server


class Events:
    """What an EventSource does with a stream."""

    def __init__(self, response):
        self.response = response

    async def next(self):
        """{field: value} of the next event, without comments."""
        event = {}
        while line := (await soon(self.response.content.readline())).decode():
            name, _, value = line.rstrip("\n").partition(": ")
            if not name and event:
                return event
            if name and not name.startswith(":"):
                event[name] = f"{event[name]}\n{value}" if name in event else value
        raise EOFError


@asynccontextmanager
async def listening(running, path="/events", **headers):
    async with aiohttp.ClientSession() as client:
        asked = client.get(running.http(path), ssl=running.ssl or True, headers=headers)
        async with await soon(asked) as response:
            yield Events(response)


async def test_a_stream(serving):
    server = make_server()
    async with serving(server) as running, listening(running) as events:
        assert events.response.content_type == "text/event-stream"
        assert events.response.headers["cache-control"] == "no-store"
        assert await events.next() == {"event": "hello", "id": "1", "retry": "100", "data": "welcome"}
        assert await soon(server.seen.get()) is None
        assert server.publish("news", "one\ntwo") == 1
        assert await events.next() == {"data": "one\ntwo"}
        assert server.publish("news", ["in ", "pieces"]) == 1
        assert await events.next() == {"data": "in pieces"}
        assert server.publish("news", "\u20ac".encode()) == 1
        assert await events.next() == {"data": "\u20ac"}
        assert server.publish("news", b"\xff") == 0       # no text
        assert server.publish("other", "x") == 0


async def test_the_last_event_id_of_a_client_that_comes_back(serving):
    server = make_server()
    async with serving(server) as running, listening(running, **{"Last-Event-ID": "41"}):
        assert await soon(server.seen.get()) == "41"


async def test_a_stream_that_ends_and_a_request_behind_it(serving):
    async with serving(make_server()) as running:
        answer = await soon(running.exchange(get("/count/3") + get("/count/0", "Connection: close")))
        first, _, second = answer.partition(b"0\r\n\r\nHTTP/1.1 200 ")
        assert first.endswith(b"\r\n\r\n9\r\ndata: 0\n\n\r\n9\r\ndata: 1\n\n\r\n9\r\ndata: 2\n\n\r\n")
        assert second.endswith(b"\r\n\r\n")
        old = get("/count/2").replace(b"HTTP/1.1", b"HTTP/1.0")
        assert (await soon(running.exchange(old))).endswith(b"\r\n\r\ndata: 0\n\ndata: 1\n\n")


async def test_a_head_request_gets_the_head_of_a_stream(serving):
    server = make_server()
    async with serving(server) as running:
        request = get("/events", method="HEAD") + get("/count/0", "Connection: close")
        answer = await soon(running.exchange(request))
        assert answer.count(b"HTTP/1.1 200 ") == 2
        assert b"text/event-stream" in answer
        assert b"data:" not in answer
        await soon(server.left.get())


@pytest.mark.parametrize("path", ["/events", "/busy", "/poll"])
async def test_a_client_that_leaves_is_noticed_at_once(serving, path):
    server = make_server(limits=Limits(ping_interval=None, handler_grace=None))
    async with serving(server) as running:
        for leave in (lambda writer: writer.close(), lambda writer: writer.transport.abort()):
            reader, writer = await running.raw(get(path))
            if path != "/busy":
                await soon(server.seen.get())
            if path != "/poll":
                await soon(reader.readuntil(b"data: "))
            leave(writer)
            await soon(server.left.get())
        assert server.publish("news", "x") == 0


@pytest.mark.parametrize("path", ["/events", "/poll"])
async def test_a_client_that_has_left_before_its_turn(serving, path):
    """Its request is behind another, and its end behind that."""
    server = make_server(limits=Limits(handler_grace=None))
    go_on = asyncio.Event()

    @server.route("/slow")
    async def slow(ctx):
        await go_on.wait()

    async with serving(server) as running:
        _, writer = await running.raw(get("/slow") + get(path))
        writer.close()
        await writer.wait_closed()
        go_on.set()
        async with asyncio.timeout(20):
            while server._driver.connections:
                await asyncio.sleep(0)
        assert server.publish("news", "x") == 0


async def test_a_quiet_stream_is_kept_alive_by_comments(serving):
    async with serving(make_server(limits=Limits(ping_interval=0.1, idle_timeout=0.3))) as running:
        reader, writer = await running.raw(get("/events"))
        for _ in range(6):
            await soon(reader.readuntil(b"3\r\n:\n\n\r\n"))
        writer.close()


async def test_a_stream_that_nobody_reads_is_cut_off(serving):
    server = make_server(limits=Limits(send_queue=100_000))
    async with serving(server) as running:
        _, writer = await running.raw(get("/events"))
        writer.transport.pause_reading()
        await soon(server.seen.get())
        async with asyncio.timeout(20):
            while server.publish("news", "x" * 50_000):
                await asyncio.sleep(0)
        await soon(server.left.get())
        writer.close()


async def test_events_are_for_responses_that_have_not_begun(serving):
    server = Server()
    wrong = []

    @server.route("/late")
    async def late(ctx):
        await ctx.set_response_body("begun").send_body()
        for call in (lambda: ctx.send_event("x"), lambda: ctx.subscribe("news"), lambda: ctx.subscribe(5)):
            with pytest.raises(UsageError) as caught:
                call()
            wrong.append(str(caught.value))

    @server.route("/socket", websocket=True)
    async def socket(ctx):
        with pytest.raises(UsageError) as caught:
            ctx.send_event("x")
        await ctx.send(str(caught.value))

    async with serving(server) as running, aiohttp.ClientSession() as client:
        answer = await soon(running.exchange(get("/late", "Connection: close")))
        assert answer.endswith(b"begun\r\n0\r\n\r\n")
        assert ["too late" in each for each in wrong] == [True, True, False]
        assert wrong[2] == "a topic is a str, not int"
        async with client.ws_connect(running.ws("/socket"), ssl=running.ssl or True) as websocket:
            assert "messages, by send()" in await websocket.receive_str()


async def test_a_stream_that_has_ended_is_not_the_next_one(serving):
    server, first, told = Server(), [], []

    @server.route("/first")
    async def begin(ctx):
        await ctx.send_event("first")
        first.append(ctx)

    @server.route("/second")
    async def go_on(ctx):
        ctx.subscribe("news")
        for late in (lambda: first[0].send_event("late"), lambda: first[0].subscribe("late")):
            with pytest.raises(UsageError) as caught:
                late()
            told.append(str(caught.value))
        first[0].unsubscribe("news")
        assert first[0].publish("news", "to the second") == 1
        server.publish("late", "late")

    async with serving(server) as running:
        answer = await soon(running.exchange(get("/first") + get("/second", "Connection: close")))
    assert b"late" not in answer
    assert b"data: to the second\n" in answer
    assert len(told) == 2
    assert all("wait_closed()" in each for each in told)


async def test_no_topic_keeps_a_client_that_has_left(serving):
    server, told = Server(), asyncio.Queue()

    @server.route("/")
    async def handler(ctx):
        await ctx.send_event("welcome")
        await ctx.wait_closed()
        try:
            ctx.subscribe("news")
        except ConnectionClosed:
            told.put_nowait("closed")
        else:
            told.put_nowait("subscribed")

    async with serving(server) as running:
        reader, writer = await running.raw(get())
        await soon(reader.readuntil(b"welcome"))
        writer.close()
        assert await soon(told.get()) == "closed"


# ----------------------------------------------------------------------------------------- long polls


async def test_a_poll_is_answered_by_the_next_message(serving):
    server = make_server()
    async with serving(server) as running, httpx.AsyncClient(verify=running.ssl or True) as client:
        for message, kind in [("text \u20ac", "text/plain"), (b"\0\xff", "application/octet-stream")]:
            asked = asyncio.create_task(client.get(running.http("/poll")))
            await soon(server.seen.get())
            assert server.publish("news", message) == 1
            assert server.publish("news", "not waited for") == 0
            answer = await soon(asked)
            assert answer.status_code == 200
            assert answer.headers["content-type"].startswith(kind)
            assert answer.headers["cache-control"] == "no-store"
            assert answer.content == (message.encode() if isinstance(message, str) else message)


async def test_a_poll_that_gets_no_message_is_answered_by_204(serving):
    server = make_server()
    async with serving(server) as running, httpx.AsyncClient(verify=running.ssl or True) as client:
        answer = await soon(client.get(running.http("/poll?timeout=0.05")))
        assert (answer.status_code, answer.content) == (204, b"")
        assert "content-length" not in answer.headers
        assert server.publish("news", "too late") == 0


async def test_polls_and_streams_end_when_the_server_stops(serving):
    server = make_server()
    async with serving(server) as running:
        reader, writer = await running.raw(get("/events"))
        await soon(reader.readuntil(b"data: welcome\n\n\r\n"))
        asking, asked = await running.raw(get("/poll"))
        for _ in range(2):
            await soon(server.seen.get())
        await soon(server.stop(grace=10))
        assert await soon(reader.read()) == b"0\r\n\r\n"
        assert (await soon(asking.read())).startswith(b"HTTP/1.1 204 ")
        writer.close()
        asked.close()


@pytest.mark.parametrize("kind", ["poll", "subscribe"])
async def test_polls_and_streams_that_begin_while_the_server_stops(serving, kind):
    server, came, go_on = Server(), asyncio.Event(), asyncio.Event()

    @server.route("/")
    async def handler(ctx):
        came.set()
        await go_on.wait()
        if kind == "poll":
            await ctx.poll("news", timeout=1000)
        else:
            ctx.subscribe("news")
            await ctx.wait_closed()

    async with serving(server) as running:
        reader, writer = await running.raw(get())
        await soon(came.wait())
        stopping = asyncio.create_task(server.stop(grace=10))
        while not server.stopping:
            await asyncio.sleep(0)
        go_on.set()
        answer = await soon(reader.read())
        if kind == "poll":
            assert answer.startswith(b"HTTP/1.1 204 ")
        else:
            assert answer.endswith(b"0\r\n\r\n")
        writer.close()
        await soon(stopping)


# ------------------------------------------------------------------------------------------- together


async def test_one_topic_feeds_sockets_streams_and_polls(serving):
    server = make_server()
    async with (
        serving(server) as running, listening(running) as events, aiohttp.ClientSession() as client,
        client.ws_connect(running.ws("/socket"), ssl=running.ssl or True) as websocket,
        client.ws_connect(running.ws("/socket"), ssl=running.ssl or True) as other,
    ):  # fmt: skip
        await events.next()
        asked = asyncio.create_task(client.get(running.http("/poll"), ssl=running.ssl or True))
        for _ in range(4):
            await soon(server.seen.get())
        await other.send_str("to all")
        assert await soon(websocket.receive_str()) == "to all"
        assert await events.next() == {"data": "to all"}
        assert await (await soon(asked)).text() == "to all"
        await websocket.send_str("back")
        assert await soon(other.receive_str()) == "back"
        assert server.publish("news", "last") == 3
