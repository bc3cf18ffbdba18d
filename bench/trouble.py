"""What becomes of messages while a broker is killed, or hangs, or a worker is killed.

    python bench/trouble.py redis|nats|bus [--messages 100000 --rate 2000 --troubles kill,pause,worker]

Two servers with two workers each share a broker (with the bus, one server with two workers has one of its
own). Each worker has a client that publishes numbered messages, to a topic with history and to one without,
and gets those of all. Meanwhile come the troubles, one after the other. Every message is accounted for at the
end.
"""

import argparse
import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from comparison import markdown
from native import HERE
from processes import CORES, free_port, running, spawn
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

QUIET = 12.0    # seconds without a message after which nothing more is expected
PAUSE = 10.0    # seconds that the broker hangs
RESTART = 2.0   # seconds that it is gone


class Account:
    """What one client got of one topic."""

    def __init__(self) -> None:
        self.count = self.doubled = self.reordered = self.gaps = 0
        self.last: dict[str, int] = {}          # number by publisher
        self.missing: dict[str, set[int]] = {}
        self.unreported: dict[str, set[int]] = {}
        self.since_gap: set[str] = set()        # publishers of whom something came after the last gap

    def take(self, publisher: str, number: int) -> None:
        self.count += 1
        missing = self.missing.setdefault(publisher, set())
        if number > self.last.get(publisher, 0):
            self.skip_to(publisher, number)
        elif number in missing:
            missing.remove(number)
            self.unreported[publisher].discard(number)
            self.reordered += 1
        else:
            self.doubled += 1
        self.since_gap.add(publisher)

    def gap(self) -> None:
        self.gaps += 1
        self.since_gap.clear()

    def skip_to(self, publisher: str, number: int) -> None:
        skipped = range(self.last.get(publisher, 0) + 1, number)
        self.last[publisher] = number
        self.missing.setdefault(publisher, set()).update(skipped)
        unreported = self.unreported.setdefault(publisher, set())
        if publisher in self.since_gap:
            unreported.update(skipped)

    def end(self, published: dict[str, int]) -> None:
        for publisher, count in published.items():
            self.skip_to(publisher, count + 1)

    def row(self, unpublished: dict[str, set[int]]) -> list[int]:
        lost, unreported = (
            sum(len(numbers - unpublished[publisher]) for publisher, numbers in each.items())
            for each in (self.missing, self.unreported)
        )
        return [self.count, lost, unreported, self.doubled, self.reordered, self.gaps]


class Client:
    def __init__(self, name: str, port: int, websocket: ClientConnection, pid: int) -> None:
        self.name = name
        self.port = port
        self.websocket = websocket
        self.pid = pid
        self.kept, self.plain = Account(), Account()
        self.position = ""
        self.published = 0
        self.heard = time.monotonic()
        self.away: list[float] = []             # seconds until it was back after its connection had ended
        self.presence: list[float] = []         # seconds until it knew who is there after a worker had died
        self.recovered: list[bool] = []
        self.members: list[str] = []
        self.asked = asyncio.Event()

    async def read(self) -> None:
        """Take what comes, and come back when the connection has ended."""
        while True:
            try:
                async for message in self.websocket:
                    self.take(json.loads(message))
            except ConnectionClosed:
                pass
            gone = time.monotonic()
            while True:
                try:
                    url = f"ws://127.0.0.1:{self.port}/?as={self.name}@{self.position}"
                    self.websocket = await connect(url, max_queue=None, compression=None)
                    break
                except OSError:
                    await asyncio.sleep(0.01)
            self.away.append(time.monotonic() - gone)
            self.plain.gap()                    # it was away, and knows it

    def take(self, message: list) -> None:
        match message:
            case ["kept", [publisher, number], epoch, offset]:
                self.kept.take(publisher, number)
                self.position = f"{epoch}:{offset}"
                self.heard = time.monotonic()
            case ["plain", [publisher, number]]:
                self.plain.take(publisher, number)
                self.heard = time.monotonic()
            case ["gap", topic]:
                (self.kept if topic == "kept" else self.plain).gap()
            case ["pid", pid]:
                self.pid = pid
            case ["ready", recovered, _]:
                self.recovered.append(recovered)
                if recovered is False:
                    self.kept.gap()
            case ["members", names]:
                self.members = names
                self.asked.set()

    async def ask_for_members(self) -> list[str]:
        self.asked.clear()
        await self.websocket.send("members")
        await self.asked.wait()
        return self.members

    async def publish(self, count: int, rate: float) -> None:
        began = time.monotonic()
        while self.published < count:
            due = min(count, int((time.monotonic() - began) * rate))
            while self.published < due:
                try:
                    await self.websocket.send(json.dumps([self.name, self.published + 1]))
                except ConnectionClosed:        # the server did not get it, or did not get to publish it
                    await asyncio.sleep(0.01)
                    continue
                self.published += 1
            await asyncio.sleep(0.005)


async def client_of_each_worker(ports: list[int], workers: int) -> list[Client]:
    """Connect until each worker has a client."""
    clients: list[Client] = []
    for port in ports:
        pids: set[int] = set()
        while len(pids) < workers:
            name = f"client{len(clients)}"
            try:
                url = f"ws://127.0.0.1:{port}/?as={name}"
                websocket = await connect(url, max_queue=None, compression=None)
            except OSError:
                await asyncio.sleep(0.05)
                continue
            _, pid = json.loads(await websocket.recv())
            if pid in pids:
                await websocket.close()
                continue
            await websocket.recv()
            pids.add(pid)
            clients.append(Client(name, port, websocket, pid))
    return clients


class BrokerProcess:
    """A redis-server or nats-server that keeps what it has on disk, or not."""

    def __init__(self, kind: str, folder: str, durable: bool) -> None:
        self.port = free_port()
        self.url = f"{kind}://127.0.0.1:{self.port}"
        if kind == "redis":
            self.command = ["redis-server", "--port", str(self.port), "--dir", folder, "--save", ""]
            self.command += ["--appendonly", "yes" if durable else "no", "--appendfsync", "always"]
        else:
            self.command = ["nats-server", "-a", "127.0.0.1", "-p", str(self.port), "-js", "-sd", folder]

    def start(self) -> None:
        quiet = subprocess.DEVNULL
        self.process = spawn(CORES[-1], self.command, stdout=quiet, stderr=quiet)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


def expected_members(clients: list[Client]) -> list[str]:
    return sorted(f"{client.name} at {client.pid}" for client in clients)


async def make_trouble(kind: str, broker: BrokerProcess | None, clients: list[Client]) -> None:
    print(f"  trouble: {kind}", file=sys.stderr, flush=True)
    if kind == "worker":
        began, pid = time.monotonic(), clients[0].pid
        os.kill(pid, signal.SIGKILL)
        while clients[0].pid == pid or await clients[-1].ask_for_members() != expected_members(clients):
            await asyncio.sleep(0.02)
        clients[-1].presence.append(time.monotonic() - began)
        return
    assert broker is not None
    if kind == "kill":
        broker.kill()
        await asyncio.sleep(RESTART)
        broker.start()
    else:
        broker.process.send_signal(signal.SIGSTOP)
        await asyncio.sleep(PAUSE)
        broker.process.send_signal(signal.SIGCONT)


async def run(arguments: argparse.Namespace) -> None:
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        broker = None
        if arguments.broker != "bus":
            broker = BrokerProcess(arguments.broker, folder, arguments.durable)
            broker.start()
            stack.callback(broker.kill)
        ports = [free_port() for _ in range(1 if broker is None else 2)]
        for port in ports:
            command = [sys.executable, str(HERE / "trouble_server.py"), str(port)]
            log = stack.enter_context(open(arguments.log, "a"))
            stack.enter_context(
                running(spawn(CORES[0], command + ([broker.url] if broker else []), stdout=log, stderr=log))
            )
        clients = await client_of_each_worker(ports, 2)
        readers = [asyncio.create_task(client.read()) for client in clients]
        each = arguments.messages // len(clients)
        publishers = [
            asyncio.create_task(client.publish(each, arguments.rate / len(clients))) for client in clients
        ]
        seconds = arguments.messages / arguments.rate
        for number, kind in enumerate(arguments.troubles, 1):
            await asyncio.sleep(seconds / (len(arguments.troubles) + 1) * (0.6 if number == 1 else 1.0))
            await make_trouble(kind, broker, clients)
        await asyncio.gather(*publishers)
        while time.monotonic() - max(client.heard for client in clients) < QUIET:
            await asyncio.sleep(0.1)
        for client in clients:
            await client.ask_for_members()
        for reader in readers:
            reader.cancel()
        report(clients, arguments)


def report(clients: list[Client], arguments: argparse.Namespace) -> None:
    published = {client.name: client.published for client in clients}
    for client in clients:
        client.kept.end(published)
        client.plain.end(published)
    # what nobody has got of a client whose worker died was not published: it died with the worker
    unpublished = {
        client.name: set.intersection(*(each.kept.missing[client.name] for each in clients))
        if client.away else set()
        for client in clients
    }  # fmt: skip
    print(f"\n{arguments.broker}, {', '.join(arguments.troubles) or 'no trouble'}: "
          f"{sum(published.values()):,} messages to each of {len(clients)} clients, of which "
          f"{sum(map(len, unpublished.values()))} died with a worker before it had published them\n")
    header = ["client", "topic", "came", "lost", "lost unreported", "doubled", "reordered", "gaps reported"]
    rows = [
        [client.name, topic, *(f"{figure:,}" for figure in account.row(unpublished))]
        for client in clients
        for topic, account in (("kept", client.kept), ("plain", client.plain))
    ]
    print(markdown(header, rows))
    for client in clients:
        if client.away:
            away = ", ".join(f"{seconds * 1000:.0f} ms" for seconds in client.away)
            print(f"\n{client.name} was cut off and back after {away}; recovered: {client.recovered}")
        for seconds in client.presence:
            print(f"\n{client.name} knew who is there {seconds:.2f} s after a worker had died")
        if client.members != expected_members(clients):
            print(f"\n{client.name} takes for members: {client.members}")


def listed(text: str) -> list[str]:
    return text.split(",") if text else []


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("broker", choices=["redis", "nats", "bus"])
    parser.add_argument("--messages", type=int, default=100_000, help="in all (default %(default)s)")
    parser.add_argument("--rate", type=float, default=2000, help="a second, in all (default %(default)s)")
    parser.add_argument("--troubles", type=listed, default=["kill", "pause"], help="kill,pause,worker")
    parser.add_argument("--durable", action="store_true", help="Redis writes everything to disk at once")
    parser.add_argument("--log", default=os.devnull, help="a file for the log of the servers")
    asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
