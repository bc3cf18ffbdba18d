"""Redis as a backplane."""

from __future__ import annotations

import asyncio

import pytest
from redis import exceptions

from hyperws.errors import ConfigurationError
from hyperws.groups import redis as module
from hyperws.groups.backplane import Keep, Publication
from hyperws.groups.connecting import backplane_at
from hyperws.groups.redis import Redis
from hyperws.groups.redis_scripts import KEEP

from .brokers import RedisServer
from .contract import LONG, LinkContract, Member, check_chain, connected

pytestmark = pytest.mark.any_driver

KEPT = Keep(100, LONG)


class TestRedis(LinkContract):
    def start(self, folder, *, lasting=False):
        return RedisServer(folder, lasting=lasting)

    def backplane(self):
        return Redis(self.broker.url)

    def client(self):
        """A client that does as the administrator wants: `async with`."""
        return pytest.importorskip("redis.asyncio").Redis(port=self.broker.port)

    async def test_all_that_is_left_expires(self):
        async with self.members("a") as [a], self.client() as client:
            await a.publish("t", b"1", b"2", keep=Keep(10, 5.0))
            await a.link.write_note("t", b"note", 5.0)
            await a.link.read("u", Keep(10, 5.0))
            await a.link.write_note("u", b"", LONG)
            times = {key: await client.ttl(key) for key in await client.keys()}
            assert times.pop(b"hyperws:age") == -1      # but for this one
            day = 86_400
            assert times == {
                b"hyperws:seen:a:{:t}": pytest.approx(3600, abs=20),
                b"hyperws:kept:{:t}": pytest.approx(5, abs=20),
                b"hyperws:state:{:t}": pytest.approx(day + 65, abs=20),
                b"hyperws:notes:{:t}": pytest.approx(65, abs=20),
                b"hyperws:until:{:t}": pytest.approx(65, abs=20),
                b"hyperws:state:{:u}": pytest.approx(day + 65, abs=20),
                b"hyperws:notes:{:u}": pytest.approx(120, abs=20),
                b"hyperws:until:{:u}": pytest.approx(120, abs=20),
            }
            assert min(times.values()) > 0

    async def test_no_more_is_kept_than_is_wanted(self):
        async with self.members("a") as [a], self.client() as client:
            await a.publish("t", *[b"x"] * 30, keep=Keep(7, LONG))
            key = "hyperws:kept:{:t}"
            assert await client.xlen(key) == 7
            await a.publish("t", b"old", keep=Keep(100, LONG))
            while (await a.link.read("t", Keep(100, 0.05))).messages:
                await asyncio.sleep(0.02)
            await a.publish("t", b"new", keep=Keep(100, 0.05))
            assert [data[b""] for name, data in await client.xrange(key)] == [b"new"]

    async def test_prefixes_and_databases_are_worlds_apart(self):
        urls = [self.broker.url, f"{self.broker.url}/1", f"{self.broker.url}?prefix=other",
                f"{self.broker.url}/1?prefix=other", f"{self.broker.url}?prefix=hyperws:1"]
        members = [Member("a") for _ in urls]
        for member, url in zip(members, urls, strict=True):
            await member.connect(backplane_at(url))
            await member.link.subscribe(["t", "1:t"])
        for member, url in zip(members, urls, strict=True):
            await member.publish("t", url.encode())
            await member.publish("t", url.encode(), keep=KEPT)
            await member.link.write_note("t", url.encode(), LONG)
        for member, url in zip(members, urls, strict=True):
            await member.publish("1:t", b"the end")
            assert [each.data for each in await member.receive(3)] == [url.encode()] * 2 + [b"the end"]
            past = await member.link.read("t", KEPT)
            assert [each.data for each in past.messages] == [url.encode()]
            assert await member.link.read_notes("t") == {"a": url.encode()}
            await member.link.close()

    async def test_a_clock_that_is_put_back(self):
        async with self.members("a") as [a], self.client() as client:
            await a.publish("t", b"1", keep=KEPT)
            seconds, _ = await client.time()
            later = (seconds + 60) * 1000
            await client.xadd("hyperws:kept:{:t}", {"": b"2"}, f"{later}-2")
            await client.hset("hyperws:state:{:t}", mapping={"offset": 2, "time": later})
            await a.publish("t", b"3", keep=KEPT)
            past = await a.link.read("t", KEPT)
            assert [each[::2] for each in past.messages] == [(1, b"1"), (2, b"2"), (3, b"3")]
            assert past.messages[2].age == 0

    async def test_scripts_that_were_flushed_are_loaded_again(self):
        async with self.members("a", "b") as (a, b), self.client() as client:
            await b.link.subscribe(["t"])
            for turn in range(2):
                await client.script_flush()
                await a.publish("t", *(b"%d %d" % (turn, each) for each in range(3)), keep=KEPT)
                got = await b.receive(3)
                check_chain(got)
                assert [each.data for each in got] == [b"%d %d" % (turn, each) for each in range(3)]
            await client.script_flush()
            assert len((await a.link.read("t", KEPT)).messages) == 6
            await client.script_flush()
            await a.link.write_note("t", b"x", LONG)
            await client.script_flush()
            assert await a.link.read_notes("t") == {"a": b"x"}

    async def test_a_full_redis_refuses_and_takes_it_later(self):
        async with self.members("a") as [a], self.client() as client:
            await a.publish("t", b"1", keep=KEPT)
            await client.config_set("maxmemory", 1)
            sent = [a.publication("t", b"%d" % each, KEPT) for each in (2, 3, 4)]
            with pytest.raises(exceptions.ResponseError, match="maxmemory"):
                await a.link.publish(sent)
            await client.config_set("maxmemory", 0)
            await a.link.publish(sent)
            past = await a.link.read("t", KEPT)
            assert [each.data for each in past.messages] == [b"1", b"2", b"3", b"4"]

    async def test_nothing_is_taken_behind_a_message_that_was_not(self):
        async with self.members("a") as [a]:
            arguments = [*a.link.keys("t"), b"seen", *a.link.state(KEPT), b"channel", b"5", b"4", b"data"]
            with pytest.raises(exceptions.ResponseError, match="before this one"):
                await a.link.execute([module.evaluate(KEEP, arguments[:3], *arguments[3:])])
            assert (await a.link.read("t", KEPT)).messages == []

    async def test_an_older_note_that_comes_late_changes_nothing(self, monkeypatch):
        async with self.members("a", "a") as (old, new):
            await new.link.write_note("t", b"new", LONG)
            await new.link.write_note("u", b"", LONG)
            monkeypatch.setattr(module, "versions", iter([0, 0]))
            await old.link.write_note("t", b"old", LONG)
            await old.link.write_note("u", b"old", LONG)
            assert await new.link.read_notes("t") == {"a": b"new"}
            assert await new.link.read_notes("u") == {}

    async def test_messages_of_strangers_are_no_trouble(self):
        async with self.members("a") as [a], self.client() as client:
            await a.link.subscribe(["t"])
            for strange in b"", b"x", b"x\n", b"x y\n", b"x 1 2\n", b"\xff\xff\n":
                await client.publish("hyperws:0:t", strange)
            await a.publish("t", b"ours")
            got = await a.receive(2)
            assert [each.data for each in got] == [b"", b"ours"]

    async def test_much_is_kept(self):
        data = bytes(900_000)
        async with self.members("a") as [a]:
            for _ in range(45):     # more than Redis keeps for a subscriber that does not read
                await a.publish("t", data, keep=KEPT)
            past = await a.link.read("t", KEPT)
            assert [each.data == data for each in past.messages] == [True] * 45

    async def test_a_connection_that_is_cut_is_missed(self):
        async with self.client() as client, self.members("a") as [a]:
            await a.link.subscribe(["t"])
            await client.client_kill_filter(_type="pubsub", skipme=True)
            await asyncio.wait_for(a.lost, 10)
            with pytest.raises(exceptions.ConnectionError):
                await a.link.ping()
            await a.link.close()
            assert len(a.losses) == 1


# what becomes of epochs when Redis is started again

async def test_nothing_is_lost_where_everything_is_logged(started):
    broker = started(RedisServer, lasting=True)
    async with connected(broker.url) as a:
        sent = [a.publication("t", b"%d" % each, KEPT) for each in range(5)]
        await a.link.publish(sent)
        before = await a.link.read("t", KEPT)
        broker.kill()
    broker.start()
    async with connected(broker.url) as a:
        await a.link.publish(sent)
        after = await a.link.read("t", KEPT)
    assert after.epoch == before.epoch
    assert [each[::2] for each in after.messages] == [each[::2] for each in before.messages]


async def test_a_snapshot_begins_a_new_epoch(started):
    broker = started(RedisServer, "--save", "3600 1")
    async with connected(broker.url) as a:
        await a.publish("t", b"1", b"2", keep=KEPT)
        await a.link.execute([(b"SAVE",)])
        sent = [a.publication("t", b"lost", KEPT), a.publication("t", b"sent again", KEPT)]
        await a.link.publish(sent)
        before = await a.link.read("t", KEPT)
        broker.kill()
    broker.start()
    async with connected(broker.url) as a:
        after = await a.link.read("t", KEPT)
        assert after.epoch != before.epoch
        assert after.messages == []     # they may have come already, with these offsets or others
        await a.link.subscribe(["t"])
        await a.link.publish(sent[1:])
        [delivery] = await a.receive(1)
        assert delivery[1:] == (b"sent again", after.epoch, after.end + 1, after.end)


async def test_an_empty_start_begins_a_new_epoch(started):
    broker = started(RedisServer)
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


@pytest.mark.parametrize("lasting", [True, False])
async def test_a_replica_begins_a_new_epoch_when_it_is_promoted(started, lasting):
    primary = started(RedisServer, "--repl-diskless-sync-delay", "0", lasting=lasting)
    replica = started(RedisServer, "--replicaof", f"127.0.0.1 {primary.port}", lasting=lasting)
    with pytest.raises(ConnectionError, match="replica"):
        async with connected(replica.url):
            pass
    async with connected(primary.url) as a:
        await a.publish("t", b"1", keep=KEPT)
        before = await a.link.read("t", KEPT)
        assert await a.link.execute([(b"WAIT", b"1", b"20000")]) == [1]
    primary.kill()
    async with pytest.importorskip("redis.asyncio").Redis(port=replica.port) as client:
        await client.replicaof("no", "one")
    async with connected(replica.url) as a, connected(replica.url) as b:
        after = await a.link.read("t", KEPT)
        assert after.epoch != before.epoch
        assert after.messages == []
        await a.publish("t", b"2", keep=KEPT)
        assert (await b.link.read("t", KEPT)).epoch == after.epoch


async def test_links_agree_on_the_epoch_whatever_they_saw_when_they_were_made(started):
    broker = started(RedisServer, "--save", "3600 1")
    async with connected(broker.url) as a:
        await a.link.execute([(b"SAVE",)])
        broker.kill()
    broker.start()
    async with connected(broker.url) as a:
        await a.link.execute([(b"CONFIG", b"SET", b"appendonly", b"yes")])
        async with connected(broker.url) as b:
            await b.link.subscribe(["t"])
            for turn in range(3):
                await a.link.publish([Publication("t", b"", 2 * turn + 1, KEPT)])
                await b.link.publish([Publication("t", b"", 2 * turn + 2, KEPT)])
            check_chain(await b.receive(6))


# the ways in

async def check(url):
    async with connected(url) as a:
        await a.link.subscribe(["t"])
        await a.publish("t", b"plain")
        await a.publish("t", bytes(200_000), keep=KEPT)
        assert [len(each.data) for each in await a.receive(2)] == [5, 200_000]


async def test_a_password(started):
    word, coded = "p/w?#@%:word", "p%2Fw%3F%23%40%25%3Aword"
    broker = started(RedisServer, "--requirepass", word)
    host = broker.url.removeprefix("redis://")
    await check(f"redis://:{coded}@{host}")
    await check(f"redis://default:{coded}@{host}/1")
    for wrong in "", ":wrong@", f"nobody:{coded}@":
        with pytest.raises(Exception, match=r"(?i)auth|password") as raised:
            await check(f"redis://{wrong}{host}")
        assert word not in str(raised.value)


async def test_a_unix_socket(started):
    broker = started(RedisServer, "--unixsocket", "socket")
    await check(f"unix://{broker.folder / 'socket'}?db=3&prefix=x")


async def test_tls(started, tmp_path, certificate, authority):
    chain, key = certificate
    trusted = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(trusted)
    broker = started(
        RedisServer, "--port", "0", "--tls-port", "{port}", "--tls-auth-clients", "no",
        "--tls-cert-file", str(chain), "--tls-key-file", str(key), "--tls-ca-cert-file", str(trusted),
    )
    url = broker.url.replace("redis", "rediss")
    await check(f"{url}?ssl_ca_certs={trusted}")
    with pytest.raises(exceptions.ConnectionError):     # an authority that is not trusted
        await check(url)


@pytest.mark.parametrize("url", [
    "redis://", "redis:///0", "redis://:sec/ret@host", "redis://:12/34@host", "redis://:1#2@host/0",
    "redis://:1?2@host", "redis://host:port", "redis://host:99999", "redis://host:0", "redis://host/name",
    "redis://host/0/1", "redis://host/²", "redis://host?db=name", "unix://", "unix://socket", "unix:///",
    "unix://host/socket", "redis://[::1", "redis://host?nonsense=1",
])
def test_urls_that_make_no_sense(url):
    with pytest.raises(ConfigurationError, match="the URL of Redis") as raised:
        backplane_at(url)
    assert "sec" not in str(raised.value)
    assert raised.value.__cause__ is None


@pytest.mark.parametrize(("url", "shown"), [
    ("redis://host", "redis://host"),
    ("rediss://user:secret@host:1/2?prefix=x", "rediss://host:1/2"),
    ("redis://secret@[::1]:1", "redis://[::1]:1"),
    ("redis://host?password=secret", "redis://host"),
    ("unix://user:secret@/socket?db=1", "unix:///socket"),
])
def test_passwords_are_not_shown(url, shown):
    assert str(backplane_at(url)) == shown


def test_an_unknown_option_is_named():
    with pytest.raises(ConfigurationError, match=r"an option that redis-py lacks: 'nonsense'$"):
        backplane_at("redis://host?nonsense=1")


def test_the_library_is_missing(monkeypatch):
    monkeypatch.setattr(module, "redis_py", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'hyperws\[redis\]'"):
        backplane_at("redis://host")


@pytest.mark.parametrize("url", ["http://host", "host:6379", "", "//", "redis:host"])
def test_there_is_no_backplane(url):
    with pytest.raises(ConfigurationError, match="redis://"):
        backplane_at(url)
