"""What a message between processes costs each of them, and the broker: server CPU time per message.

    python bench/backplanes.py [--brokers bus,redis,nats --messages 50000 --batches 1,16,256 --rounds 3]

One process publishes, another one subscribes, the broker is between them; messages have 100 bytes. A batch is
what is published in one turn of the event loop. Rounds are interleaved, figures are medians.
"""

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from itertools import product
from pathlib import Path
from statistics import median
from time import monotonic, sleep

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
sys.path.insert(0, str(Path(__file__).resolve().parent))

from comparison import markdown, whole_numbers
from processes import CORES, Process, free_port, running, spawn

from hyperws.event_loop import new_event_loop
from hyperws.groups.backplane import Backplane, Keep, Publication

BROKERS = ("bus", "redis", "nats")
KEEP = Keep(100, 60.0)
DATA = b"x" * 100


def backplane_at(place: str) -> Backplane:
    if place.startswith("ipc://"):
        from hyperws.groups.bus import Bus

        return Bus(place)
    from hyperws.groups.connecting import backplane_at

    return backplane_at(place)


async def take_part(number_of_process: str, place: str) -> None:
    """Be a process that publishes or subscribes, as it is told line by line."""
    loop = asyncio.get_running_loop()
    came, expected, done = 0, 0, asyncio.Event()
    number = 0

    def deliver(_: object) -> None:
        nonlocal came
        came += 1
        if came == expected:
            done.set()

    link = await backplane_at(place).connect(f"origin{number_of_process}", deliver, lambda error: done.set())
    print("ready", flush=True)
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        word, *arguments = json.loads(line)
        if word == "expect":
            came, expected = 0, arguments[0]
            done.clear()
            await link.subscribe(["plain", "kept"])
        elif word == "wait":
            await done.wait()
        elif word == "publish":
            topic, count, batch = arguments
            keep = KEEP if topic == "kept" else None
            for _ in range(0, count, batch):
                publications = [
                    Publication(topic, DATA, number + each, keep) for each in range(1, batch + 1)
                ]
                number += batch
                await link.publish(publications)
        print("done", flush=True)


class Part:
    """A process of the measurement."""

    def __init__(self, place: str, number: int, stack: ExitStack) -> None:
        command = [sys.executable, __file__, "take-part", str(number), place]
        self.process = stack.enter_context(running(spawn(CORES[0], command, stdin=subprocess.PIPE)))
        self.clock = Process(self.process.pid)
        self.answer()

    def answer(self) -> None:
        assert self.process.stdout
        if not self.process.stdout.readline():
            raise SystemExit("a process of the measurement has ended")

    def tell(self, *words: object) -> None:
        assert self.process.stdin
        self.process.stdin.write(json.dumps(words) + "\n")
        self.process.stdin.flush()


def start_broker(kind: str, stack: ExitStack) -> tuple[Process, str]:
    folder = stack.enter_context(tempfile.TemporaryDirectory())
    port = free_port()
    if kind == "bus":
        place = f"ipc://{folder}/hub"
        command = [sys.executable, "-c", f"from hyperws.groups.hub import serve; serve({place!r})"]
    elif kind == "redis":
        place = f"redis://127.0.0.1:{port}"
        command = ["redis-server", "--port", str(port), "--dir", folder, "--save", ""]
    else:
        place = f"nats://127.0.0.1:{port}"
        command = ["nats-server", "-a", "127.0.0.1", "-p", str(port), "-js", "-sd", folder]
    quiet = subprocess.DEVNULL
    broker = stack.enter_context(running(spawn(CORES[-1], command, stdout=quiet, stderr=quiet)))
    return Process(broker.pid), place


def connected(place: str, stack: ExitStack) -> list[Part]:
    """A publisher and a subscriber of a broker that may just be starting."""
    for _ in range(50):
        with ExitStack() as attempt:
            try:
                parts = [Part(place, number, attempt) for number in range(2)]
            except SystemExit:
                sleep(0.1)
                continue
            stack.push(attempt.pop_all())
            return parts
    raise SystemExit(f"nobody answers at {place}")


def measure(clocks: list[Process], parts: list[Part], topic: str, count: int, batch: int) -> list[float]:
    """(messages a second, CPU µs of the publisher, of the subscriber, of the broker, per message)"""
    publisher, subscriber = parts
    subscriber.tell("expect", count)
    subscriber.answer()
    before = [clock.cpu_seconds() for clock in clocks]
    began = monotonic()
    subscriber.tell("wait")
    publisher.tell("publish", topic, count, batch)
    for part in parts:
        part.answer()
    seconds = monotonic() - began
    taken = [clock.cpu_seconds() - start for clock, start in zip(clocks, before, strict=True)]
    return [count / seconds, *(each / count * 1e6 for each in taken)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--brokers", type=lambda text: text.split(","), default=list(BROKERS))
    parser.add_argument("--messages", type=int, default=50_000, help="per round, for batches above 1")
    parser.add_argument("--batches", type=whole_numbers, default=[1, 16, 256])
    parser.add_argument("--rounds", type=int, default=3, help="(default %(default)s)")
    arguments = parser.parse_args()
    cases = list(product(arguments.brokers, ("plain", "kept"), arguments.batches))
    results: dict[tuple[str, str, int], list[list[float]]] = {case: [] for case in cases}
    with ExitStack() as stack:
        sets = {}
        for kind in arguments.brokers:
            broker, place = start_broker(kind, stack)
            parts = connected(place, stack)
            sets[kind] = ([parts[0].clock, parts[1].clock, broker], parts)
        for number, case in product(range(1, arguments.rounds + 1), cases):
            kind, topic, batch = case
            count = arguments.messages // (10 if batch == 1 else 1) // batch * batch
            figures = measure(*sets[kind], topic, count, batch)
            results[case].append(figures)
            line = f"round {number}, {kind}, {topic}, batches of {batch}: {figures[0]:,.0f}/s"
            print(line, file=sys.stderr)
    header = ["broker", "topic", "batch", "messages/s", "publisher µs", "subscriber µs", "broker µs"]
    rows = []
    for (kind, topic, batch), rounds in results.items():
        rate, *costs = (median(figures) for figures in zip(*rounds, strict=True))
        rows.append([kind, topic, str(batch), f"{rate:,.0f}", *(f"{cost:.1f}" for cost in costs)])
    print(markdown(header, rows))


if __name__ == "__main__":
    if sys.argv[1:2] == ["take-part"]:
        with asyncio.Runner(loop_factory=new_event_loop) as runner:
            runner.run(take_part(*sys.argv[2:]))
    else:
        main()
