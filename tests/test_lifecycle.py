"""What runs when a server starts and stops, in which thread, and beside which others."""

from __future__ import annotations

import asyncio
import threading
import urllib.request

import pytest
from websockets.asyncio.client import connect

from hyperws import Limits, ListenError, Server, UsageError, run

from .core.peer import HANDSHAKE
from .test_bodies import soon
from .test_http import get


def make_server(text="page", **options):
    server = Server(port=0, **options)

    @server.route("/")
    async def handler(ctx):
        if ctx.is_websocket:
            async for _ in ctx:
                pass
        else:
            await ctx.text(text)

    return server


async def test_hooks_of_start_and_stop(under):
    server, calls = make_server(), []

    @server.on_startup
    async def open_database():
        await asyncio.sleep(0)
        with pytest.raises(UsageError):     # nothing is listening yet
            _ = server.address
        calls.append("open")

    server.on_startup(lambda: calls.append("second"))
    server.on_shutdown(lambda: calls.append("last"))

    @server.on_shutdown
    async def close_database():
        await asyncio.sleep(0)
        calls.append("close")

    for _ in range(2):
        async with server:
            assert calls == ["open", "second"]
        assert calls == ["open", "second", "close", "last"]
        calls.clear()


async def test_a_server_that_can_not_start_up(under):
    server, calls = make_server(), []

    @server.on_startup
    def broken():
        raise LookupError("no database")

    server.on_shutdown(lambda: calls.append("shutdown"))
    with pytest.raises(LookupError, match="no database"):
        await server.start()
    assert calls == []
    with pytest.raises(UsageError):
        _ = server.address


async def test_a_server_that_is_stopped_before_it_has_started(under):
    server, calls = make_server(), []

    @server.on_startup
    async def change_its_mind():
        await server.stop()

    server.on_shutdown(lambda: calls.append("shutdown"))
    with pytest.raises(UsageError, match="told to stop"):
        await server.start()
    assert calls == ["shutdown"]
    with pytest.raises(UsageError):
        _ = server.address


async def test_what_was_started_up_is_shut_down_where_it_can_not_listen(under):
    calls = []
    async with make_server() as first:
        second = make_server().port(first.address[1])
        second.on_startup(lambda: calls.append("startup"))
        second.on_shutdown(lambda: calls.append("shutdown"))
        with pytest.raises(ListenError):
            await second.start()
    assert calls == ["startup", "shutdown"]


async def test_a_hook_of_stopping_that_raises(under, caplog):
    server, calls = make_server(), []
    server.on_shutdown(lambda: calls.append("called all the same"))

    @server.on_shutdown
    def broken():
        raise LookupError("broken on purpose")

    async with server:
        pass
    assert calls == ["called all the same"]
    assert "LookupError: broken on purpose" in caplog.text
    caplog.clear()


async def test_stopping_waits_for_the_hooks_of_closed_websockets(under):
    server, calls = make_server(), []

    @server.on_ws_closed
    async def closed(ctx):
        for _ in range(10):
            await asyncio.sleep(0)
        calls.append(ctx.close_code)

    server.on_shutdown(lambda: calls.append("shutdown"))
    async with server:
        async with connect("ws://{}:{}/".format(*server.address)):
            await server.stop()
    assert calls == [1001, "shutdown"]


async def test_websockets_are_closed_one_after_the_other(under):
    """Spread over half the grace at most: the first are told long before the last."""
    server = make_server(limits=Limits(shutdown_grace=10))
    async with server:
        url = "ws://{}:{}/".format(*server.address)
        websockets = [await connect(url) for _ in range(300)]
        stopping = asyncio.create_task(server.stop())
        ends = [asyncio.create_task(websocket.wait_closed()) for websocket in websockets]
        await asyncio.wait(ends, timeout=20, return_when=asyncio.FIRST_COMPLETED)
        assert any(websocket.close_code is None for websocket in websockets)
        await soon(asyncio.gather(*ends))
        await soon(stopping)
    assert {websocket.close_code for websocket in websockets} == {1001}


async def test_a_handshake_during_the_drain_is_refused(under, serving):
    server = make_server()
    go_on = asyncio.Event()

    @server.pre_ws_upgrade
    async def slow(ctx):
        await go_on.wait()

    @server.request_middleware
    async def slower(ctx):
        if ctx.wants_websocket:
            came.set()
            await go_on.wait()

    came = asyncio.Event()
    async with serving(server) as running:
        reader, writer = await running.raw(HANDSHAKE)
        await soon(came.wait())
        stopping = asyncio.create_task(server.stop())
        await asyncio.sleep(0)
        go_on.set()
        assert (await soon(reader.read())).startswith(b"HTTP/1.1 503 ")
        writer.close()
        await soon(stopping)


def fetch(server):
    return urllib.request.urlopen("http://{}:{}/".format(*server.address), timeout=20).read()


def in_thread(*servers):
    """A thread that runs servers, once they listen."""
    listening = threading.Event()
    thread = threading.Thread(target=run, args=servers, kwargs={"on_listening": listening.set})
    thread.start()
    assert listening.wait(20)
    return thread


def test_run_in_another_thread():
    server = make_server()
    for _ in range(2):
        thread = in_thread(server)
        assert fetch(server) == b"page"
        server.shutdown()
        thread.join(20)
        assert not thread.is_alive()
    server.shutdown()       # does nothing now


def test_several_servers_run_together_and_apart():
    one, two, three = make_server("one"), make_server("two"), make_server("three")
    together, apart = in_thread(one, two), in_thread(three)
    assert [fetch(server) for server in (one, two, three)] == [b"one", b"two", b"three"]
    one.shutdown()
    two.shutdown()
    together.join(20)
    assert not together.is_alive()
    assert fetch(three) == b"three"
    three.shutdown()
    apart.join(20)
    assert not apart.is_alive()


def test_servers_that_can_not_all_start_are_stopped():
    one = make_server("one")
    thread = in_thread(one)
    two, three = make_server("two"), make_server("three").port(one.address[1])
    calls = []
    two.on_shutdown(lambda: calls.append("two"))
    with pytest.raises(ListenError):
        run(two, three)
    assert calls == ["two"]
    one.shutdown()
    thread.join(20)


async def test_several_servers_in_one_event_loop(under):
    async with make_server("one") as one, make_server("two") as two:
        for server, text in ((one, b"one"), (two, b"two")):
            reader, writer = await asyncio.open_connection(*server.address)
            writer.write(get("/", "Connection: close"))
            assert (await soon(reader.read())).endswith(text)
            writer.close()
