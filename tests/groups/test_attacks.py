"""Servers on one broker in trouble: at bad moments, with functions that fail, with a broker that fails."""

import asyncio
import itertools

import pytest

from hyperws.groups import relay as relay_module
from hyperws.groups import uplink as uplink_module
from hyperws.groups.backplane import Delivery, Keep, Publication
from hyperws.groups.envelope import Envelope, Kind

from .clients import Client, room_server, wrap
from .memory import Broker, Cuttable, MemoryLink


@pytest.fixture
def broker(monkeypatch):
    monkeypatch.setattr(uplink_module, "FIRST_PAUSE", 0.01)
    return Broker()


async def turns(count=20):
    for _ in range(count):
        await asyncio.sleep(0)


async def test_a_topic_that_is_left_while_a_message_waits_for_its_past_holds_nothing_up(serving, broker):
    async with Cuttable(serving, broker) as pair:
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
    async with Cuttable(serving, broker) as pair:
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


async def test_what_is_numbered_here_once_the_broker_has_been_given_up(serving, broker, monkeypatch):
    """Neither side takes the other's messages for its own."""
    monkeypatch.setattr(uplink_module, "PATIENCE", 0.05)
    async with Cuttable(serving, broker) as pair:
        epoch, offset = (await pair.one.subscribe("kept"))[1]["at"]
        await pair.two.subscribe("kept")
        pair.servers[0].publish("kept", "0")
        assert (await pair.one.get())[:2] == (await pair.two.get())[:2] == ["0", epoch]
        pair.cut_off(0)
        await pair.until(lambda: pair.servers[0]._relay.uplink.local)
        pair.servers[0].publish("kept", "here alone")
        alone = await pair.one.get()
        pair.servers[1].publish("kept", "elsewhere")
        assert (await pair.two.get())[:2] == ["elsewhere", epoch]
        assert (alone[0], alone[1] != epoch) == ("here alone", True)
        await pair.back()
        assert await pair.one.get() == ["elsewhere", epoch, offset + 2]     # and nothing a second time
        await pair.until(lambda: "kept" in pair.gaps[0] and "kept" in pair.gaps[1])


async def test_what_was_numbered_before_anybody_was_here_is_still_there(serving, broker, monkeypatch):
    monkeypatch.setattr(uplink_module, "PATIENCE", 0.05)
    async with Cuttable(serving, broker) as pair:
        await pair.away()
        await pair.until(lambda: pair.servers[0]._relay.uplink.local)
        pair.servers[0].publish("kept", "1")
        past, got = await pair.one.subscribe("kept", "start")
        assert ([each[0] for each in past], got["recovered"]) == (["1"], True)


# ------------------------------------------------------------------- functions that fail


def fails_for_some(topic, message, epoch, offset):
    match message:
        case "raise":
            raise ValueError("no good")
        case "none":
            return None
        case "surrogate":
            return "\ud800"
        case "bytearray":
            return bytearray(b"7")
    return message


@pytest.mark.parametrize("with_broker", [False, True])
@pytest.mark.parametrize("bad", ["raise", "none", "surrogate"])
async def test_a_wrap_that_fails_costs_one_message_and_says_so(serving, broker, caplog, bad, with_broker):
    server = room_server(**({"backplane": broker} if with_broker else {})).history("a", wrap=fails_for_some)
    gaps = []
    server.on_gap(gaps.append)
    async with serving(server) as running, await Client.connect(running) as one:
        await one.subscribe("a")
        for message in ("1", bad, "2"):
            await asyncio.to_thread(server.publish, "a", message)
        assert [await one.get(), await one.get()] == [1, 2]
        assert gaps == ["a"]
        async with await Client.connect(running) as late:
            past, got = await late.subscribe("a", "start")
            assert (past, got["recovered"]) == ([], False)
            server.publish("a", "3")
            assert await late.get() == await one.get() == 3
        assert server.healthy
    assert "made nothing that can be sent" in caplog.text
    caplog.clear()


async def test_what_a_wrap_may_return(serving):
    async with serving(room_server().history("a", wrap=fails_for_some)) as running:
        async with await Client.connect(running) as one:
            await one.subscribe("a")
            running.server.publish("a", "bytearray")
            assert await one.websocket.recv() == b"7"


# ----------------------------------------------------------------- a broker that is no good


GARBAGE = {
    "nothing": b"",
    "of no kind": Envelope("0" * 16, 1, Kind.TEXT, b"x").encode()[:24] + b"\xff\x00x",
    "no text": Envelope("0" * 16, 1, Kind.TEXT, b"\xff").encode(),
    "no name": b"\xff" * 40,
    "no member": Envelope("0" * 16, 1, Kind.JOINED, b"[").encode(),
    "another member": Envelope("0" * 16, 1, Kind.LEFT, b"[1]").encode(),
}


@pytest.mark.parametrize("garbage", GARBAGE.values(), ids=GARBAGE)
@pytest.mark.parametrize("topic", ["plain", "kept"])
async def test_garbage_that_somebody_has_published(serving, broker, caplog, topic, garbage):
    async with Cuttable(serving, broker) as pair:
        await pair.one.subscribe(topic)
        await pair.two.subscribe(topic)
        stranger = await broker.connect("0" * 16, print, print)
        keep = Keep(100, 300) if topic == "kept" else None
        pair.servers[0].publish(topic, '["1"]')
        await stranger.publish([Publication(topic, garbage, 1, keep)])
        pair.servers[1].publish(topic, '["2"]')
        for client in (pair.one, pair.two):
            assert {str(each[0]).strip('["]') for each in await client.get_several(2)} == {"1", "2"}
        made = broker.made
        async with await Client.connect(pair.running[0]) as late:
            await late.subscribe("kept", "start")
            assert pair.servers[0].healthy
        assert broker.made == made
        assert ("kept" in pair.gaps[0]) == (topic == "kept")
        await pair.away()
        await pair.back()
        pair.servers[0].publish(topic, '["3"]')
        assert "3" in str(await pair.one.get())
        await stranger.close()
    caplog.clear()


@pytest.mark.parametrize("note", [b"\xff", b"[", b"[1]", b'{"a": 1}', b"[[1,2,3]]", b'[[[],{}]]'])
async def test_garbage_in_the_notes_on_members(serving, broker, caplog, note):
    async with Cuttable(serving, broker) as pair:
        expires = asyncio.get_running_loop().time() + 1000
        broker.notes["members:room"] = {"0" * 16: (expires, note)}
        broker.notes["alive"] = {"0" * 16: (expires, b"1")}
        assert await pair.servers[0].members("room") == []
        await pair.one.subscribe("room", member="Ann")
        await pair.two.subscribe("room", member="Bob")
        await pair.until(lambda: len(pair.servers[0]._relay.presence.members.of("room")) == 2)
        assert sorted(await pair.one.members("room")) == ["Ann", "Bob"]
        assert broker.made == 2
    assert "no sense" in caplog.text
    caplog.clear()


async def test_nothing_is_lost_behind_a_message_that_fits_in_nowhere(serving, broker):
    async with Cuttable(serving, broker) as pair:
        await pair.one.subscribe("kept")
        (link,) = [link for link in broker.links if "kept" in link.topics]
        read, early = link.read, pair.servers[0]._relay.early
        numbers = ["1", "0"]

        async def something_new_follows(topic, keep):
            past = await read(topic, keep)
            if numbers:
                before = len(early["kept"])
                pair.servers[1].publish("kept", numbers.pop())
                await pair.until(lambda: len(early["kept"]) > before)
            return past

        link.read = something_new_follows
        late = Envelope("0" * 16, 1, Kind.TEXT, b"late").encode()
        joined = Envelope("0" * 16, 1, Kind.JOINED, b'[["1", "Ann"]]').encode()
        broker.deliver(Delivery("kept", late, "long ago", 7, 6))
        broker.deliver(Delivery("kept", joined))
        assert [message for message, *_ in await pair.one.get_several(2)] == ["0", "1"]
        assert [member.data for member in pair.servers[0]._relay.presence.members.of("kept")] == ["Ann"]


# -------------------------------------------------------------------------- at bad moments


async def test_a_topic_whose_subscription_is_just_being_made_when_the_connection_ends(serving, broker):
    """What others publish until there is another one is missing, and that is told."""
    async with Cuttable(serving, broker) as pair:
        broker.stalled.clear()
        await pair.one.subscribe("plain")
        broker.away = True
        broker.cut()
        await pair.until(lambda: not pair.servers[0].healthy)
        broker.stalled.set()
        await pair.back()
        assert pair.gaps[0] == ["plain"]


async def test_what_comes_while_topics_are_subscribed_to_is_not_taken_for_old(serving, broker, monkeypatch):
    subscribe = MemoryLink.subscribe

    async def something_comes_at_once(link, topics):
        await subscribe(link, topics)
        for number, topic in ((1, "b"), (2, "a"), (3, "b")):
            broker.deliver(Delivery(topic, Envelope("0" * 16, number, Kind.TEXT, b"%d" % number).encode()))
        await turns()

    async with Cuttable(serving, broker) as pair:
        await pair.away()
        for topic in ("a", "b"):
            await pair.one.subscribe(topic)
        monkeypatch.setattr(MemoryLink, "subscribe", something_comes_at_once)
        await pair.back()
        assert sorted(await pair.one.get_several(3)) == [1, 2, 3]


async def test_who_is_left_out_is_left_out_however_much_waits(serving, broker, monkeypatch):
    monkeypatch.setattr(relay_module, "EXCLUDED", 10)
    async with Cuttable(serving, broker) as pair:
        await pair.one.subscribe("kept")
        await pair.two.subscribe("kept")
        server = pair.servers[0]
        broker.stalled.clear()
        for number in range(100):
            server.contexts[0].publish("kept", str(number))
            server.contexts[0].publish("kept elsewhere", str(number))
        server.publish("kept", "to all")
        broker.stalled.set()
        came = await pair.two.get_several(101)
        assert [message for message, *_ in came] == [*map(str, range(100)), "to all"]
        assert (await pair.one.get())[0] == "to all"
        assert not server._relay.excluded


async def test_news_of_a_topic_that_has_just_been_left_leave_nothing_behind(serving, broker):
    async with Cuttable(serving, broker) as pair:
        await pair.one.subscribe("room", member="Ann")
        await pair.two.subscribe("room", member="Bob")
        presence = pair.servers[1]._relay.presence
        await pair.until(lambda: len(presence.members.of("room")) == 2)
        pair.servers[1].contexts[0].unsubscribe("room")
        news = Envelope(pair.servers[0]._relay.origin, 10**6, Kind.JOINED, b'[["x", "Cid"]]')
        broker.deliver(Delivery("room", news.encode()))
        await turns()
        assert presence.members.of("room") == []
        pair.servers[0].contexts[0].unsubscribe("room")
        while await pair.servers[1].members("room"):
            pass


async def test_a_hook_that_takes_others_out_of_the_topic(serving, broker, monkeypatch):
    """As where a room closes once its owner is gone, whose process has died."""
    monkeypatch.setattr(uplink_module, "PING", 0.05)
    monkeypatch.setattr(uplink_module, "ALIVE_SECONDS", 0.2)
    async with Cuttable(serving, broker) as pair:
        closed = asyncio.Event()

        @pair.servers[1].hooks.left.append
        def left(topic, member):
            if member.data.startswith("owner"):
                pair.servers[1].contexts[0].unsubscribe(topic)
            if topic == "room3":
                closed.set()

        for room in ("room1", "room2", "room3"):
            await pair.one.subscribe(room, member="owner")
            await pair.two.subscribe(room, member="Bob")
        presence = pair.servers[1]._relay.presence
        await pair.until(lambda: len(presence.members.of("room3")) == 2)
        await pair.healthy()
        for task in pair.servers[0]._relay.tasks:     # it dies without a word
            task.cancel()
        await closed.wait()
        assert broker.made == 2


async def test_a_hook_that_comes_to_the_topic_that_the_last_one_leaves(serving, broker):
    async with Cuttable(serving, broker) as pair:
        @pair.servers[0].hooks.left.append
        def left(topic, member):
            pair.servers[0].contexts[0].subscribe(topic)

        async with await Client.connect(pair.running[0]) as late:
            await late.subscribe("room", member="Ann")
            await pair.one.subscribe("else")
            await late.say("unsubscribe", "room")
            await pair.until(lambda: pair.servers[0]._relay.presence.members.of("room") == [])
        await pair.until(lambda: not pair.servers[0]._relay.uplink.changed.is_set())
        await pair.healthy()
        pair.servers[1].publish("room", "1")
        assert await pair.one.get() == 1


# -------------------------------------------------------- a broker that is there but does not work


@pytest.fixture
def useless(monkeypatch, broker):
    """Anybody can connect, and nobody can read."""
    async def does_not_answer(link, topic, keep):
        await asyncio.Event().wait()

    monkeypatch.setattr(MemoryLink, "read", does_not_answer)
    monkeypatch.setattr(uplink_module, "ANSWER", 0.1)
    return broker


async def test_a_broker_that_does_not_work_is_not_waited_for(serving, useless, monkeypatch):
    monkeypatch.setattr(uplink_module, "PATIENCE", 0.5)
    monkeypatch.setattr(uplink_module, "FIRST_PAUSE", 1e-6)     # at hardly any moment there is no connection
    server = room_server(backplane=useless).history("kept", wrap=wrap)
    async with serving(server) as running, await Client.connect(running) as client:
        await client.subscribe("kept")
        server.publish("kept", "1")
        assert (await client.get())[0] == "1"
        assert not server.healthy


async def test_a_broker_that_does_not_work_is_asked_ever_more_rarely(serving, useless):
    server = room_server(backplane=useless).history("kept", wrap=wrap)
    async with serving(server) as running, await Client.connect(running) as client:
        await client.say("subscribe", "kept")
        while server._relay.uplink.pause < 8 * uplink_module.FIRST_PAUSE:
            await asyncio.sleep(0.005)


async def test_topics_that_come_and_go_keep_nothing_from_being_healthy(serving, broker, monkeypatch):
    answer = MemoryLink.answer

    async def takes_its_time(link):
        await turns()
        await answer(link)

    monkeypatch.setattr(MemoryLink, "answer", takes_its_time)
    async with Cuttable(serving, broker) as pair:
        await pair.one.subscribe("plain")
        (ctx,) = pair.servers[0].contexts

        async def come_and_go():
            for number in itertools.count():
                await ctx.subscribe(str(number))
                await asyncio.sleep(0)
                ctx.unsubscribe(str(number - 5))

        coming = asyncio.create_task(come_and_go())
        await pair.away()
        await pair.back()
        coming.cancel()


async def test_a_connection_that_does_not_close_is_left_to_itself(serving, broker, monkeypatch):
    async def never_ends(link):
        await asyncio.Event().wait()

    monkeypatch.setattr(MemoryLink, "close", never_ends)
    monkeypatch.setattr(uplink_module, "ANSWER", 0.05)
    async with Cuttable(serving, broker) as pair:
        await pair.away()
        await pair.back()


async def test_every_connection_is_closed_whenever_the_server_stops(serving, broker, monkeypatch):
    connect, close, made, closed = broker.connect, MemoryLink.close, [], []

    async def connects(origin, deliver, lost):
        made.append(await connect(origin, deliver, lost))
        return made[-1]

    async def closes(link):
        closed.append(link)
        await close(link)

    broker.connect = connects
    monkeypatch.setattr(MemoryLink, "close", closes)
    for count in range(12):     # turns between the end of the connection and that of the server
        async with serving(room_server(backplane=broker)) as running:
            broker.cut()
            await turns(count)
            await running.server._stop_publishing()
        assert closed == made
