"""What every link has to do. A backplane's tests are a subclass of `LinkContract`, and what is special."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import pairwise

import pytest

from hyperws.groups.backplane import Keep, Publication
from hyperws.groups.connecting import backplane_at

STRANGE = [
    "", " ", "*", ">", "?", "[a]", "a", "a.b", "a.*", "a.>", ".a", "a.", "a..b", "a b", "A", "a:b", "{a}",
    "}{", "\0", "a\0", "\r\n", "%61", "=61", "_", "é", "e\u0301", "🦉", "\ud800", "x" * 10_000,
    "x" * 9_999 + "y",
]
LONG = 3600.0
PATIENCE = 10


class Member:
    """A process that takes part: its link, and what has come over it."""

    def __init__(self, origin):
        self.origin = origin
        self.coming = asyncio.Queue()
        self.lost = asyncio.get_running_loop().create_future()
        self.losses = []
        self.number = 0

    async def connect(self, backplane):
        self.link = await asyncio.wait_for(
            backplane.connect(self.origin, self.coming.put_nowait, self.lose), PATIENCE
        )

    def lose(self, error):
        assert isinstance(error, Exception)
        self.losses.append(error)
        if not self.lost.done():
            self.lost.set_result(error)

    async def receive(self, count):
        """The next deliveries, as many as that."""
        return [await asyncio.wait_for(self.coming.get(), PATIENCE) for _ in range(count)]

    async def publish(self, topic, *messages, keep=None):
        """Publish these to a topic, with the next numbers of this origin."""
        await self.link.publish([self.publication(topic, message, keep) for message in messages])

    def publication(self, topic, message, keep=None):
        self.number += 1
        return Publication(topic, message, self.number, keep)

    async def until_lost(self):
        """Return once it has been told that the link is of no more use, in one way or the other."""
        while not self.lost.done():
            try:
                await asyncio.wait_for(self.link.ping(), PATIENCE)
            except TimeoutError:
                raise
            except Exception:
                return


@pytest.mark.any_driver
@asynccontextmanager
async def connected(url):
    """A member that is connected to the backplane at this URL."""
    member = Member("a")
    await member.connect(backplane_at(url))
    try:
        yield member
    finally:
        await member.link.close()


class LinkContract:
    """Tests that a link of `self.backplane()` to `self.broker` has to pass."""

    def start(self, folder, *, lasting=False):
        """A broker that has just been started (see `brokers.Broker`)."""
        raise NotImplementedError

    def backplane(self):
        """Where members connect to: the Backplane that is at `self.broker`."""
        raise NotImplementedError

    @pytest.fixture(autouse=True)
    def _broker(self, tmp_path):
        self.broker = self.start(tmp_path)
        yield
        self.broker.stop()

    @asynccontextmanager
    async def members(self, *origins):
        """Members that are connected, for as long as the block lasts."""
        async with AsyncExitStack() as stack:
            members = []
            for origin in origins:
                member = Member(origin)
                await member.connect(self.backplane())
                stack.push_async_callback(asyncio.wait_for, member.link.close(), PATIENCE)
                members.append(member)
            yield members

    # what is published

    async def test_a_subscription_is_in_force_when_it_returns(self):
        async with self.members("a", "b") as (a, b):
            for turn in range(20):
                topic = f"topic {turn}"
                await b.link.subscribe([topic])
                await a.publish(topic, b"%d" % turn)
                [delivery] = await b.receive(1)
                assert delivery == (topic, b"%d" % turn, "", 0, 0)

    async def test_all_get_everything_in_order(self):
        topics = ["one", "two", "three"]
        async with self.members("a", "b", "c") as (a, b, c):
            await b.link.subscribe(topics)
            await c.link.subscribe(topics[1:])
            sent = [a.publication(topics[each % 3], b"%d" % each) for each in range(300)]
            for first in range(0, 300, 60):
                await a.link.publish(sent[first:first + 60])
            expected = [(each.topic, each.data) for each in sent]
            assert [each[:2] for each in await b.receive(300)] == expected
            expected = [each for each in expected if each[0] != "one"]
            assert [each[:2] for each in await c.receive(200)] == expected

    async def test_any_bytes_arrive_as_they_are(self):
        every = bytes(range(256))
        messages = [b"", every, b"\r\n", b"$3\r\n", every * 3500]
        async with self.members("a", "b") as (a, b):
            await b.link.subscribe(["plain", "kept"])
            await a.publish("plain", *messages)
            await a.publish("kept", *messages, keep=Keep(10, LONG))
            assert [each.data for each in await b.receive(10)] == messages * 2
            past = await b.link.read("kept", Keep(10, LONG))
            assert [each.data for each in past.messages] == messages

    async def test_strange_topics_are_told_apart(self):
        single = [f"only{each}" for each in range(len(STRANGE))]
        async with self.members("a", "b", *single) as (a, b, *others):
            await b.link.subscribe(STRANGE)
            for topic, other in zip(STRANGE, others, strict=True):
                await other.link.subscribe([topic, "the end"])
            await b.link.subscribe(["the end"])
            for topic in STRANGE:
                await a.publish(topic, ascii(topic).encode())
            await a.publish("the end", b"")
            expected = [(topic, ascii(topic).encode()) for topic in STRANGE]
            assert [each[:2] for each in await b.receive(len(STRANGE))] == expected
            for pair, other in zip(expected, others, strict=True):
                assert [each[:2] for each in await other.receive(2)] == [pair, ("the end", b"")]

    async def test_what_is_kept_of_strange_topics_is_told_apart(self):
        keep = Keep(10, LONG)
        async with self.members("a") as [a]:
            for topic in STRANGE:
                assert (await a.link.read(topic, keep)).messages == []
                await a.publish(topic, ascii(topic).encode(), keep=keep)
                await a.link.write_note(topic, ascii(topic).encode(), LONG)
            for topic in STRANGE:
                past = await a.link.read(topic, keep)
                assert [each.data for each in past.messages] == [ascii(topic).encode()]
                assert await a.link.read_notes(topic) == {"a": ascii(topic).encode()}

    async def test_unsubscribing(self):
        async with self.members("a", "b", "c") as (a, b, c):
            await b.link.subscribe(["one", "two", "three"])
            await c.link.subscribe(["one"])
            await b.link.unsubscribe(["one", "three"])
            for topic in "one", "three", "two":
                await a.publish(topic, topic.encode())
            assert [each.topic for each in await b.receive(1)] == ["two"]
            assert [each.topic for each in await c.receive(1)] == ["one"]
            await b.link.subscribe(["one"])
            await a.publish("one", b"again")
            assert [each[:2] for each in await b.receive(1)] == [("one", b"again")]

    async def test_many_topics_at_once(self):
        topics = [f"topic {each}" for each in range(3000)]
        async with self.members("a", "b") as (a, b):
            await b.link.subscribe(topics)
            await a.link.publish([a.publication(topic, b"") for topic in topics])
            assert [each.topic for each in await b.receive(3000)] == topics
            await b.link.unsubscribe(topics[:-1])
            await a.link.publish([a.publication(topic, b"again") for topic in topics])
            assert [each.topic for each in await b.receive(1)] == topics[-1:]

    async def test_empty_lists_are_no_trouble(self):
        async with self.members("a") as [a]:
            await a.link.subscribe([])
            await a.link.unsubscribe([])
            await a.link.publish([])
            await a.link.ping()

    # what is kept

    async def test_kept_messages_have_one_order(self):
        keep = Keep(1000, LONG)
        async with self.members("a", "b", "c") as members:
            a, b, c = members
            for member in members:
                await member.link.subscribe(["t"])

            async def speak(member):
                for batch in range(10):
                    await member.publish("t", *(b"%s%d %d" % (member.origin.encode(), batch, each)
                                                for each in range(10)), keep=keep)

            await asyncio.gather(speak(a), speak(b))
            views = [await member.receive(200) for member in members]
            assert views[0] == views[1] == views[2]
            check_chain(views[0])
            for origin in b"ab":
                own = [each.data for each in views[0] if each.data[0] == origin]
                assert own == [b"%c%d %d" % (origin, *divmod(each, 10)) for each in range(100)]
            past = await c.link.read("t", keep)
            assert past.epoch == views[0][0].epoch
            assert [(each.offset, each.data) for each in past.messages] == [
                (each.offset, each.data) for each in views[0]
            ]

    async def test_messages_that_are_not_kept_stand_between(self):
        keep = Keep(10, LONG)
        async with self.members("a", "b") as (a, b):
            await b.link.subscribe(["t"])
            await a.link.publish([
                a.publication("t", b"%d" % each, keep if each % 2 else None) for each in range(6)
            ])
            got = await b.receive(6)
            assert [each.data for each in got] == [b"%d" % each for each in range(6)]
            assert [each[2:] for each in got[::2]] == [("", 0, 0)] * 3
            check_chain(got[1::2])

    async def test_reading_what_is_kept(self):
        async with self.members("a", "b") as (a, b):
            await b.link.subscribe(["t"])
            await a.publish("t", *(b"%d" % each for each in range(8)), keep=Keep(5, LONG))
            offsets = [each.offset for each in await b.receive(8)]
            for most, count in (1, 1), (3, 3), (5, 5), (100, 5):
                past = await b.link.read("t", Keep(most, LONG))
                assert [each.data for each in past.messages] == [b"%d" % each for each in range(8 - count, 8)]
                assert [each.offset for each in past.messages] == offsets[-count:]
                assert offsets[-count - 1] <= past.start < offsets[-count]
                assert all(0 <= each.age < LONG for each in past.messages)
                assert past.end == offsets[-1]

    async def test_reading_a_topic_of_which_nothing_was_kept_yet(self):
        keep = Keep(10, LONG)
        async with self.members("a", "b") as (a, b):
            await b.link.subscribe(["t"])
            await a.publish("t", b"plain")
            past = await b.link.read("t", keep)
            assert past.epoch
            assert past.messages == []
            assert await a.link.read("t", keep) == past
            await a.publish("t", b"kept", keep=keep)
            plain, kept = await b.receive(2)
            assert plain.epoch == ""
            assert (kept.epoch, kept.previous) == (past.epoch, past.end)
            after = await b.link.read("t", keep)
            assert (after.epoch, after.start, after.end) == (past.epoch, past.end, kept.offset)

    async def test_only_what_is_young_enough_is_read(self):
        async with self.members("a") as [a]:
            await a.publish("t", b"old", keep=Keep(10, LONG))
            past = await a.link.read("t", Keep(10, LONG))
            while (young := await a.link.read("t", Keep(10, 0.2))).messages:
                await asyncio.sleep(0.05)
            assert (young.epoch, young.start) == (past.epoch, past.end)
            await a.publish("t", b"new", keep=Keep(10, LONG))
            young = await a.link.read("t", Keep(10, LONG / 2))
            assert [each.data for each in young.messages] == [b"old", b"new"]
            assert young.messages[0].age >= 0.2

    async def test_what_is_too_old_is_kept_no_longer(self):
        async with self.members("a") as [a]:
            await a.publish("t", b"1", b"2", keep=Keep(10, 1))
            before = await a.link.read("t", Keep(10, LONG))
            while (past := await a.link.read("t", Keep(10, LONG))).messages:
                await asyncio.sleep(0.1)
            assert past.epoch != before.epoch or past.start == before.end
            await a.publish("t", b"3", keep=Keep(10, LONG))
            after = await a.link.read("t", Keep(10, LONG))
            assert [each.data for each in after.messages] == [b"3"]
            assert (after.epoch, after.start) == (past.epoch, past.end)

    async def test_what_is_sent_again_is_not_kept_twice(self):
        keep = Keep(100, LONG)
        numbered = [Publication("tu"[each % 2], b"%d" % each, each, keep) for each in range(1, 11)]
        async with self.members("a", "b", "a") as (a, b, again):
            await b.link.subscribe(["t", "u"])
            await a.link.publish(numbered[:5])
            await a.link.publish(numbered[2:8])
            await again.link.publish(numbered[:8])
            await again.link.publish(numbered)
            assert [each.data for each in await b.receive(10)] == [b"%d" % each for each in range(1, 11)]
            for topic in "tu":
                past = await b.link.read(topic, keep)
                assert [each.data for each in past.messages] == [
                    each.data for each in numbered if each.topic == topic
                ]

    async def test_the_same_numbers_of_another_origin_are_others(self):
        keep = Keep(100, LONG)
        async with self.members("a", "b") as (a, b):
            await a.publish("t", b"a1", b"a2", keep=keep)
            await b.publish("t", b"b1", b"b2", keep=keep)
            past = await b.link.read("t", keep)
            assert [each.data for each in past.messages] == [b"a1", b"a2", b"b1", b"b2"]

    # notes

    async def test_notes(self):
        async with self.members("a", "b", "c") as (a, b, c):
            assert await c.link.read_notes("t") == {}
            await a.link.write_note("t", b"of a", LONG)
            await b.link.write_note("t", bytes(range(256)), LONG)
            await b.link.write_note("u", b"elsewhere", LONG)
            assert await c.link.read_notes("t") == {"a": b"of a", "b": bytes(range(256))}
            await a.link.write_note("t", b"another", LONG)
            assert await c.link.read_notes("t") == {"a": b"another", "b": bytes(range(256))}
            await b.link.write_note("t", b"", LONG)
            await c.link.write_note("t", b"", LONG)
            assert await c.link.read_notes("t") == {"a": b"another"}
            assert await c.link.read_notes("u") == {"b": b"elsewhere"}

    async def test_notes_expire_by_themselves(self):
        async with self.members("a", "b") as (a, b):
            await a.link.write_note("t", b"long", 1)
            await a.link.write_note("t", b"longer", LONG)
            await b.link.write_note("t", b"short", 1)
            while (notes := await a.link.read_notes("t")) != {"a": b"longer"}:
                assert notes == {"a": b"longer", "b": b"short"}
                await asyncio.sleep(0.1)
            await b.link.write_note("t", b"back", LONG)
            assert await a.link.read_notes("t") == {"a": b"longer", "b": b"back"}

    async def test_notes_outlive_the_link(self):
        async with self.members("b") as [b]:
            async with self.members("a") as [a]:
                await a.link.write_note("t", b"of a", LONG)
            assert await b.link.read_notes("t") == {"a": b"of a"}

    # failures

    async def test_nobody_is_there(self):
        self.broker.kill()
        member = Member("a")
        with pytest.raises(Exception):    # noqa: B017, PT011 - any one will do
            await member.connect(self.backplane())
        assert not member.losses

    async def test_a_killed_broker_is_noticed(self):
        async with self.members("a", "b") as (a, b):
            await b.link.subscribe(["t"])
            self.broker.kill()
            await a.until_lost()
            await b.until_lost()
            for call in calls(a):
                with pytest.raises(Exception):    # noqa: B017, PT011
                    await asyncio.wait_for(call, PATIENCE)
            assert len(a.losses) <= 1

    async def test_calls_under_way_raise_when_the_broker_is_killed(self):
        async with self.members("a") as [a]:
            await a.link.ping()
            self.broker.pause()
            waiting = [asyncio.ensure_future(call) for call in (a.publish("t", b"x"), a.link.ping())]
            await asyncio.wait(waiting, timeout=0.1)
            self.broker.kill()
            for each in waiting:
                with pytest.raises(Exception) as raised:    # noqa: PT011
                    await asyncio.wait_for(each, PATIENCE)
                assert raised.type is not TimeoutError

    async def test_a_broker_that_hangs_does_not_answer(self):
        async with self.members("a") as [a]:
            self.broker.pause()
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(a.link.ping(), 0.3)
            await asyncio.wait_for(a.link.close(), PATIENCE)
            assert not a.losses
            self.broker.resume()

    async def test_what_a_broker_takes_late_is_not_kept_twice(self):
        keep = Keep(100, LONG)
        async with self.members("a", "b") as (a, b):
            await b.link.subscribe(["t"])
            await a.publish("t", b"1", keep=keep)
            self.broker.pause()
            sent = [a.publication("t", b"%d" % each, keep) for each in range(2, 6)]
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(a.link.publish(sent), 0.3)
            await a.link.close()
            self.broker.resume()
            async with self.members("a") as [again]:
                await again.link.publish(sent)
                past = await again.link.read("t", keep)
                assert [each.data for each in past.messages] == [b"1", b"2", b"3", b"4", b"5"]
            got = await b.receive(5)
            check_chain(got)
            await b.publish("t", b"the end", keep=keep)
            assert [each.data for each in await b.receive(1)] == [b"the end"]

    async def test_closing_in_any_state(self):
        async with self.members("new", "busy", "subscriber", "dead") as (new, busy, subscriber, dead):
            await subscriber.link.subscribe(["t"])
            self.broker.pause()
            under_way = asyncio.ensure_future(busy.link.ping())
            await asyncio.sleep(0)
            for member in new, busy, subscriber:
                await asyncio.wait_for(member.link.close(), PATIENCE)
                await asyncio.wait_for(member.link.close(), PATIENCE)
            with pytest.raises(Exception) as raised:    # noqa: PT011
                await asyncio.wait_for(under_way, PATIENCE)
            assert raised.type is not TimeoutError
            self.broker.kill()
            await dead.until_lost()
            await asyncio.wait_for(dead.link.close(), PATIENCE)
            assert not new.losses
            assert not busy.losses
            assert not subscriber.losses

    async def test_closing_with_much_that_the_broker_has_not_read(self):
        async with self.members("a") as [a]:
            await a.link.ping()
            self.broker.pause()
            under_way = asyncio.ensure_future(a.publish("t", *[bytes(900_000)] * 20))
            await asyncio.wait([under_way], timeout=0.1)
            await asyncio.wait_for(a.link.close(), PATIENCE)
            with pytest.raises(Exception) as raised:    # noqa: PT011
                await asyncio.wait_for(under_way, PATIENCE)
            assert raised.type is not TimeoutError

    async def test_a_closed_link_takes_no_calls(self):
        async with self.members("a") as [a]:
            await a.link.close()
            for call in calls(a):
                with pytest.raises(Exception) as raised:    # noqa: PT011
                    await asyncio.wait_for(call, PATIENCE)
                assert raised.type is not TimeoutError
            assert not a.losses

    async def test_a_broker_that_is_started_again_begins_a_new_epoch_or_goes_on(self):
        keep = Keep(100, LONG)
        async with self.members("a") as [a]:
            await a.publish("t", b"1", b"2", keep=keep)
            before = await a.link.read("t", keep)
            self.broker.kill()
        self.broker.start()
        async with self.members("a") as [a]:
            await a.publish("t", b"3", keep=keep)
            past = await a.link.read("t", keep)
            if past.epoch == before.epoch:
                assert [each.data for each in past.messages] == [b"1", b"2", b"3"]
                assert past.messages[:2] == [each._replace(age=past.messages[at].age)
                                             for at, each in enumerate(before.messages)]
            else:
                assert past.messages[-1].data == b"3"


def calls(member):
    """One call of everything that a link can be asked for."""
    yield member.publish("t", b"x")
    yield member.publish("t", b"x", keep=Keep(10, LONG))
    yield member.link.subscribe(["t"])
    yield member.link.unsubscribe(["t"])
    yield member.link.read("t", Keep(10, LONG))
    yield member.link.write_note("t", b"x", LONG)
    yield member.link.read_notes("t")
    yield member.link.ping()


def check_chain(deliveries):
    """Assert that each follows the one before it, all in one epoch, and that nothing is missing."""
    assert {each.epoch for each in deliveries} == {deliveries[0].epoch} != {""}
    assert deliveries[0].previous < deliveries[0].offset
    for before, after in pairwise(deliveries):
        assert after.previous == before.offset < after.offset
