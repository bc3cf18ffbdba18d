"""How a server stops: by a call, by a signal, with handlers that do not want to."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import textwrap

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed as PeerClosed

from hyperws import Limits, Server, UsageError

from .test_bodies import soon


async def echo(ctx):
    async for message in ctx:
        await ctx.send(message)


async def hello(ctx):
    await ctx.send("hello")


async def test_stop_closes_with_1001_and_lets_a_request_end():
    server = Server(port=0).route("/", echo)
    started, go_on = asyncio.Event(), asyncio.Event()

    @server.route("/slow")
    async def slow(ctx):
        started.set()
        await go_on.wait()
        await ctx.send("done")

    await server.start()
    host, port = server.address
    websocket = await connect(f"ws://{host}:{port}/")
    await websocket.send("x")
    assert await websocket.recv() == "x"
    idle = await asyncio.open_connection(host, port)
    reader, writer = await asyncio.open_connection(host, port)
    writer.write(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
    await started.wait()
    stopping = asyncio.create_task(server.stop())
    with pytest.raises(PeerClosed):
        await websocket.recv()
    assert (websocket.close_code, websocket.close_reason) == (1001, "the server is going away")
    assert await idle[0].read() == b""
    assert not stopping.done()
    go_on.set()
    answer = await reader.read()
    assert answer.endswith(b"done")
    assert b"connection: close" in answer
    writer.close()
    idle[1].close()
    await asyncio.wait_for(stopping, 20)


async def test_stop_answers_whoever_waits_to_be_accepted():
    server = Server(port=0).route("/", hello)
    await server.start()
    peers = []
    for _ in range(100):    # the loop has no turn to accept anyone
        peers.append(socket.create_connection(server.address, timeout=20))
        peers[-1].sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    stopping = asyncio.create_task(server.stop())
    for peer in peers:
        reader, writer = await asyncio.open_connection(sock=peer)
        answer = await soon(reader.read())
        assert answer.startswith(b"HTTP/1.1 200 ")
        assert answer.endswith(b"hello")
        writer.close()
    await soon(stopping)


async def test_stop_answers_requests_that_are_on_their_way():
    """On a connection that has just been opened, and on one that has just been used."""
    server = Server(port=0).route("/", hello)
    await server.start()
    request = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
    new = await asyncio.open_connection(*server.address)
    used = await asyncio.open_connection(*server.address)
    used[1].write(request)
    assert b"connection: close" not in await soon(used[0].readuntil(b"hello"))
    stopping = asyncio.create_task(server.stop())
    await asyncio.sleep(0)
    assert server.stopping
    for reader, writer in (new, used):
        writer.write(request)
        answer = await soon(reader.read())
        assert answer.startswith(b"HTTP/1.1 200 ")
        assert b"connection: close" in answer
        writer.close()
    await soon(stopping)


async def test_an_answer_that_promised_more_is_followed_by_one_more():
    """Its head went out before the server was told to stop."""
    server, go_on = Server(port=0), asyncio.Event()

    @server.route("/")
    async def handler(ctx):
        await ctx.set_response_body("hel").send_body()
        await go_on.wait()
        await ctx.set_response_body("lo").send_body()

    await server.start()
    request = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
    reader, writer = await asyncio.open_connection(*server.address)
    writer.write(request)
    assert b"connection: close" not in await soon(reader.readuntil(b"hel\r\n"))
    stopping = asyncio.create_task(server.stop())
    await asyncio.sleep(0)
    go_on.set()
    await soon(reader.readuntil(b"0\r\n\r\n"))
    writer.write(request)
    assert b"connection: close" in await soon(reader.read())
    writer.close()
    await soon(stopping)


async def test_stop_cuts_off_a_handler_that_never_returns():
    cancelled = asyncio.Event()

    async def stuck(ctx):
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise

    server = Server(port=0).route("/", stuck)
    await server.start()
    websocket = await connect("ws://{}:{}".format(*server.address))
    await server.stop(grace=0.1)
    assert cancelled.is_set()
    await websocket.wait_closed()


async def test_stop_names_a_handler_that_ignores_its_cancellation(caplog):
    release = asyncio.Event()

    async def stubborn(ctx):
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                pass

    server = Server(port=0).route("/", stubborn)
    await server.start()
    websocket = await connect("ws://{}:{}".format(*server.address))
    await server.stop(grace=0.1)
    assert [record.getMessage() for record in caplog.records if "left behind" in record.getMessage()]
    assert "stubborn" in caplog.text
    caplog.clear()
    release.set()
    await websocket.wait_closed()


SCRIPT = """
import asyncio, logging, sys
from hyperws import Limits, Server

logging.basicConfig(level=logging.INFO)
server = Server(port=0, limits=Limits(shutdown_grace=5))

@server.route("/")
async def acknowledge(ctx):
    async for message in ctx:
        await ctx.send(message)

@server.route("/stuck")
async def stuck(ctx):
    print("stuck", flush=True)
    while True:
        pass

server.run(on_listening=lambda: print(server.address[1], flush=True))
print("stopped", flush=True)
"""


class Process:
    """The script above as a process, and the port it listens on."""

    def __enter__(self):
        command = [sys.executable, "-c", textwrap.dedent(SCRIPT)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.port = int(self.process.stdout.readline())
        return self

    def __exit__(self, *error):
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()

    async def wait(self):
        return await asyncio.to_thread(self.process.wait, 20)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGTERM for another process")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_drains_and_ends_with_status_0(number):
    """Whatever was acknowledged has been delivered, and nothing was delivered twice."""

    async def talk(port, sent, received):
        async with connect(f"ws://127.0.0.1:{port}/") as websocket:

            async def send():
                while True:
                    await websocket.send(str(len(sent)))
                    sent.append(len(sent))
                    await asyncio.sleep(0)      # send() alone may never let the others go on

            sending = asyncio.create_task(send())
            try:
                while True:
                    received.append(int(await websocket.recv()))
                    if len(received) == 200:
                        busy.set()
            except PeerClosed:
                sending.cancel()
                await asyncio.wait([sending])
            return websocket.close_code

    with Process() as process:
        busy = asyncio.Event()
        traffic = [([], []) for _ in range(5)]
        talks = [asyncio.create_task(talk(process.port, *lists)) for lists in traffic]
        await busy.wait()
        process.process.send_signal(number)
        assert await asyncio.gather(*talks) == [1001] * 5
        assert await process.wait() == 0
        assert process.process.stdout.read() == "stopped\n"
    for sent, received in traffic:
        assert received == list(range(len(received)))
        assert len(received) <= len(sent) + 1


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGTERM for another process")
async def test_a_second_signal_ends_at_once_even_a_loop_that_is_stuck():
    with Process() as process:
        request = b"GET /stuck HTTP/1.1\r\nHost: a\r\n\r\n"
        _, writer = await asyncio.open_connection("127.0.0.1", process.port)
        writer.write(request)
        assert await asyncio.to_thread(process.process.stdout.readline) == "stuck\n"
        process.process.send_signal(signal.SIGTERM)
        with pytest.raises(subprocess.TimeoutExpired):  # it can't drain, and one signal alone kills nothing
            await asyncio.to_thread(process.process.wait, 1)
        process.process.send_signal(signal.SIGTERM)
        assert await process.wait() == -signal.SIGTERM
        writer.close()


async def test_a_handler_may_stop_the_server():
    server = Server(port=0, limits=Limits(shutdown_grace=0.1))
    ended = asyncio.Event()

    @server.route("/")
    async def stopper(ctx):
        try:
            await server.stop()
        finally:
            ended.set()

    await server.start()
    websocket = await connect("ws://{}:{}".format(*server.address))
    await asyncio.wait_for(ended.wait(), 20)
    await asyncio.wait_for(server.stop(), 20)
    await websocket.wait_closed()
    assert websocket.close_code == 1001


async def test_stop_goes_on_when_its_caller_is_cancelled():
    server = Server(port=0, limits=Limits(shutdown_grace=5)).route("/", echo)
    await server.start()
    websocket = await connect("ws://{}:{}".format(*server.address))
    stopping = asyncio.create_task(server.stop())
    await asyncio.sleep(0)
    stopping.cancel()
    await websocket.wait_closed()
    await server.stop()
    with pytest.raises(UsageError):
        _ = server.address
