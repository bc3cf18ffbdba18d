"""Servers on real brokers that are killed and that hang: what their clients get."""

from __future__ import annotations

import asyncio

import pytest

from hyperws.groups import uplink

from .brokers import NatsServer, RedisServer
from .clients import Client, Pair


@pytest.fixture(params=["redis", "nats"])
def broker(request, tmp_path, monkeypatch):
    monkeypatch.setattr(uplink, "LONGEST_PAUSE", 0.2)
    if request.param == "redis":
        started = RedisServer(tmp_path, lasting=True)
    else:
        started = NatsServer(tmp_path, "-js", lasting=True)
    yield started
    started.stop()


async def kept_of(client, count):
    """The next messages that are wrapped, and so were kept."""
    kept = []
    while len(kept) < count:
        if isinstance(message := await client.get(), list):
            kept.append(message)
    return kept


async def test_nothing_kept_is_lost_while_a_broker_is_killed(serving, broker):
    async with Pair(serving, broker.url) as pair:
        await pair.healthy()
        for client in (pair.one, pair.two):
            await client.subscribe("kept")
            await client.subscribe("plain")
        for number in range(500):
            pair.servers[number % 2].publish("kept", str(number))
            if number == 100:
                broker.kill()
            if number % 50 == 0:
                await asyncio.sleep(0)
        await pair.until(lambda: not any(server.healthy for server in pair.servers))
        pair.servers[0].publish("plain", '"here at once"')
        one = []
        while isinstance(message := await pair.one.get(), list):
            one.append(message)
        assert message == "here at once"
        await asyncio.to_thread(broker.start)
        await pair.healthy()
        one += await kept_of(pair.one, 500 - len(one))
        assert await kept_of(pair.two, 500) == one
        for half in range(2):
            own = [int(message) for message, *_ in one if int(message) % 2 == half]
            assert own == list(range(half, 500, 2))
        assert "kept" not in pair.gaps[0] + pair.gaps[1]
        assert "plain" in pair.gaps[0]
        assert "plain" in pair.gaps[1]


async def test_a_broker_that_hangs(serving, broker, monkeypatch):
    monkeypatch.setattr(uplink, "ANSWER", 0.5)
    monkeypatch.setattr(uplink, "PING", 0.2)
    async with Pair(serving, broker.url) as pair:
        await pair.healthy()
        await pair.one.subscribe("kept", member="Ann")
        await pair.two.subscribe("kept", member="Bob")
        known = pair.servers[1]._relay.presence.members
        await pair.until(lambda: len(known.of("kept")) == 2)
        broker.pause()
        for number in range(100):
            pair.servers[0].publish("kept", str(number))
        await pair.until(lambda: not any(server.healthy for server in pair.servers))
        broker.resume()
        await pair.healthy()
        came = await pair.one.get_several(100)
        assert await pair.two.get_several(100) == came
        assert [int(message) for message, *_ in came] == list(range(100))
        assert pair.gaps == [[], []]
        assert len(known.of("kept")) == 2


async def test_who_comes_back_to_another_server_gets_what_it_missed(serving, broker):
    async with Pair(serving, broker.url) as pair:
        await pair.healthy()
        epoch, offset = (await pair.one.subscribe("kept"))[1]["at"]
        pair.servers[0].publish("kept", "seen")
        _, epoch, offset = await pair.one.get()
        for number in range(5):
            pair.servers[0].publish("kept", str(number))
        missed = await pair.one.get_several(5)
        async with await Client.connect(pair.running[1]) as back:
            past, got = await back.subscribe("kept", [epoch, offset])
            assert (past, got["recovered"]) == (missed, True)
