"""A server process that is told to stop in its work: nothing is lost, and the log says how all ended."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import subprocess
import sys
from collections import Counter

import pytest
from websockets.asyncio.client import connect

from .conftest import DRIVERS
from .test_bodies import soon
from .test_http import get

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGTERM to be told by")

MANY = 200

SCRIPT = """
import asyncio, logging, sys
from hyperws import Limits, Server

logging.basicConfig(level=logging.INFO, format="%(name)s %(message)s")
server = Server(port=0, access_log=True, limits=Limits(shutdown_grace=float(sys.argv[1])))
go_on, working = asyncio.Event(), []

@server.route("/work")
async def work(ctx):
    working.append(ctx)
    await go_on.wait()
    await ctx.text("done " * 1000)

@server.route("/stuck")
async def stuck(ctx):
    working.append(ctx)
    await asyncio.Event().wait()

@server.route("/socket")
async def socket(ctx):
    async for message in ctx:
        await ctx.send(message)

@server.route("/working")
async def count(ctx):
    await ctx.text(str(len(working)))

@server.on_ws_closed
def closed(ctx):
    go_on.set()         # the drain has begun: now, and not before, the work is finished

server.run(on_listening=lambda: print(server.address[1], flush=True))
"""


@contextlib.asynccontextmanager
async def running(driver, grace, tmp_path):
    """(process, port, what it has logged) of a server."""
    with open(tmp_path / "log", "w") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", SCRIPT, str(grace)], stdout=subprocess.PIPE, stderr=log, text=True,
            env={**os.environ, "HYPERWS_DRIVER": driver},
        )  # fmt: skip
        with process:
            try:
                port = int(await asyncio.to_thread(process.stdout.readline))
                yield process, port, (tmp_path / "log").read_text
            finally:
                process.kill()


async def exchange(port, request):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    answer = await reader.read()
    writer.close()
    return answer


async def are_working(port, number):
    """Wait until so many handlers are."""
    body = b""
    while body != str(number).encode():
        body = (await exchange(port, get("/working", "Connection: close"))).partition(b"\r\n\r\n")[2]


@pytest.mark.parametrize("driver", DRIVERS)
def test_a_server_that_is_told_to_stop_loses_nothing(driver, tmp_path):
    async def scenario():
        async with running(driver, 20, tmp_path) as (process, port, log):
            url = f"ws://127.0.0.1:{port}/socket"
            websockets = await asyncio.gather(*(connect(url) for _ in range(MANY)))
            for websocket in websockets:
                await websocket.send("here")
                assert await websocket.recv() == "here"
            working = [asyncio.create_task(exchange(port, get("/work"))) for _ in range(MANY)]
            await soon(are_working(port, MANY))
            process.send_signal(signal.SIGTERM)
            answers = await asyncio.wait_for(asyncio.gather(*working), 60)
            await asyncio.wait_for(asyncio.gather(*(websocket.wait_closed() for websocket in websockets)), 60)
            assert await asyncio.to_thread(process.wait, 60) == 0
            with pytest.raises(ConnectionError):
                await exchange(port, get("/working"))
            return answers, [websocket.close_code for websocket in websockets], log()

    answers, codes, log = asyncio.run(scenario())
    for answer in answers:
        head, _, body = answer.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 ")
        assert body == b"done " * 1000
    assert codes == [1001] * MANY
    ends = Counter(re.findall(r'^hyperws.access 127.0.0.1:[0-9]+ (.*) [0-9.]+s(.*)$', log, re.MULTILINE))
    requests = {key: count for key, count in ends.items() if "/work " in key[0]}
    sockets = {key: count for key, count in ends.items() if "WebSocket" in key[0]}
    assert sum(requests.values()) == MANY
    assert all(re.fullmatch(r'"GET /work HTTP/1.1" 200 [0-9]+', line) and not more for line, more in requests)
    assert sockets == {("WebSocket \"/socket\" 1001 'the server is going away'", ""): MANY}


@pytest.mark.parametrize("driver", DRIVERS)
def test_what_does_not_end_within_the_grace_is_cut_off(driver, tmp_path):
    async def scenario():
        async with running(driver, 0.5, tmp_path) as (process, port, log):
            working = [asyncio.create_task(exchange(port, get("/stuck"))) for _ in range(20)]
            await soon(are_working(port, 20))
            process.send_signal(signal.SIGTERM)
            ended = await asyncio.wait_for(asyncio.gather(*working, return_exceptions=True), 60)
            assert await asyncio.to_thread(process.wait, 60) == 0
            return ended, log()

    ended, log = asyncio.run(scenario())
    assert all(not end or isinstance(end, ConnectionError) for end in ended)
    assert len(re.findall(r'"GET /stuck HTTP/1.1" - 0 [0-9.]+s cut off$', log, re.MULTILINE)) == 20


@pytest.mark.parametrize("driver", DRIVERS)
def test_a_second_signal_ends_the_process_at_once(driver, tmp_path):
    async def scenario():
        async with running(driver, 3600, tmp_path) as (process, port, _):
            working = asyncio.create_task(exchange(port, get("/stuck")))
            await soon(are_working(port, 1))
            process.send_signal(signal.SIGTERM)
            with pytest.raises(ConnectionError):
                while True:         # until it does not listen any more
                    await exchange(port, get("/working", "Connection: close"))
            process.send_signal(signal.SIGTERM)
            assert await asyncio.to_thread(process.wait, 60) == -signal.SIGTERM
            await asyncio.gather(working, return_exceptions=True)

    asyncio.run(scenario())
