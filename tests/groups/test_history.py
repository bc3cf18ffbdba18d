"""The past of a topic, in one process."""

import asyncio

import pytest
from websockets.asyncio.client import connect

from hyperws import ConfigurationError, UsageError
from hyperws.groups import relay as relay_module
from hyperws.groups.backplane import Keep
from hyperws.groups.history import Rule, Rules, Timeline

from .clients import Client, room_server, wrap


async def test_who_comes_back_gets_what_it_missed_once_and_in_order(serving):
    async with serving(room_server().history("a", wrap=wrap)) as running:
        async with await Client.connect(running) as one:
            past, got = await one.subscribe("a")
            assert past == []
            assert got["recovered"] is None
            epoch, offset = got["at"]
            for number in range(5):
                await one.say("publish", "a", str(number))
            came = await one.get_several(5)
            assert came == [[str(number), epoch, offset + 1 + number] for number in range(5)]
        for number in range(5, 9):
            running.server.publish("a", str(number))
        async with await Client.connect(running) as again:
            past, got = await again.subscribe("a", [epoch, came[-1][2]])
            assert [message for message, *_ in past] == ["5", "6", "7", "8"]
            assert got == {"recovered": True, "at": [epoch, offset + 9]}
            running.server.publish("a", "9")
            assert await again.get() == ["9", epoch, offset + 10]


@pytest.mark.parametrize(
    "since", ["", ":", "x:1", "1", "epoch:-1", "e:" + 30 * "9", ["", 0], ["x", 10**30], [1, 2]]
)
async def test_a_position_that_never_was_is_not_recovered(serving, since):
    async with serving(room_server().history("a", wrap=wrap)) as running:
        running.server.publish("a", "before")
        async with await Client.connect(running) as client:
            past, got = await client.subscribe("a", since)
            assert past == []
            assert got["recovered"] is False
            running.server.publish("a", "now")
            assert (await client.get())[0] == "now"


async def test_what_is_too_much_is_forgotten_and_said(serving):
    async with serving(room_server().history("a*", messages=3, wrap=wrap)) as running:
        async with await Client.connect(running) as client:
            epoch, _ = (await client.subscribe("ab"))[1]["at"]
        for number in range(1, 6):
            running.server.publish("ab", str(number))
        async with await Client.connect(running) as client:
            past, got = await client.subscribe("ab", [epoch, 2])
            assert ([each[0] for each in past], got["recovered"]) == (["3", "4", "5"], True)
        async with await Client.connect(running) as client:
            past, got = await client.subscribe("ab", [epoch, 1])
            assert (past, got["recovered"]) == ([], False)
        async with await Client.connect(running) as client:
            past, got = await client.subscribe("ab", "start")
            assert ([each[0] for each in past], got["recovered"]) == (["3", "4", "5"], True)


async def test_an_event_stream_goes_on_where_it_ended(serving):
    server = room_server().history("news")

    @server.route("/events")
    async def events(ctx):
        ctx.subscribe("news", since=ctx.last_event_id)
        await ctx.wait_closed()

    async with serving(server) as running:
        reader, writer = await running.raw(b"GET /events HTTP/1.1\r\nHost: x\r\n\r\n")
        await reader.readuntil(b"\r\n\r\n")
        server.publish("news", "one")
        event = await reader.readuntil(b"\n\n")
        id = event.split(b"id: ")[1].split(b"\n")[0]
        assert event.endswith(b"data: one\n\n")
        writer.close()
        while server.topics.count("news"):
            await asyncio.sleep(0)
        server.publish("news", "two")
        reader, writer = await running.raw(
            b"GET /events HTTP/1.1\r\nHost: x\r\nLast-Event-ID: " + id + b"\r\n\r\n"
        )
        assert (await reader.readuntil(b"data: two\n\n")).count(b"data:") == 1
        writer.close()


async def test_the_publisher_itself_is_left_out(serving):
    async with serving(room_server().history("a", wrap=wrap)) as running:
        async with await Client.connect(running) as one, await Client.connect(running) as two:
            await one.subscribe("a")
            await two.subscribe("a")
            await one.say("others", "a", "from one")
            await two.say("others", "a", "from two")
            assert (await two.get())[0] == "from one"
            assert (await one.get())[0] == "from two"


async def test_wrong_use(serving):
    async with serving(room_server().history("a*")) as running:
        async with connect(running.ws()) as websocket:
            await websocket.send('["subscribe", "a1"]')
            await websocket.recv()
            ctx = running.server.contexts[0]
            with pytest.raises(UsageError, match="already"):
                ctx.subscribe("a1", since=("x", 1))
            with pytest.raises(UsageError, match=r"no history: .*server.history\('b'\)"):
                ctx.subscribe("b", since=("x", 1))
            with pytest.raises(UsageError, match=r"since takes \(epoch, offset\)"):
                ctx.subscribe("a2", since=7)
            with pytest.raises(UsageError, match="policy is 'close', 'drop' or 'latest'"):
                ctx.subscribe("a2", policy="forget")
        with pytest.raises(UsageError, match="before the server starts"):
            running.server.history("c")
    for wrong in ({"messages": 0}, {"messages": True}, {"seconds": 0}, {"seconds": "1"}, {"wrap": 1}):
        with pytest.raises(ConfigurationError):
            room_server().history("a", **wrong)


def test_the_rule_of_a_topic_is_its_own_or_that_of_the_longest_beginning():
    rules = Rules()
    keeps = {pattern: Keep(number, 1) for number, pattern in enumerate(["*", "a*", "a:b*", "a:b"], 1)}
    assert not rules
    for pattern, keep in keeps.items():
        rules.add(pattern, Rule(keep, None))
    for topic, pattern in {"": "*", "x": "*", "a": "a*", "a:b": "a:b", "a:bc": "a:b*", "*": "*"}.items():
        assert rules.find(topic).keep == keeps[pattern]
    assert Rules().find("a") is None


def test_old_messages_are_forgotten():
    timeline = Timeline(Rule(Keep(10, 5.0), None), now=0)
    for offset in range(1, 5):
        timeline.add(offset, "x", float(offset))
    timeline.expire(7.5)
    assert [entry.offset for entry in timeline.after(timeline.epoch, 2)] == [3, 4]
    assert timeline.after(timeline.epoch, 1) is None
    timeline.expire(100)
    assert timeline.after(timeline.epoch, 4) == []
    assert timeline.after(timeline.epoch, 3) is None
    assert timeline.after(timeline.epoch, 5) is None
    timeline.add(5, None, 100)     # others may have lost something
    timeline.add(6, "y", 100)
    assert timeline.after(timeline.epoch, 4) is None
    assert [entry.offset for entry in timeline.after(timeline.epoch, 5)] == [6]
    assert [entry.message for entry in timeline.kept()] == ["y"]


async def test_topics_that_nobody_uses_are_forgotten(serving, monkeypatch):
    monkeypatch.setattr(relay_module, "SWEEP", 0.01)
    server = room_server().history("short*", seconds=0.02).history("long")
    async with serving(server) as running, await Client.connect(running) as client:
        await client.subscribe("short 0")
        for number in range(2000):
            server.publish(f"short {number}", "x")
        server.publish("long", "x")
        while len(server._relay.timelines) > 2:
            await asyncio.sleep(0.005)
        assert set(server._relay.timelines) == {"short 0", "long"}
