"""Servers on one broker in trouble: at bad moments, with functions that fail, with a broker that is no good."""

import asyncio

import pytest

from hyperws.groups import uplink as uplink_module

from .memory import Broker
from .test_relay import Pair


@pytest.fixture
def broker(monkeypatch):
    monkeypatch.setattr(uplink_module, "FIRST_PAUSE", 0.01)
    return Broker()


async def turns(count=20):
    for _ in range(count):
        await asyncio.sleep(0)


async def test_a_topic_that_is_left_while_a_message_waits_for_its_past_holds_nothing_up(serving, broker):
    async with Pair(serving, broker) as pair:
        await pair.two.subscribe("plain")
        broker.stalled.clear()
        await pair.one.say("subscribe", "kept")
        await pair.until(lambda: pair.servers[0].topics.count("kept"))
        pair.servers[0].publish("kept", "1")
        await turns()
        pair.servers[0].contexts[0].unsubscribe("kept")
        pair.servers[0].publish("plain", "2")
        broker.stalled.set()
        assert await pair.two.get() == 2


async def test_a_topic_that_is_used_again_while_its_past_is_read(serving, broker):
    async with Pair(serving, broker) as pair:
        await pair.one.subscribe("kept")
        server = pair.servers[0]
        link = next(link for link in broker.links if link.origin == server._relay.origin)
        read, reading, go_on = link.read, asyncio.Event(), asyncio.Event()

        async def reads_slowly(topic, keep):
            past = await read(topic, keep)
            reading.set()
            await go_on.wait()
            return past

        link.read = reads_slowly
        server.contexts[0].unsubscribe("kept")
        await pair.one.say("subscribe", "kept")
        await reading.wait()
        pair.servers[1].publish("kept", "1")
        await pair.until(lambda: server._relay.early["kept"])
        server.contexts[0].unsubscribe("kept")
        assert await pair.one.get() == {"recovered": False, "at": ["", 0]}
        await pair.one.say("subscribe", "kept", "start")
        await pair.until(lambda: server.topics.count("kept"))
        go_on.set()
        assert (await pair.one.get())[0] == "1"
        assert (await pair.one.get())["recovered"] is True
