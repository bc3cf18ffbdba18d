"""Whether the workers of a server grow while clients come and go and publish, for a long time.

    python bench/soak.py [--minutes 20 --clients 100] [--redis]

Clients connect, join a room that soon nobody will be in any more, publish, and leave; as many at any time.
Every ten seconds the memory of each process is taken. Prints it, and the slope of its second half.
"""

import argparse
import asyncio
import os
import random
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from statistics import linear_regression

sys.path.insert(0, str(Path(__file__).resolve().parent))

from native import HERE
from processes import CORES, Process, free_port, running, spawn
from websockets.asyncio.client import connect

SAMPLE = 10.0   # seconds


class Load:
    def __init__(self, port: int) -> None:
        self.port = port
        self.visits = self.published = self.received = 0

    async def visit(self) -> None:
        """Be in a room for a while."""
        room = int(time.monotonic() / 5) % 1_000_000 * 10 + random.randrange(10)    # ten at a time
        url = f"ws://127.0.0.1:{self.port}/{room}/{self.visits}"
        self.visits += 1
        async with connect(url, compression=None) as websocket:
            reading = asyncio.create_task(self.read(websocket))
            for _ in range(random.randrange(20)):
                await websocket.send(os.urandom(random.randrange(1, 300)).hex())
                self.published += 1
                await asyncio.sleep(random.uniform(0, 0.2))
            reading.cancel()

    async def read(self, websocket) -> None:
        async for _ in websocket:
            self.received += 1

    async def keep_visiting(self, until: float) -> None:
        while time.monotonic() < until:
            await self.visit()


async def run(arguments: argparse.Namespace) -> None:
    with ExitStack() as stack:
        port = free_port()
        command = [sys.executable, str(HERE / "soak_server.py"), str(port)]
        if arguments.redis:
            redis = free_port()
            folder = stack.enter_context(tempfile.TemporaryDirectory())
            options = ["--port", str(redis), "--dir", folder, "--save", ""]
            redis_server = spawn(CORES[0], ["redis-server", *options], stdout=subprocess.DEVNULL)
            stack.enter_context(running(redis_server))
            command.append(f"redis://127.0.0.1:{redis}")
        server = stack.enter_context(running(spawn(CORES[0], command, stderr=subprocess.DEVNULL)))
        load = Load(port)
        while True:
            try:
                await load.visit()
                break
            except OSError:
                if server.poll() is not None:
                    raise SystemExit("the server does not start: try bench/soak_server.py") from None
                await asyncio.sleep(0.1)
        began = time.monotonic()
        ends = began + arguments.minutes * 60
        clients = [asyncio.create_task(load.keep_visiting(ends)) for _ in range(arguments.clients)]
        family = Process(server.pid).family()
        samples: dict[int, list[tuple[float, float]]] = {process.pid: [] for process in family}
        while (now := time.monotonic()) < ends:
            for process in family:
                samples[process.pid].append((now - began, process.megabytes("VmRSS")))
            figures = ", ".join(f"{taken[-1][1]:.2f}" for taken in samples.values())
            print(f"{now - began:5.0f} s: {load.visits:,} visits, {load.published:,} published, "
                  f"{load.received:,} received; MB: {figures}", file=sys.stderr, flush=True)
            await asyncio.sleep(min(SAMPLE, ends - now))
        await asyncio.gather(*clients)
    print(f"{load.visits:,} visits, {load.published:,} messages published, {load.received:,} received\n")
    print("| process | MB at first | at half time | at the end | MB an hour in the second half |")
    print("| --- | --: | --: | --: | --: |")
    for number, taken in enumerate(samples.values()):
        late = taken[len(taken) // 2:]
        slope = linear_regression([seconds for seconds, _ in late], [size for _, size in late]).slope
        sizes = (taken[0][1], late[0][1], taken[-1][1], slope * 3600)
        print(f"| {number} | {' | '.join(f'{size:.2f}' for size in sizes)} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=20, help="(default %(default)s)")
    parser.add_argument("--clients", type=int, default=100, help="at a time (default %(default)s)")
    parser.add_argument("--redis", action="store_true", help="a Redis between the workers, not their bus")
    asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
