"""The dashboard's feed by itself: when it measures, and what becomes of a reader that stalls."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import pytest
from websockets.asyncio.client import connect as open_socket

from hyperws import Server
from hyperws.demo import dashboard
from hyperws.demo.dashboard import feed as feeds

from .test_dashboard import SUBSCRIBE, TIMEOUT


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
