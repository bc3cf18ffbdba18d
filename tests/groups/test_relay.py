"""Servers that share a broker: what reaches whom, also when the broker goes away."""

import asyncio
import logging
from contextlib import suppress

import pytest

from hyperws.groups import uplink as uplink_module

from .clients import Client
from .memory import Broker, Cuttable, MemoryLink

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@pytest.fixture
def broker(monkeypatch):
    monkeypatch.setattr(uplink_module, "FIRST_PAUSE", 0.01)
    return Broker()


@pytest.fixture
def impatient(monkeypatch):
    """Nothing waits for long for a broker that is away."""
    monkeypatch.setattr(uplink_module, "PATIENCE", 0.05)


async def test_a_message_reaches_the_subscribers_of_all_servers_once(serving, broker):
    async with Cuttable(serving, broker) as pair:
        for topic in ("plain", "kept"):
            for client in (pair.one, pair.two):
                await client.subscribe(topic)
            for number in range(20):
                pair.servers[number % 2].publish(topic, str(number))
            if topic == "plain":    # in the order of each publisher
                for client in (pair.one, pair.two):
                    came = await client.get_several(20)
                    assert came[0] in (0, 1)
                    assert [each for each in came if each % 2] == list(range(1, 20, 2))
                    assert [each for each in came if not each % 2] == list(range(0, 20, 2))
            else:                   # in one order for all
                came = await pair.one.get_several(20)
                assert await pair.two.get_several(20) == came
                assert [offset for _, _, offset in came] == list(range(1, 21))
                assert sorted(int(message) for message, *_ in came) == list(range(20))
        assert pair.gaps == [[], []]


async def test_text_and_bytes_and_who_is_left_out(serving, broker):
    async with Cuttable(serving, broker) as pair:
        await pair.one.subscribe("plain")
        await pair.two.subscribe("plain")
        pair.servers[0].publish("plain", b"\x00\xff")
        pair.servers[0].publish("plain", ["in ", "pieces"])
        pair.servers[0].publish("plain", "here alone", local=True)
        for client in (pair.one, pair.two):
            assert await client.websocket.recv() == b"\x00\xff"
            assert await client.websocket.recv() == "in pieces"
        assert await pair.one.websocket.recv() == "here alone"
        await pair.one.subscribe("kept")
        await pair.two.subscribe("kept")
        for topic in ("plain", "kept"):
            await pair.one.say("others", topic, '["from one"]')
            await pair.two.say("others", topic, '["from two"]')
            assert "from one" in await pair.two.websocket.recv()
            assert "from two" in await pair.one.websocket.recv()


async def test_the_broker_is_asked_for_topics_in_use_alone(serving, broker):
    async with Cuttable(serving, broker) as pair:
        links = list(broker.links)
        assert [link.topics for link in links] == [set(), set()]
        await pair.one.subscribe("plain")
        await pair.one.subscribe("kept")
        async with await Client.connect(pair.running[0]) as another:
            await another.subscribe("plain")
        assert sorted(map(len, (link.topics for link in links))) == [0, 2]
        await pair.one.say("unsubscribe", "plain")
        await pair.until(lambda: {"kept"} in [link.topics for link in links])


async def test_history_is_shared(serving, broker):
    async with Cuttable(serving, broker) as pair:
        epoch, offset = (await pair.one.subscribe("kept"))[1]["at"]
        for number in range(3):
            pair.servers[0].publish("kept", str(number))
        first = await pair.one.get_several(3)
        past, got = await pair.two.subscribe("kept", [epoch, offset + 1])
        assert (past, got) == (first[1:], {"recovered": True, "at": [epoch, offset + 3]})


async def test_a_cut_is_made_up_for_where_there_is_history_and_told_where_not(serving, broker):
    async with Cuttable(serving, broker) as pair:
        for topic in ("plain", "kept"):
            await pair.one.subscribe(topic)
            await pair.two.subscribe(topic)
        await pair.away()
        for number in range(5):
            pair.servers[0].publish("kept", str(number))
        pair.servers[0].publish("plain", '"here at once"')
        assert await pair.one.get() == "here at once"
        await pair.back()
        came = await pair.one.get_several(5)
        assert [message for message, *_ in came] == ["0", "1", "2", "3", "4"]
        two = [await pair.two.get() for _ in range(5)]
        if "here at once" in two:   # it depends on who was back first
            two.append(await pair.two.get())
            two.remove("here at once")
        assert two == came
        assert pair.gaps == [["plain"], ["plain"]]
        assert [server.gaps for server in pair.servers] == [1, 1]
        plain = pair.servers[0].topics.subscriptions("plain")[0]
        kept = pair.servers[0].topics.subscriptions("kept")[0]
        assert (plain.recovered, kept.recovered) == (False, None)


async def test_one_server_that_was_cut_off_catches_up(serving, broker):
    async with Cuttable(serving, broker) as pair:
        await pair.one.subscribe("kept")
        await pair.two.subscribe("kept")
        pair.cut_off(1)
        for number in range(5):
            pair.servers[0].publish("kept", str(number))
        came = await pair.one.get_several(5)
        await pair.back()
        assert await pair.two.get_several(5) == came
        assert pair.gaps == [[], []]


async def test_a_broker_that_has_lost_its_history_is_told(serving, broker):
    async with Cuttable(serving, broker) as pair:
        epoch, offset = (await pair.one.subscribe("kept"))[1]["at"]
        await pair.two.subscribe("kept")
        pair.servers[0].publish("kept", "before")
        assert (await pair.one.get())[:2] == (await pair.two.get())[:2] == ["before", epoch]
        await pair.away()
        broker.forget()
        pair.servers[0].publish("kept", "meanwhile")
        await pair.back()
        came = await pair.one.get()
        assert came == await pair.two.get()
        assert (came[0], came[1] != epoch, came[2]) == ("meanwhile", True, 1)
        assert pair.gaps == [["kept"], ["kept"]]
        async with await Client.connect(pair.running[1]) as late:
            assert (await late.subscribe("kept", [epoch, offset + 1]))[1]["recovered"] is False


async def test_messages_that_a_broker_took_before_it_went_are_not_doubled(serving, broker):
    async with Cuttable(serving, broker) as pair:
        await pair.one.subscribe("kept")
        await pair.two.subscribe("kept")
        publish = type(next(iter(broker.links))).publish

        async def takes_but_does_not_answer(link, publications):
            await publish(link, publications)
            type(link).publish = publish
            link.end()
            raise ConnectionResetError

        type(next(iter(broker.links))).publish = takes_but_does_not_answer
        for number in range(5):
            pair.servers[0].publish("kept", str(number))
        pair.servers[0].publish("kept", "end")
        came = await pair.one.get_several(6)
        assert [message for message, *_ in came] == ["0", "1", "2", "3", "4", "end"]
        assert await pair.two.get_several(6) == came
        await pair.healthy()
        assert pair.gaps == [[], []]


async def test_a_broker_that_is_away_for_long_is_not_waited_for(serving, broker, impatient):
    async with Cuttable(serving, broker) as pair:
        epoch, offset = (await pair.one.subscribe("kept"))[1]["at"]
        await pair.two.subscribe("kept")
        await pair.away()
        for number in range(3):
            pair.servers[0].publish("kept", str(number))
        alone = await pair.one.get_several(3)
        assert [message for message, *_ in alone] == ["0", "1", "2"]
        assert alone[0][1] != epoch
        assert "kept" in pair.gaps[0]
        await pair.until(lambda: pair.servers[1]._relay.uplink.local)
        async with await Client.connect(pair.running[0]) as late:   # who has a past of its own for now
            past, got = await late.subscribe("kept", [alone[0][1], 1])
            assert ([each[0] for each in past], got["recovered"]) == (["1", "2"], True)
            assert (await late.subscribe("kept2", [epoch, 0]))[1]["recovered"] is False
        for gaps in pair.gaps:
            gaps.clear()
        await pair.back()
        await pair.until(lambda: all("kept" in gaps for gaps in pair.gaps))
        pair.servers[0].publish("kept", "together")
        assert (await pair.two.get())[:2] == (await pair.one.get())[:2] == ["together", epoch]
        async with await Client.connect(pair.running[1]) as late:   # what was said apart is missing
            assert (await late.subscribe("kept", [epoch, offset]))[1]["recovered"] is False


async def test_a_plain_message_that_found_no_broker_is_told_of(serving, broker, impatient):
    async with Cuttable(serving, broker) as pair:
        await pair.one.subscribe("plain")
        await pair.two.subscribe("plain")
        pair.cut_off(0)
        await pair.until(lambda: pair.servers[0]._relay.uplink.local)
        pair.servers[0].publish("plain", "1")
        assert await pair.one.get() == 1
        assert pair.gaps == [[], []]
        await pair.back()
        await pair.until(lambda: pair.gaps == [["plain"], ["plain"]])
        pair.servers[1].publish("plain", "2")
        assert await pair.one.get() == await pair.two.get() == 2


async def test_more_than_is_kept_for_a_broker_that_stalls(serving, broker, monkeypatch):
    monkeypatch.setattr(uplink_module, "OUTBOX", 10_000)
    async with Cuttable(serving, broker) as pair:
        await pair.one.subscribe("kept")
        await pair.two.subscribe("kept")
        broker.stalled.clear()
        for number in range(100):
            pair.servers[0].publish("kept", f"{number:0500}")
        came = await pair.one.get_several(100)
        assert [int(message) for message, *_ in came] == list(range(100))
        broker.stalled.set()
        await pair.until(lambda: "kept" in pair.gaps[1])
        assert "kept" in pair.gaps[0]
        await pair.healthy()
        assert pair.servers[0]._relay.uplink.waiting == 0


async def test_a_broker_that_does_not_answer_is_given_up(serving, broker, monkeypatch, caplog):
    monkeypatch.setattr(uplink_module, "ANSWER", 0.05)
    monkeypatch.setattr(uplink_module, "PING", 0.05)
    async with Cuttable(serving, broker) as pair:
        await pair.one.subscribe("kept")
        await pair.two.subscribe("kept")
        broker.stalled.clear()
        await pair.until(lambda: not any(server.healthy for server in pair.servers))
        pair.servers[0].publish("kept", "x")
        broker.stalled.set()
        await pair.healthy()
        assert (await pair.one.get())[0] == (await pair.two.get())[0] == "x"
        assert pair.gaps == [[], []]
        assert "no answer within" in caplog.text


async def test_a_client_that_loses_a_cancellation_does_not_keep_a_server(serving, broker, monkeypatch):
    asked = asyncio.Event()

    async def unsubscribe(link, topics):
        asked.set()
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()

    async with Cuttable(serving, broker) as pair:
        await pair.one.subscribe("plain")
        monkeypatch.setattr(MemoryLink, "unsubscribe", unsubscribe)
        await pair.one.say("unsubscribe", "plain")
        await asked.wait()


async def test_a_broker_that_serves_no_history_is_asked_less_and_less(serving, broker, monkeypatch, caplog):
    async def refuse(link, topic, keep):
        raise ConnectionError("no history here")

    monkeypatch.setattr(MemoryLink, "read", refuse)
    async with Cuttable(serving, broker) as pair:
        await pair.one.say("subscribe", "kept")
        await asyncio.sleep(0.6)
    told = [record for record in caplog.records if "no history here" in record.message]
    assert 2 <= len(told) <= 8      # the pauses double


async def test_a_server_starts_without_its_broker_and_finds_it_later(serving, broker, caplog):
    caplog.set_level(logging.INFO, "hyperws")
    broker.away = True
    async with Cuttable(serving, broker) as pair:
        assert not any(server.healthy for server in pair.servers)
        await pair.one.subscribe("plain")
        pair.servers[0].publish("plain", "1")
        assert await pair.one.get() == 1
        await pair.back()
        assert caplog.text.count("the backplane memory:// is reached again") == 2
        await pair.two.subscribe("plain")
        pair.servers[0].publish("plain", "2")
        assert await pair.one.get() == await pair.two.get() == 2


async def test_members_are_known_everywhere(serving, broker):
    async with Cuttable(serving, broker) as pair:
        events = [[], []]
        for server, told in zip(pair.servers, events, strict=True):
            server.hooks.joined.append(lambda topic, member, told=told: told.append(("joined", member.data)))
            server.hooks.left.append(lambda topic, member, told=told: told.append(("left", member.data)))
        await pair.one.subscribe("room", member="Ann")
        assert await pair.one.members("room") == ["Ann"]
        await pair.until(lambda: broker.notes.get("members:room"))
        assert await pair.two.members("room") == ["Ann"]
        await pair.two.subscribe("room", member={"name": "Bob"})
        await pair.until(lambda: ("joined", {"name": "Bob"}) in events[0])
        assert await pair.one.members("room") == ["Ann", {"name": "Bob"}]
        assert sorted(map(str, await pair.two.members("room"))) == ["Ann", "{'name': 'Bob'}"]
        await pair.one.say("unsubscribe", "room")
        await pair.until(lambda: ("left", "Ann") in events[1])
        assert await pair.two.members("room") == [{"name": "Bob"}]
        assert events[1] == [("joined", {"name": "Bob"}), ("joined", "Ann"), ("left", "Ann")]


@pytest.mark.parametrize("asked", [False, True])
async def test_one_who_leaves_while_notes_are_read_is_gone(serving, broker, monkeypatch, asked):
    async with Cuttable(serving, broker) as pair:
        await pair.one.subscribe("room", member="Ann")
        await pair.until(lambda: broker.notes.get("members:room"))
        told = []
        pair.servers[1].hooks.joined.append(lambda topic, member: told.append(("joined", member.data)))
        pair.servers[1].hooks.left.append(lambda topic, member: told.append(("left", member.data)))
        read, taken = MemoryLink.read_notes, asyncio.Event()
        monkeypatch.setattr(pair.servers[1]._relay.presence, "take", took(pair.servers[1], taken))

        async def read_slowly(link, name):
            notes = await read(link, name)
            if name == "members:room" and not taken.is_set():
                await pair.one.say("unsubscribe", "room")
                await taken.wait()
            return notes

        monkeypatch.setattr(MemoryLink, "read_notes", read_slowly)
        await pair.two.say("subscribe", "room", None, "Bob")
        if not asked:
            await taken.wait()
            await pair.until(lambda: not pair.servers[1]._relay.uplink.unread)
        await pair.two.get()
        assert await pair.two.members("room") == ["Bob"]
        assert told == [("joined", "Bob"), ("joined", "Ann"), ("left", "Ann")]


def took(server, event):
    """`take` of a server's presence, which tells when it has been called."""
    take = server._relay.presence.take

    def tell(topic, envelope):
        take(topic, envelope)
        event.set()

    return tell


async def test_members_of_a_process_that_has_died_are_gone(serving, broker, monkeypatch):
    monkeypatch.setattr(uplink_module, "PING", 0.05)
    monkeypatch.setattr(uplink_module, "ALIVE_SECONDS", 0.2)
    async with Cuttable(serving, broker) as pair:
        left = asyncio.Event()
        pair.servers[1].hooks.left.append(lambda topic, member: left.set())
        await pair.one.subscribe("room", member="Ann")
        await pair.two.subscribe("room", member="Bob")
        await pair.until(lambda: len(pair.servers[1]._relay.presence.members.of("room")) == 2)
        dead = pair.servers[0]._relay
        for task in dead.tasks:     # without a word
            task.cancel()
        await left.wait()
        assert await pair.two.members("room") == ["Bob"]


async def test_members_of_a_process_that_was_taken_for_dead_are_back(serving, broker, monkeypatch):
    monkeypatch.setattr(uplink_module, "PING", 0.05)
    monkeypatch.setattr(uplink_module, "ALIVE_SECONDS", 0.2)
    async with Cuttable(serving, broker) as pair:
        await pair.one.subscribe("room", member="Ann")
        await pair.two.subscribe("room", member="Bob")
        known = pair.servers[1]._relay.presence.members
        await pair.until(lambda: len(known.of("room")) == 2)
        pair.servers[0]._relay.uplink.lives = False     # it hangs
        await pair.until(lambda: len(known.of("room")) == 1)
        pair.servers[0]._relay.uplink.lives = True
        await pair.until(lambda: len(known.of("room")) == 2)


async def test_members_who_came_and_went_while_the_broker_was_away(serving, broker):
    async with Cuttable(serving, broker) as pair:
        await pair.one.subscribe("room", member="Ann")
        await pair.two.subscribe("room", member="Bob")
        known = pair.servers[1]._relay.presence.members
        await pair.until(lambda: len(known.of("room")) == 2)
        await pair.away()
        await pair.one.say("unsubscribe", "room")
        async with await Client.connect(pair.running[0]) as late:
            await late.subscribe("room", member="Cid")
            await pair.back()
            await pair.until(lambda: sorted(member.data for member in known.of("room")) == ["Bob", "Cid"])
