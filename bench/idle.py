"""Compares what connections that say nothing cost WebSocket servers in memory.

    python bench/idle.py [--connections 15000 --rounds 3 --servers a,b]

Each measurement has a server of its own: what it has in memory before the connections come, and while they
are open.
"""

import argparse
import sys

from comparison import Figures, add_arguments, markdown, middle, peers_in, present, run_load
from processes import Peer, Unavailable, take_last_core

PEERS = peers_in("echo")


def measure(name: str, connections: int) -> Figures:
    with Peer(PEERS[name]).started() as peer:
        # who has answered once has loaded what the first connection loads
        run_load("load.c", peer, connections=1, in_flight=1, warmup=0, seconds=0.1)
        before = peer.resident_megabytes()
        held = run_load("load.c", peer, connections=connections, in_flight=0, warmup=0.5, seconds=0.1)
    grown = held["resident_mb"] - before
    return {"before_mb": before, "held_mb": held["resident_mb"], "connection_kb": grown * 1e3 / connections}


def table(measured: dict[str, list[Figures]], connections: int) -> str:
    header = ["server", "KB a connection", "RSS MB without", f"RSS MB with {connections:,}"]
    rows = [
        [
            name,
            f"{middle(rounds, 'connection_kb'):.2f}",
            f"{middle(rounds, 'before_mb'):.1f}",
            f"{middle(rounds, 'held_mb'):.1f}",
        ]
        for name, rounds in sorted(measured.items(), key=lambda item: middle(item[1], "connection_kb"))
    ]
    return markdown(header, rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--connections", type=int, default=15000, help="(default %(default)s)")
    add_arguments(parser, PEERS)
    arguments = parser.parse_args()
    take_last_core()
    measured: dict[str, list[Figures]] = {name: [] for name in arguments.servers}
    for number in range(1, arguments.rounds + 1):
        for name in list(measured):
            try:
                measured[name].append(measure(name, arguments.connections))
            except Unavailable as reason:
                print(f"skipped {name}: {reason}", file=sys.stderr)
                del measured[name]
                continue
            kb = measured[name][-1]["connection_kb"]
            print(f"round {number}/{arguments.rounds}, {name}: {kb:.2f} KB a connection", file=sys.stderr)
    title = f"{arguments.connections:,} idle connections"
    present(arguments.json, {title: measured}, {title: table(measured, arguments.connections)})


if __name__ == "__main__":
    main()
