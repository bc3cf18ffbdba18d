"""A server as a whole: it echoes, and keeps nothing of connections that are gone."""

import asyncio
import gc
import os
import socket

import pytest
from websockets.asyncio.client import connect

from hyperws import Context, Server
from hyperws._core.connection import Connection, Session


async def echo(ctx):
    async for message in ctx:
        await ctx.send(message)


async def test_echo_keeps_type_and_content(serving):
    server = Server().route("/", echo).route("/callback", on_message=lambda ctx, message: ctx.send(message))
    async with serving(server) as running:
        for path in ("/", "/callback"):
            async with connect(running.ws(path)) as websocket:
                for message in ("hi", b"bytes", "", b"", "ü" * 50000, b"x" * 1000000):
                    await websocket.send(message)
                    assert await websocket.recv() == message
            assert websocket.close_code == 1000


async def test_connecting_and_leaving_leaves_nothing_behind(serving):
    """Descriptors, connections and tasks are back to where they were, also after resets."""
    if not os.path.isdir("/proc/self/fd"):
        pytest.skip("counting descriptors needs Linux' /proc")
    server = Server().route("/", echo)

    async def come_and_go():
        websockets = [await connect(running.ws()) for _ in range(20)]
        for websocket in websockets:
            await websocket.send("x")
            assert await websocket.recv() == "x"
        for number, websocket in enumerate(websockets):
            if number % 2:
                websocket.transport.abort()
            await websocket.close()

    def counts():
        return len(os.listdir("/proc/self/fd")), len(asyncio.all_tasks()), len(server._driver.connections)

    async with serving(server) as running:
        await come_and_go()     # the loop itself may open something for its first connections
        async with asyncio.timeout(20):
            while counts()[1:] != (1, 0):
                await asyncio.sleep(0)
        before = counts()
        for _ in range(10):
            await come_and_go()
        async with asyncio.timeout(20):
            while counts() != before:
                await asyncio.sleep(0)


class CountingLoop(asyncio.SelectorEventLoop):
    """Counts its turns."""

    turns = 0

    def _run_once(self):
        self.turns += 1
        super()._run_once()


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="needs Unix sockets")
def test_a_peer_that_hangs_up_while_its_request_is_served_costs_nothing(tmp_path):
    """Its socket is ready for ever, and must not be served for ever."""

    async def scenario():
        started, answer = asyncio.Event(), asyncio.Event()

        async def slow(ctx):
            started.set()
            await answer.wait()

        async with Server(unix_socket=str(tmp_path / "socket")).route("/", slow):
            _, writer = await asyncio.open_unix_connection(str(tmp_path / "socket"))
            writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            await started.wait()
            writer.close()
            await writer.wait_closed()
            before = asyncio.get_running_loop().turns
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(asyncio.Event().wait(), 0.3)
            turns = asyncio.get_running_loop().turns - before
            answer.set()
        return turns

    with asyncio.Runner(loop_factory=CountingLoop) as runner:
        assert runner.run(scenario()) < 50


async def test_what_served_a_connection_is_freed_at_once(serving):
    """Not only when the garbage collector comes by: nothing holds itself."""

    async def page(ctx):
        await ctx.send("page")

    async def cancelled(ctx):
        asyncio.current_task().cancel()     # ends the connection between two batches of events

    def served():
        kinds = (Context, Connection, Session)
        return {id(each): type(each) for each in gc.get_objects() if issubclass(type(each), kinds)}

    server = Server().route("/", echo, websocket=True).route("/", page, websocket=False)
    server.route("/callback", on_message=lambda ctx, message: ctx.send(message))
    server.route("/cancelled", cancelled)
    gc.collect()
    before = served()       # what another test may have kept
    gc.disable()
    try:
        async with serving(server) as running:
            for path in ("/", "/callback"):
                async with connect(running.ws(path)) as websocket:
                    await websocket.send("x")
                    assert await websocket.recv() == "x"
            await running.exchange(b"GET / HTTP/1.0\r\n\r\n")
            await running.exchange(b"GET /cancelled HTTP/1.0\r\n\r\n")
        async with asyncio.timeout(20):
            while served().keys() - before.keys():
                await asyncio.sleep(0)
    finally:
        gc.enable()
