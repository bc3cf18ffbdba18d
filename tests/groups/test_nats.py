"""NATS as a backplane."""

from __future__ import annotations

import asyncio
import os
import sys

import pytest

from hyperws.errors import ConfigurationError
from hyperws.groups import nats as module
from hyperws.groups import nats_subscription as subscriptions
from hyperws.groups.backplane import Keep
from hyperws.groups.connecting import backplane_at
from hyperws.groups.nats import Nats, word_for
from hyperws.groups.nats_client import Message
from hyperws.groups.nats_streams import JetStreamError
from hyperws.groups.nats_subscription import Subscription

from .brokers import NatsServer
from .contract import LONG, PATIENCE, LinkContract, Member, calls, check_chain, connected

pytestmark = pytest.mark.any_driver

KEPT = Keep(100, LONG)


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
                for each in range(8):
                    await a.publish(topic, b"%d" % each, keep=keep)
                    await a.publish("another", b"", keep=keep)
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

    # what is special

    async def test_what_is_left_of_a_topic_is_followed_when_all_of_it_has_expired(self, monkeypatch):
        monkeypatch.setattr(module, "SPARE_SECONDS", 0)
        monkeypatch.setattr(module, "REPETITION_SECONDS", 0.1)
        keep = Keep(10, 0.5)
        async with self.members("a", "b", "c") as (a, b, c):
            await b.link.subscribe(["t"])
            start = await b.link.read("t", keep)
            for turn in range(3):
                await a.publish("t", b"%d" % turn, keep=keep)
                [delivery] = await b.receive(1)
                assert (delivery.epoch, delivery.previous) == (start.epoch, start.end)
                start = start._replace(start=delivery.offset)
                while await stored(a.link, keep):
                    await asyncio.sleep(0.05)
                if turn == 1:    # one who comes now can't know what there was
                    past = await c.link.read("t", keep)
                    assert past.epoch == start.epoch
                    assert past.start > delivery.offset

    async def test_a_topic_begins_with_the_same_offset_for_all_who_read_it(self):
        keep = Keep(2, LONG)
        async with self.members("a", "b") as (a, b):
            for _ in range(5):
                pasts = await asyncio.gather(*(each.link.read("t", keep) for each in (a, b)))
                assert pasts[0] == pasts[1]
                assert pasts[0].messages == []
                await a.publish("other", b"1", b"2", b"3", keep=keep)

    async def test_a_stream_that_was_taken_away(self):
        keep = Keep(10, LONG)
        async with self.members("a", "b") as (a, b):
            await b.link.subscribe(["t"])
            await a.publish("t", b"1", keep=keep)
            [before] = await b.receive(1)
            await a.link._streams._ask("STREAM.DELETE.hyperws_kept_10_3600000")
            with pytest.raises(JetStreamError):
                await a.publish("t", b"2", keep=keep)
            async with self.members("a") as [again]:
                await again.publish("t", b"2", keep=keep)
                [after] = await b.receive(1)
                past = await again.link.read("t", keep)
            assert after.data == b"2"
            assert after.epoch == past.epoch != before.epoch

    async def test_reading_beside_busy_publishers(self):
        keep = Keep(2, LONG)
        async with self.members("a", "b", "c", "d") as (a, b, c, d):
            await c.link.subscribe(["t"])
            first = await c.link.read("t", keep)

            async def publish(member):
                for batch in range(20):
                    await member.publish("t", *(b"%d %d" % (batch, each) for each in range(50)), keep=keep)

            publishing = asyncio.gather(publish(a), publish(b))
            pasts = []
            while not publishing.done():
                pasts.append(await d.link.read("t", keep))
            await publishing
            got = await c.receive(2000)
            check_chain(got)
            for past in pasts:
                assert past.start == first.start or any(each.offset == past.start for each in got)
                assert [(each.offset, each.data) for each in past.messages] == [
                    (each.offset, each.data) for each in got if past.start < each.offset <= past.end
                ]

    async def test_prefixes_are_worlds_apart(self):
        keep = Keep(10, LONG)
        urls = [self.broker.url, f"{self.broker.url}?prefix=other", f"{self.broker.url}/?prefix=hyperws_kept"]
        members = [Member("a") for _ in urls]
        for member, url in zip(members, urls, strict=True):
            await member.connect(backplane_at(url))
            await member.link.subscribe(["t"])
        for member, url in zip(members, urls, strict=True):
            await member.publish("t", url.encode())
            await member.publish("t", url.encode(), keep=keep)
            await member.link.write_note("t", url.encode(), LONG)
        for member, url in zip(members, urls, strict=True):
            await member.publish("t", b"the end")
            assert [each.data for each in await member.receive(3)] == [url.encode()] * 2 + [b"the end"]
            past = await member.link.read("t", keep)
            assert [each.data for each in past.messages] == [url.encode()]
            assert await member.link.read_notes("t") == {"a": url.encode()}
            await member.link.close()

    async def test_what_is_too_large_is_logged_and_no_trouble(self, caplog):
        keep = Keep(10, LONG)
        async with self.members("a", "b") as (a, b):
            await b.link.subscribe(["t"])
            for size in range(2**20 - 600, 2**20 + 10, 50):
                await a.publish("t", bytes(size), b"x", keep=keep)
                await a.publish("t", bytes(size), b"x")
            await a.publish("t", b"the end")
            got = []
            while not got or got[-1] != b"the end":
                got += [each.data for each in await b.receive(1)]
            assert len([data for data in got if data == b"x"]) == 26
            assert 0 < len([data for data in got if len(data) > 100]) < 26
        [*records] = caplog.records
        assert "max_payload" in records[0].getMessage()
        caplog.clear()

    async def test_messages_of_strangers_are_no_trouble(self):
        async with self.members("a", "b") as (a, b):
            await b.link.subscribe(["t"])
            for word in "stranger", "plain", "0" * 16:
                await a.link._client.publish(f"hyperws.topic.t.{word}", word.encode())
            await a.publish("t", b"ours")
            assert [each.data for each in await b.receive(2)] == [b"plain", b"ours"]

    async def test_the_first_messages_of_two_processes_come_at_once(self):
        async with self.members("a", "b") as (a, b):
            for most in range(1, 40):
                keep = Keep(most, LONG)
                await asyncio.gather(*(each.publish("t", b"x", keep=keep) for each in (a, b)))
                assert len((await a.link.read("t", keep)).messages) == min(most, 2)

    async def test_a_large_batch_can_be_given_up(self):
        async with self.members("a") as [a]:
            self.broker.pause()
            batch = [a.publication("t", bytes(500_000)) for _ in range(50)]
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(a.link.publish(batch), 0.3)
            socket = a.link._client._transport._io_writer.get_extra_info("socket").fileno()
            os.fstat(socket)
            await a.link.close()
            with pytest.raises(OSError, match="Bad file descriptor"):    # not when the broker takes the rest
                os.fstat(socket)
            self.broker.resume()

    async def test_the_end_of_reading_is_a_loss(self):
        async with self.members("a") as [a]:
            a.link._client._reading_task.cancel()
            await asyncio.wait_for(a.lost, PATIENCE)

    async def test_one_is_told_once_that_the_connection_is_lost(self):
        async with self.members("a") as [a]:
            a.link._client._transport._io_writer.transport.abort()
            await asyncio.wait_for(a.lost, PATIENCE)
            for call in calls(a):
                with pytest.raises(Exception):    # noqa: B017, PT011
                    await call
            await a.link.close()
            assert len(a.losses) == 1


async def stored(link, keep):
    """Whether anything is in the stream."""
    info = await link._streams._ask(f"STREAM.INFO.hyperws_kept_{word_for(keep)}")
    return info["state"]["messages"] > 0


async def test_nothing_is_lost_where_the_store_is_there_again(started):
    broker = started(NatsServer, "-js", lasting=True)
    async with connected(broker.url) as a:
        sent = [a.publication("t", b"%d" % each, KEPT) for each in range(50)]
        await a.link.publish(sent)
        before = await a.link.read("t", KEPT)
        broker.kill()
    broker.start()
    async with connected(broker.url) as a:
        await a.link.publish(sent)
        after = await a.link.read("t", KEPT)
    assert (after.epoch, after.start) == (before.epoch, before.start)
    assert [each[::2] for each in after.messages] == [each[::2] for each in before.messages]


async def test_an_empty_store_begins_a_new_epoch(started):
    broker = started(NatsServer, "-js")
    async with connected(broker.url) as a:
        sent = [a.publication("t", b"1", KEPT)]
        await a.link.publish(sent)
        before = await a.link.read("t", KEPT)
        broker.kill()
    broker.start()
    async with connected(broker.url) as a:
        await a.link.publish(sent)
        after = await a.link.read("t", KEPT)
    assert after.epoch != before.epoch
    assert [each.data for each in after.messages] == [b"1"]


async def test_without_jetstream(started):
    broker = started(NatsServer)
    async with connected(broker.url) as a:
        await a.link.subscribe(["t"])
        await a.publish("t", b"plain")
        assert [each.data for each in await a.receive(1)] == [b"plain"]
        for call in (
            a.publish("t", b"kept", keep=KEPT), a.link.read("t", KEPT),
            a.link.write_note("t", b"note", 1), a.link.read_notes("t"),
        ):
            with pytest.raises(ConfigurationError, match="start it with -js"):
                await call


# the ways in

async def check(url):
    async with connected(url) as a:
        await a.link.subscribe(["t"])
        await a.publish("t", b"plain")
        await a.publish("t", bytes(200_000), keep=KEPT)
        assert [len(each.data) for each in await a.receive(2)] == [5, 200_000]


async def test_a_password(started):
    word, coded = "p/w?#@%:word", "p%2Fw%3F%23%40%25%3Aword"
    broker = started(NatsServer, "-js", "--user", "u@", "--pass", word)
    host = broker.url.removeprefix("nats://")
    await check(f"nats://u%40:{coded}@{host}")
    for wrong in "", ":wrong@", f"nobody:{coded}@", "u%40:@", f"{coded}@":
        with pytest.raises(Exception, match=r"(?i)authorization") as raised:
            await check(f"nats://{wrong}{host}")
        assert word not in str(raised.value)


async def test_a_token(started):
    broker = started(NatsServer, "-js", "--auth", "to:ken")
    host = broker.url.removeprefix("nats://")
    await check(f"nats://to%3Aken@{host}")


async def test_what_is_not_permitted_is_a_loss(started, tmp_path):
    settings = tmp_path / "settings"
    denied = 'permissions: { subscribe: { deny: "*.topic.>" } }'
    settings.write_text(f"authorization {{ users = [{{ user: u, password: p, {denied} }}] }}")
    broker = started(NatsServer, "-c", str(settings))
    async with connected(broker.url.replace("//", "//u:p@")) as a:
        with pytest.raises(Exception, match=r"(?i)permissions"):
            await a.link.subscribe(["t"])
        await asyncio.wait_for(a.lost, PATIENCE)


async def test_several_servers(started):
    broker = started(NatsServer, "-js")
    dead = started(NatsServer, "-js")
    dead.kill()
    hosts = [each.url.removeprefix("nats://") for each in (dead, broker)]
    for _ in range(4):    # their order is left to chance
        async with connected(f"nats://{hosts[0]},{hosts[1]}") as a:
            await a.link.ping()
    with pytest.raises(ConnectionRefusedError):
        async with connected(f"nats://{hosts[0]}"):
            pass


async def test_tls(started, tmp_path, certificate, authority):
    chain, key = certificate
    trusted = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(trusted)
    broker = started(NatsServer, "-js", "--tls", "--tlscert", str(chain), "--tlskey", str(key))
    url = broker.url.replace("nats", "tls")
    await check(f"{url}?ssl_ca_certs={trusted}")
    with pytest.raises(Exception, match=r"(?i)certificate"):
        await check(url)


async def test_a_password_for_tls_is_not_told_without(started):
    broker = started(NatsServer, "-js", "-DV", "--user", "u", "--pass", "p")
    with pytest.raises(ConnectionError, match="tls://"):
        await check(broker.url.replace("nats://", "tls://u:p@"))


@pytest.mark.parametrize("url", [
    "nats://", "nats:///", "nats://:sec/ret@host", "nats://u:12/34@host", "nats://host:port",
    "nats://host:99999",
    "nats://host/name", "nats://[::1", "nats://host?nonsense=1", "nats://host?prefix=", "nats://host?prefix=a.b",
    "nats://host?prefix", "nats://host,", "nats://a,,b", "nats://host#x", "nats://u:p@a,u:p@b",
    "nats://host?ssl_ca_certs=x", "tls://host?ssl_ca_certs=/nowhere",
])
def test_urls_that_make_no_sense(url):
    with pytest.raises(ConfigurationError, match="backplane") as raised:
        backplane_at(url)
    assert "sec" not in str(raised.value)


@pytest.mark.parametrize(("url", "shown"), [
    ("nats://host", "nats://host?prefix=hyperws"),
    ("tls://user:secret@host:1/?prefix=x", "tls://host:1?prefix=x"),
    ("nats://secret@[::1]:1,b", "nats://[::1]:1,b?prefix=hyperws"),
])
def test_passwords_are_not_shown(url, shown):
    assert str(backplane_at(url)) == shown


def test_the_library_is_missing(monkeypatch):
    for name in "nats", "nats_client", "nats_streams", "nats_subscription":
        monkeypatch.delitem(sys.modules, f"hyperws.groups.{name}")
    monkeypatch.setitem(sys.modules, "nats.aio.client", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'hyperws\[nats\]'"):
        backplane_at("nats://host")


# the order of what comes

class Followed:
    """A subscription, what it has delivered, and messages for it."""

    def __init__(self):
        self.got = []
        self.subscription = Subscription("t", lambda delivery: self.got.append(delivery[2:]))

    def receive(self, offset, previous, epoch="e", mark=False):
        headers = f"NATS/1.0\r\nNats-Sequence: {offset}\r\nNats-Last-Sequence: {previous}\r\n"
        headers += "Hyperws-Mark: 1\r\n\r\n" if mark else "\r\n"
        self.subscription.receive(Message(epoch, "", headers.encode(), b""))


async def test_what_overtakes_waits():
    followed = Followed()
    for offset, previous in (3, 0), (9, 7), (7, 5), (11, 9), (5, 3), (12, 11):
        followed.receive(offset, previous)
    assert followed.got == [("e", 3, 0), ("e", 5, 3), ("e", 7, 5), ("e", 9, 7), ("e", 11, 9), ("e", 12, 11)]


async def test_what_waits_is_delivered_in_the_end(monkeypatch):
    monkeypatch.setattr(subscriptions, "PATIENCE_SECONDS", 0.01)
    followed = Followed()
    followed.receive(3, 0)
    followed.receive(9, 7)
    followed.receive(7, 5)
    assert followed.got == [("e", 3, 0)]
    while len(followed.got) < 3:
        await asyncio.sleep(0.005)
    followed.receive(5, 3)    # it was not lost after all
    followed.receive(11, 9)
    assert followed.got == [("e", 3, 0), ("e", 7, 5), ("e", 9, 7), ("e", 5, 3), ("e", 11, 9)]


async def test_what_is_read_lets_others_go_on():
    followed = Followed()
    followed.receive(9, 7)
    followed.receive(11, 9)
    assert followed.got == []
    followed.subscription.has_read("e", 9)
    followed.receive(14, 11)
    assert followed.got == [("e", 9, 7), ("e", 11, 9), ("e", 14, 11)]


async def test_a_new_epoch_begins_at_once():
    followed = Followed()
    followed.receive(8, 0)
    followed.receive(11, 9)
    followed.receive(2, 1, "f")
    followed.receive(3, 2, "f")
    assert followed.got == [("e", 8, 0), ("e", 11, 9), ("f", 2, 1), ("f", 3, 2)]


async def test_marks_are_not_missed():
    followed = Followed()
    followed.subscription.has_read("e", 5)
    followed.receive(7, 5)
    followed.receive(9, 0, mark=True)     # all before have become too old
    followed.receive(10, 9)
    followed.receive(15, 0)
    assert followed.got == [("e", 7, 5), ("e", 10, 7), ("e", 15, 10)]


async def test_a_subscription_that_ends_delivers_no_more():
    followed = Followed()
    followed.receive(9, 7)
    followed.subscription.end()
    followed.subscription.has_read("e", 7)
    assert followed.got == []
