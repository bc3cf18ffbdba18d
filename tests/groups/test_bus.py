"""The bus: the contract of links, and what is special about a hub. It runs in a process of its own."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
from contextlib import asynccontextmanager, contextmanager
from math import nan

import msgspec
import pytest
import zmq

from hyperws.errors import ConfigurationError
from hyperws.groups import hub_messages
from hyperws.groups.backplane import Keep, Publication
from hyperws.groups.bus import Bus
from hyperws.groups.hub import BEHIND, serve
from hyperws.groups.hub_address import new_address
from hyperws.groups.hub_messages import (
    FROM_HUB,
    FROM_LINK,
    Answer,
    Codec,
    Gone,
    Hello,
    Ping,
    Publish,
    Read,
    WriteNote,
)

from .brokers import Broker
from .contract import LONG, PATIENCE, LinkContract, Member

HUB = """
import logging, sys
from hyperws.groups.hub import serve
logging.basicConfig(level=logging.INFO, stream=sys.stdout)
serve(sys.argv[1], 0 if "until" in sys.argv else None)
"""

# subscribes, writes a note, tells so, and then what has come when the link is lost
WORKER = """
import asyncio, json, sys
from hyperws.groups.bus import Bus

async def main():
    come, lost = [], asyncio.Event()
    link = await Bus(sys.argv[1]).connect("worker", lambda each: come.append(each.data[:8].decode()),
                                          lambda error: lost.set())
    await link.subscribe(["t"])
    await link.write_note("t", b"here", 3600)
    print("ready", flush=True)
    await lost.wait()
    print(json.dumps(come), flush=True)
    await link.close()

asyncio.run(main())
"""
MIB = 1024 * 1024
GREETING = Codec(FROM_LINK).encode(Hello(1, "rascal"))
PING = Codec(FROM_LINK).encode(Ping(2))


class HubProcess(Broker):
    program = sys.executable
    ready = b"the hub listens"
    url = ""
    environment = os.environ    # it is ours, sanitizers and all

    def command(self):
        self.url = f"ipc://{self.folder}/private/hub"
        return [self.program, "-c", HUB, self.url]

    @property
    def memory(self):
        """Its resident memory in bytes."""
        with open(f"/proc/{self.process.pid}/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


class TestContract(LinkContract):
    def start(self, folder, *, lasting=False):
        return HubProcess(folder)

    def backplane(self):
        return Bus(self.broker.url)


@pytest.fixture
def hub(tmp_path):
    """A hub that runs."""
    hub = HubProcess(tmp_path)
    yield hub
    hub.stop()


@asynccontextmanager
async def member_of(hub, origin="a"):
    """A member that is connected to the hub."""
    member = Member(origin)
    await member.connect(Bus(hub.url))
    try:
        yield member
    finally:
        await member.link.close()


@contextmanager
def worker_of(hub):
    """A process that has subscribed and written a note."""
    with subprocess.Popen([sys.executable, "-c", WORKER, hub.url], stdout=subprocess.PIPE) as worker:
        try:
            assert worker.stdout.readline() == b"ready\n"
            yield worker
        finally:
            worker.kill()


@pytest.fixture
def context():
    context = zmq.Context()
    yield context
    context.destroy(linger=0)


class Raw(zmq.Socket):
    """A socket to the hub, on which anything can be sent."""

    def __init__(self, context, hub):
        super().__init__(context, zmq.DEALER)
        self.rcvtimeo = PATIENCE * 1000
        self.linger = 0
        self.connect(hub.url)

    def receive(self):
        return Codec(FROM_HUB).decode(self.recv())

    def ask(self, frame):
        """Send a frame, and return the next message that comes."""
        self.send(frame)
        return self.receive()


@pytest.mark.any_driver
async def test_the_notes_of_a_killed_process_are_gone_soon(hub):
    async with member_of(hub) as member:
        with worker_of(hub) as worker:
            assert await member.link.read_notes("t") == {"worker": b"here"}
            worker.kill()
            async with asyncio.timeout(PATIENCE):
                while await member.link.read_notes("t"):
                    await asyncio.sleep(0.05)


@pytest.mark.any_driver
async def test_who_has_connected_again_keeps_its_notes(hub):
    async with member_of(hub) as member, member_of(hub, "again") as again:
        async with member_of(hub, "again"), member_of(hub, "gone") as gone:
            await again.link.write_note("t", b"here", LONG)
            await gone.link.write_note("t", b"here", LONG)
        async with asyncio.timeout(PATIENCE):
            while "gone" in (notes := await member.link.read_notes("t")):
                await asyncio.sleep(0.05)
        assert notes == {"again": b"here"}


@pytest.mark.any_driver
@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
async def test_a_process_that_hangs_is_given_up(hub):
    async with member_of(hub) as member:
        await member.link.subscribe(["t"])
        with worker_of(hub) as worker:
            worker.send_signal(signal.SIGSTOP)
            os.waitid(os.P_PID, worker.pid, os.WSTOPPED)
            before = hub.memory
            sent = [b"%08d" % each for each in range(4 * BEHIND // MIB)]
            for each in sent:
                await member.publish("t", each * (MIB // 8))
                [delivery] = await member.receive(1)
                assert delivery.data[:8] == each
            if "asan" not in os.environ.get("LD_PRELOAD", ""):   # it holds back what was freed
                assert hub.memory - before < 2 * BEHIND
            async with asyncio.timeout(PATIENCE):
                while await member.link.read_notes("t"):
                    await asyncio.sleep(0.05)
            worker.send_signal(signal.SIGCONT)
            come = json.loads(await asyncio.to_thread(worker.stdout.readline))
            assert come == [each.decode() for each in sent[:len(come)]]
            assert BEHIND // MIB <= len(come) < len(sent)
        assert not member.losses


@pytest.mark.any_driver
async def test_who_keeps_reading_is_not_given_up_however_much_comes(hub):
    data = bytes(MIB)
    async with member_of(hub, "a") as a, member_of(hub, "b") as b:
        await b.link.subscribe(["t"])
        await a.publish("t", *[data] * (3 * BEHIND // MIB))
        assert all(each.data == data for each in await b.receive(3 * BEHIND // MIB))
        keep = Keep(50, LONG)
        await a.publish("kept", *[data] * 50, keep=keep)
        assert len((await b.link.read("kept", keep)).messages) == 50
        await a.publish("t", b"the end")
        assert [each.data for each in await b.receive(1)] == [b"the end"]


@pytest.mark.any_driver
async def test_a_hub_that_is_started_again(hub):
    keep = Keep(10, LONG)
    async with member_of(hub) as member:
        await member.publish("t", b"1", keep=keep)
        before = await member.link.read("t", keep)
        hub.kill()
        await asyncio.wait_for(member.lost, PATIENCE)
    hub.start()
    async with member_of(hub) as member:
        past = await member.link.read("t", keep)
        assert past.epoch != before.epoch
        assert past[1:] == (0, [])


@pytest.mark.any_driver
async def test_what_cannot_be_published_fails_alone(hub):
    async with member_of(hub) as member:
        with pytest.raises(TypeError):
            await member.link.publish([Publication("t", object(), 1, None)])
        await member.link.ping()
        assert not member.losses


def test_what_makes_no_sense_harms_nobody_else(hub, context):
    chance = random.Random(1)
    encode = msgspec.msgpack.encode
    bodies = [
        b"", b"\xc1", b"\xdd\xff\xff\xff\xff", b"\x91" * 1000, encode([1]), encode([1, "a"]),
        encode([1, [b"t"]]), encode([2**64 - 1]), encode([-1]), encode([1, b"t", b"note", nan]),
        encode([1, b"t", b"note", -1e308]), encode([1, b"t", [5, nan]]),
        encode([1, [[b"t", b"x", 1, [-1, -1.0]]]]), encode([1, [[b"t", b"x", -5, [5, float("inf")]]]]),
        encode([1, [[b"t", b"x", 2, [2**63, nan]]]]),
        *(chance.randbytes(chance.randrange(1, 40)) for _ in range(20)),
    ]
    frames = [b"", *(bytes([kind]) + body for kind in range(len(FROM_LINK) + 2) for body in bodies)]
    for frame in frames:
        if not frame.startswith(GREETING[:1]):
            with Raw(context, hub) as rascal:
                assert isinstance(rascal.ask(frame), Gone)
        with Raw(context, hub) as rascal:
            rascal.ask(GREETING)
            rascal.send(frame)
            assert isinstance(rascal.ask(PING), Answer | Gone)


def test_frames_of_many_parts(hub, context):
    with Raw(context, hub) as rascal:
        rascal.send_multipart([b"", GREETING, b"", b""])
        rascal.send_multipart([b""])
        rascal.send_multipart([GREETING, b"", b"more"])
        assert [type(rascal.receive()) for _ in range(3)] == [Gone, Gone, Answer]


def test_greeting_twice(hub, context):
    with Raw(context, hub) as rascal:
        assert [type(rascal.ask(each)) for each in (GREETING, GREETING, PING)] == [Answer, Gone, Gone]


@pytest.mark.parametrize("request_", [
    WriteNote(2, b"t", b"x", nan), Read(2, b"t", Keep(1, nan)), Publish(2, [(b"t", b"x", 1, Keep(1, nan))]),
])
def test_no_number_of_seconds(hub, context, request_):
    with Raw(context, hub) as rascal:
        rascal.ask(GREETING)
        assert isinstance(rascal.ask(Codec(FROM_LINK).encode(request_)), Gone)


def test_sigterm_ends_a_hub_and_sigint_does_not(hub):
    hub.process.send_signal(signal.SIGINT)
    hub.process.send_signal(signal.SIGTERM)
    assert hub.process.wait(PATIENCE) == 0
    assert not (hub.folder / "private").exists()


def test_a_hub_ends_with_its_parent(tmp_path):
    address = f"ipc://{tmp_path}/private/hub"
    command = [sys.executable, "-c", HUB, address, "until"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as hub:
        assert b"listens" in hub.stdout.readline()
        hub.stdin.close()
        assert hub.wait(PATIENCE) == 0
    assert not (tmp_path / "private").exists()


def test_what_a_killed_hub_has_left_is_no_trouble(hub):
    hub.kill()
    assert (hub.folder / "private" / "hub").exists()
    hub.start()


@pytest.mark.any_driver
async def test_a_folder_that_others_may_enter_is_refused(tmp_path):
    folder = tmp_path / "open"
    folder.mkdir()
    folder.chmod(0o755)
    (tmp_path / "link").symlink_to(tmp_path)
    for address in f"ipc://{folder}/hub", f"ipc://{tmp_path}/link/hub":
        with pytest.raises(ConfigurationError, match="0700"):
            serve(address)
        with pytest.raises(ConfigurationError, match="0700"):
            await Bus(address).connect("a", print, print)


@pytest.mark.parametrize("address", ["", "/run/hub", "tcp://127.0.0.1:1", "ipc://@hub", "ipc://hub", "ipc:///run/"])
def test_no_address_of_a_hub(address):
    with pytest.raises(ConfigurationError, match="ipc://"):
        Bus(address)


def test_new_addresses_are_good_ones():
    assert str(Bus(new_address())) != str(Bus(new_address()))


def test_without_pyzmq(monkeypatch):
    monkeypatch.setattr(hub_messages, "zmq", None)
    for use in Bus, serve:
        with pytest.raises(ConfigurationError, match=r"pip install 'hyperws\[workers\]'"):
            use("ipc:///run/hyperws/hub")
