"""NATS as a backplane."""

from __future__ import annotations

import asyncio

import pytest

from hyperws.groups.backplane import Keep
from hyperws.groups.nats import Nats

from .brokers import NatsServer
from .contract import LONG, LinkContract

pytestmark = pytest.mark.any_driver


class TestNats(LinkContract):
    def start(self, folder, *, lasting=False):
        return NatsServer(folder, "-js", lasting=lasting)

    def backplane(self):
        return Nats(self.broker.url)

    # a stream is for one `Keep`, so that these read by the same as they have published with

    async def test_reading_what_is_kept(self):
        for most in 1, 3, 5, 100:
            topic, keep = f"t{most}", Keep(most, LONG)
            async with self.members("a", "b") as (a, b):
                await b.link.subscribe([topic])
                await a.publish(topic, *(b"%d" % each for each in range(8)), keep=keep)
                offsets = [each.offset for each in await b.receive(8)]
                past = await b.link.read(topic, keep)
                count = min(most, 8)
                assert [each.data for each in past.messages] == [b"%d" % each for each in range(8 - count, 8)]
                assert [each.offset for each in past.messages] == offsets[-count:]
                assert past.start == (offsets[-count - 1] if count < 8 else offsets[0] - 1)
                assert all(0 <= each.age < LONG for each in past.messages)
                assert past.end == offsets[-1]

    async def test_only_what_is_young_enough_is_read(self):
        keep = Keep(10, 1)
        async with self.members("a") as [a]:
            await a.publish("t", b"old", keep=keep)
            past = await a.link.read("t", keep)
            while (young := await a.link.read("t", keep)).messages:
                assert young.messages[0].data == b"old"
                await asyncio.sleep(0.05)
            assert (young.epoch, young.start) == (past.epoch, past.end)
            await a.publish("t", b"new", keep=keep)
            young = await a.link.read("t", keep)
            assert [each.data for each in young.messages] == [b"new"]
            assert (young.epoch, young.start) == (past.epoch, past.end)

    test_what_is_too_old_is_kept_no_longer = None    # it is, but not read
