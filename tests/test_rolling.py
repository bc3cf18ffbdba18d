"""A process is told to end while 200 requests are in flight and 200 WebSockets open: what becomes of each."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import aiohttp
import pytest
from websockets.asyncio.client import connect

from .test_bodies import soon

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGTERM for another process")

SCRIPT = Path(__file__).parent / "rolling_server.py"
NUMBERS = [str(number) for number in range(1000, 1200)]
KINDS = ["wait", "stream", "upload"]
TARGETS = [f"/{KINDS[int(number) % 3]}/{number}" for number in NUMBERS]
SOCKETS = [f"/socket/{number}" for number in NUMBERS]
REQUEST_LINE = re.compile(r'127\.0\.0\.1:\d+ "(?:GET|POST) (\S+) HTTP/1\.1" (\S+) \d+ \d+\.\d{4}s ?(.*)')
SOCKET_LINE = re.compile(r"127\.0\.0\.1:\d+ WebSocket \"(\S+)\" (\d+) '(.*)' \d+\.\d{4}s")


class Process:
    """The script as a process, with everything in flight, until it has ended."""

    def __init__(self, folder, grace):
        self.log_file = folder / "log"
        self.grace = grace

    async def __aenter__(self):
        with open(self.log_file, "wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, SCRIPT, str(self.grace)],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True,
            )  # fmt: skip
        self.port = int(await self.line())
        self.uploads_go_on = asyncio.Event()
        self.client = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=3600))
        self.asked = [asyncio.create_task(self.ask(target)) for target in TARGETS]
        assert {await self.line() for _ in TARGETS} == set(NUMBERS)
        self.websockets = [await connect(f"ws://127.0.0.1:{self.port}{path}") for path in SOCKETS]
        return self

    async def __aexit__(self, *error):
        for each in self.asked:
            each.cancel()
        await asyncio.gather(*self.asked, return_exceptions=True)
        await self.client.close()
        for websocket in self.websockets:
            await websocket.close()
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()

    async def line(self):
        line = await soon(asyncio.to_thread(self.process.stdout.readline))
        assert line, self.log_file.read_text()
        return line.strip()

    async def ask(self, target):
        """(the status of a request, all of its response)"""
        number = target.rpartition("/")[2]

        async def body():
            yield number.encode() * 500
            await self.uploads_go_on.wait()
            yield number.encode() * 500

        data = body() if target.startswith("/upload/") else None
        method = "GET" if data is None else "POST"
        async with self.client.request(method, f"http://127.0.0.1:{self.port}{target}", data=data) as answer:
            return answer.status, await answer.text()

    async def told_to_end(self):
        """Send a SIGTERM, and wait until every WebSocket is closed."""
        self.process.send_signal(signal.SIGTERM)
        await soon(asyncio.gather(*(websocket.wait_closed() for websocket in self.websockets)))

    async def status(self):
        return await asyncio.to_thread(self.process.wait, 20)

    def logged(self):
        """[(target, status, outcome)] of the requests and [(target, code, reason)] of the WebSockets."""
        lines = self.log_file.read_text().splitlines()
        matches = [REQUEST_LINE.fullmatch(line) or SOCKET_LINE.fullmatch(line) for line in lines]
        requests = [match.groups() for match in matches if match and match.re is REQUEST_LINE]
        sockets = [match.groups() for match in matches if match and match.re is SOCKET_LINE]
        unknown = [line for line, match in zip(lines, matches, strict=True) if match is None]
        assert len(unknown) == 1, unknown
        assert unknown[0].startswith("listening on ")
        return requests, sockets


def all_sockets_closed():
    return sorted((path, "1001", "the server is going away") for path in SOCKETS)


async def test_not_one_request_is_lost(tmp_path):
    async with Process(tmp_path, grace=60) as process:
        await process.told_to_end()
        assert Counter(each.close_code for each in process.websockets) == {1001: 200}
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", process.port)
        assert not any(each.done() for each in process.asked)
        process.uploads_go_on.set()
        process.process.stdin.write("go on\n")
        process.process.stdin.flush()
        answers = await soon(asyncio.gather(*process.asked))
        assert answers == [(200, number * 1000) for number in NUMBERS]
        assert await process.status() == 0
        requests, sockets = process.logged()
        assert sorted(requests) == sorted((target, "200", "") for target in TARGETS)
        assert sorted(sockets) == all_sockets_closed()


async def test_a_second_signal_ends_all_of_it(tmp_path):
    async with Process(tmp_path, grace=60) as process:
        await process.told_to_end()
        process.process.send_signal(signal.SIGTERM)
        assert await process.status() == -signal.SIGTERM
        answers = await soon(asyncio.gather(*process.asked, return_exceptions=True))
        assert all(isinstance(each, aiohttp.ClientError) for each in answers)


async def test_what_does_not_end_in_time_is_cut_off(tmp_path):
    async with Process(tmp_path, grace=2) as process:
        await process.told_to_end()
        assert Counter(each.close_code for each in process.websockets) == {1001: 200}
        assert await process.status() == 0
        answers = await soon(asyncio.gather(*process.asked, return_exceptions=True))
        assert all(isinstance(each, aiohttp.ClientError) for each in answers)
        requests, sockets = process.logged()
        assert sorted(requests) == sorted(
            (target, "200" if target.startswith("/stream/") else "-", "cut off") for target in TARGETS
        )
        assert sorted(sockets) == all_sockets_closed()
