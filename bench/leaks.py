"""Does a server give back what connections took? Connects, echoes one message and leaves, again and again.

    python bench/leaks.py [--connects 100000] [--at-a-time 100] [--reset-percent 50]

Prints the server's descriptors, tasks, connections and memory before, meanwhile and after.
"""

import argparse
import asyncio
import gc
import json
import os
import sys
import time
from pathlib import Path
from urllib.request import urlopen

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
sys.path.insert(0, str(Path(__file__).resolve().parent))

from native import HERE, build
from processes import CORES, free_port, running, spawn

from hyperws import Context, Server

PARTS = 10
WARM_UP = 2000  # connects, after which the allocator and the event loop have what they keep


def serve(port: int) -> None:
    server = Server(host="127.0.0.1", port=port)

    @server.route("/", websocket=True)
    async def echo(ctx: Context) -> None:
        async for message in ctx:
            await ctx.send(message)

    @server.route("/counts")
    async def counts(ctx: Context) -> None:
        gc.collect()
        resident = int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        figures = {
            "descriptors": len(os.listdir("/proc/self/fd")),
            "tasks": len(asyncio.all_tasks()),
            "resident_kb": resident // 1024,
        }
        await ctx.send(json.dumps(figures))

    server.run(on_listening=lambda: print("ready", flush=True))


def counts(port: int) -> dict[str, int]:
    """The server's counts, once they no longer change: its last connections take a moment to end."""
    before: dict[str, int] = {}
    for _ in range(100):
        with urlopen(f"http://127.0.0.1:{port}/counts") as answer:
            now = json.load(answer)
        if now == before:
            break
        before = now
        time.sleep(0.1)
    return before


def churn(port: int, connects: int, at_a_time: int, reset_percent: int) -> None:
    command = [str(build(HERE / "load.c")), f"--port={port}", f"--churn={connects}"]
    command += [f"--connections={at_a_time}", f"--reset-percent={reset_percent}"]
    with running(spawn(CORES[-1], command)) as load:
        output, _ = load.communicate(timeout=600)
        if load.returncode or json.loads(output.splitlines()[-1])["errors"]:
            raise SystemExit(f"the load failed: {output}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--connects", type=int, default=100_000)
    parser.add_argument("--at-a-time", type=int, default=100)
    parser.add_argument("--reset-percent", type=int, default=50)
    options = parser.parse_args()
    port = free_port()
    with running(spawn(CORES[0], [sys.executable, __file__, "serve", str(port)])) as server:
        assert server.stdout
        server.stdout.readline()
        print("before      ", counts(port), flush=True)
        churn(port, WARM_UP, options.at_a_time, options.reset_percent)
        start = counts(port)
        print(f"{WARM_UP:12}", start, flush=True)
        for part in range(PARTS):
            churn(port, options.connects // PARTS, options.at_a_time, options.reset_percent)
            end = counts(port)
            print(f"{WARM_UP + (part + 1) * options.connects // PARTS:12}", end, flush=True)
    leaked = {name: end[name] - start[name] for name in ("descriptors", "tasks")}
    print(f"grown since the warm-up: {leaked}, {end['resident_kb'] - start['resident_kb']} KB resident")
    raise SystemExit(any(leaked.values()))


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        serve(int(sys.argv[2]))
    else:
        main()
