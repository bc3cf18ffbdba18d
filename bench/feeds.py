"""Compares ways to get one feed to many clients: WebSocket, Server-Sent Events, long and plain polling.

    python bench/feeds.py [--connections 1000 --rate 5 --seconds 3 --rounds 5 --ways ws,sse] [--json FILE]

Prints two tables: what the server can do at the most, and what the same feed at a modest rate costs it. Each
measurement has a server of its own; the rounds are interleaved, and figures are medians over the rounds.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.request import urlopen

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
sys.path.insert(0, str(Path(__file__).resolve().parent))

from comparison import Figures, derive, markdown, middle, present, remarks
from native import HERE, build
from processes import CORES, Process, free_port, running, spawn, take_last_core

WAYS = {
    "ws": "WebSocket",
    "sse": "Server-Sent Events",
    "longpoll": "long polling",
    "poll": "polling, connection kept",
    "reconnect": "polling, new connections",
}

Rounds = dict[str, list[Figures]]   # by way


def run_feed(load_command: list[str], **server_options: float | str) -> dict[str, Any]:
    """One server on the first core, clients on the last: what they tell, and the server of itself."""
    port = free_port()
    server_command = [sys.executable, str(HERE / "feed_server.py"), str(port)]
    server_command += [f"--{name.replace('_', '-')}={value}" for name, value in server_options.items()]
    with running(spawn(CORES[0], server_command)) as server:
        assert server.stdout
        if server.stdout.readline() != "ready\n":
            raise SystemExit("the server does not start")
        pipes = {"stdin": subprocess.PIPE, "stderr": subprocess.PIPE, "errors": "backslashreplace"}
        load_command = [*load_command, f"--port={port}", f"--server-pid={server.pid}"]
        with running(spawn(CORES[-1], load_command, **pipes)) as load:
            assert load.stdin
            assert load.stdout
            assert load.stderr
            told: dict[str, Any] = {}
            line = ""
            for line in load.stdout:
                if line == "open\n":
                    told["idle_mb"] = ask(port, "/start")
                    load.stdin.write("go\n")
                    load.stdin.flush()
                elif line == "stop\n":
                    told["peak_mb"] = Process(server.pid).megabytes("VmHWM")
                    told["slow"] = ask(port, "/slow")
            if load.wait() != 0:
                raise SystemExit(f"{' '.join(load_command[1:])}: {load.stderr.read().strip()}")
    return told | json.loads(line)


def ask(port: int, path: str) -> Any:
    with urlopen(f"http://127.0.0.1:{port}{path}") as answer:
        return json.load(answer)


def measure(way: str, connections: int, seconds: float, rate: float, interval: float) -> Figures:
    """One measurement of one way.

    `rate` is messages published a second, 0 for all that the server can do; `interval` milliseconds between
    two requests of a client that polls, 0 for none.
    """
    load_command = [str(build(HERE / "feed_load.c")), way, f"--connections={connections}"]
    load_command += [f"--seconds={seconds}", f"--interval={interval}"]
    figures = run_feed(load_command, rate=rate, pollers=connections if way == "longpoll" else 0)
    if not figures["events"]:
        raise SystemExit(f"{WAYS[way]}: nothing came within the window")
    return derive(figures, figures["messages"]) | {
        "events_per_second": figures["events"] / figures["seconds"],
        "event_cpu_us": figures["server_cpu_seconds"] / figures["events"] * 1e6,
        "received_per_answer": figures["received"] / figures["messages"],
        "received_per_event": figures["received"] / figures["events"],
        "sent_per_event": figures["sent"] / figures["events"],
        "missed_share": figures["missed"] / (figures["missed"] + figures["events"]),
    }


def measure_rounds(arguments: argparse.Namespace) -> tuple[Rounds, Rounds]:
    """Figures at saturation, and at the rate that was asked for."""
    interval = 1000 / arguments.rate    # who polls asks as often as there is something new
    most: Rounds = {way: [] for way in arguments.ways}
    modest: Rounds = {way: [] for way in arguments.ways}
    for number in range(1, arguments.rounds + 1):
        for way in arguments.ways:
            polls = way in ("poll", "reconnect")
            for results, rate, pause in (
                (most, arguments.rate if polls else 0, 0),
                (modest, arguments.rate, interval),
            ):
                figures = measure(way, arguments.connections, arguments.seconds, rate, pause)
                results[way].append(figures)
                pace = "at saturation" if results is most else "modest rate"
                print(
                    f"round {number}/{arguments.rounds}, {WAYS[way]}, {pace}: "
                    f"{figures['per_second']:,.0f}/s, {figures['server_cpu_us']:.2f} µs, "
                    f"server {figures['server_busy']:.0%} busy",
                    file=sys.stderr,
                )
    return most, modest


def saturation_table(results: Rounds) -> str:
    header = ["way", "answers/s", "answers/server CPU s", "server CPU µs/answer"]
    header += ["bytes to the client/answer", "idle RSS MB", "peak RSS MB", "server busy", "load busy"]
    rows = [
        [
            WAYS[way],
            f"{middle(rounds, 'per_second'):,.0f}",
            f"{middle(rounds, 'per_cpu_second'):,.0f}",
            f"{middle(rounds, 'server_cpu_us'):.2f}",
            f"{middle(rounds, 'received_per_answer'):.0f}",
            f"{middle(rounds, 'idle_mb'):.1f}",
            f"{middle(rounds, 'peak_mb'):.1f}",
            f"{middle(rounds, 'server_busy'):.0%}",
            f"{middle(rounds, 'load_busy'):.0%}",
            remarks(rounds),
        ]
        for way, rounds in results.items()
    ]
    return markdown([*header, "remarks"], rows)


def modest_table(results: Rounds) -> str:
    header = ["way", "new messages/s", "server busy", "server CPU µs/new message", "latency p50 ms", "p99 ms"]
    header += ["bytes to the client/new message", "bytes to the server/new message", "missed"]
    rows = [
        [
            WAYS[way],
            f"{middle(rounds, 'events_per_second'):,.0f}",
            f"{middle(rounds, 'server_busy'):.1%}",
            f"{middle(rounds, 'event_cpu_us'):.2f}",
            f"{middle(rounds, 'latency_p50_us') / 1000:.1f}",
            f"{middle(rounds, 'latency_p99_us') / 1000:.1f}",
            f"{middle(rounds, 'received_per_event'):.0f}",
            f"{middle(rounds, 'sent_per_event'):.0f}",
            f"{middle(rounds, 'missed_share'):.1%}",
        ]
        for way, rounds in results.items()
    ]
    return markdown(header, rows)


def known_ways(text: str) -> list[str]:
    if unknown := set(text.split(",")) - set(WAYS):
        raise argparse.ArgumentTypeError(f"unknown: {', '.join(unknown)}; known: {', '.join(WAYS)}")
    return text.split(",")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--connections", type=int, default=1000, help="clients (default %(default)s)")
    parser.add_argument("--rate", type=float, default=5, help="messages/s at the modest rate (%(default)s)")
    parser.add_argument("--seconds", type=float, default=3, help="measured per round (default %(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="(default %(default)s)")
    parser.add_argument("--ways", type=known_ways, default=list(WAYS), help=", ".join(WAYS))
    parser.add_argument("--json", metavar="FILE", help="write every round's figures there too")
    arguments = parser.parse_args()
    take_last_core()
    most, modest = measure_rounds(arguments)
    clients = f"{arguments.connections} clients"
    tables = {
        f"{clients}, as fast as the server goes": saturation_table(most),
        f"{clients}, {arguments.rate:g} messages a second": modest_table(modest),
    }
    present(arguments.json, {"saturation": most, "modest": modest}, tables)


if __name__ == "__main__":
    main()
