"""Compares WebSocket echo servers: messages per second, and above all server CPU time per message.

    python bench/echo.py [--connections 1000 --in-flight 1,16 --size 32 --seconds 3 --rounds 5 --servers a,b]
    python bench/echo.py --churn 20000 [--connections 64 --reset-percent 50]

The servers run on one core and the load on another. Every server is started once; the rounds are interleaved
(A B C, A B C, ...), so that what else happens on the machine meets all of them. Figures are medians over the
rounds; a ratio is the median of the ratios within each round.
"""

import argparse
import json
import os
import platform
import sys
from contextlib import ExitStack
from statistics import median

from processes import CORES, PEERS, Peer, Unavailable

REFERENCES = {"bare_echo": "x bare C", "picows_echo": "x picows"}

Rounds = dict[str, list[dict[str, float]]]  # by server


def start_servers(names: list[str], stack: ExitStack) -> list[Peer]:
    """Start what can be started here, and name what cannot."""
    peers = []
    for name in names:
        try:
            peers.append(stack.enter_context(Peer(name).started()))
        except Unavailable as reason:
            print(f"skipped {name}: {reason}", file=sys.stderr)
    return peers


def measure_rounds(peers: list[Peer], title: str, rounds: int, load_options: dict[str, float]) -> Rounds:
    results: Rounds = {peer.name: [] for peer in peers}
    for number in range(1, rounds + 1):
        for peer in peers:
            figures = peer.measure(**load_options)
            results[peer.name].append(figures)
            print(
                f"{title}, round {number}/{rounds}, {peer.name}: {figures['per_second']:,.0f}/s, "
                f"{figures['server_cpu_us']:.2f} µs",
                file=sys.stderr,
            )
    return results


def middle(rounds: list[dict[str, float]], figure: str) -> float:
    return median(figures[figure] for figures in rounds)


def ratio(results: Rounds, name: str, reference: str) -> str:
    """Server CPU per message relative to the reference server's, paired round by round."""
    if reference not in results:
        return "-"
    pairs = zip(results[name], results[reference], strict=True)
    return f"{median(mine['server_cpu_us'] / other['server_cpu_us'] for mine, other in pairs):.2f}"


def remarks(rounds: list[dict[str, float]]) -> str:
    """What keeps a row from being taken at face value."""
    found = []
    if middle(rounds, "server_busy") < 0.90:
        found.append("load saturated" if middle(rounds, "load_busy") > 0.95 else "neither busy")
    if errors := sum(figures["errors"] for figures in rounds):
        found.append(f"{errors:.0f} connections lost")
    return ", ".join(found)


def markdown_table(results: Rounds, unit: str) -> str:
    header = ["server", f"{unit}s/s", f"{unit}s/server CPU s", f"server CPU µs/{unit}", *REFERENCES.values()]
    header += ["RSS MB", "RTT p50 µs", "RTT p99 µs", "server busy", "load busy", "remarks"]
    lines = [header, ["---"] + ["--:"] * (len(header) - 2) + ["---"]]
    for name, rounds in sorted(results.items(), key=lambda item: middle(item[1], "server_cpu_us")):
        lines.append(
            [
                name,
                f"{middle(rounds, 'per_second'):,.0f}",
                f"{middle(rounds, 'per_cpu_second'):,.0f}",
                f"{middle(rounds, 'server_cpu_us'):.2f}",
                *(ratio(results, name, reference) for reference in REFERENCES),
                f"{middle(rounds, 'resident_mb'):.1f}",
                f"{middle(rounds, 'rtt_p50_us'):,.0f}",
                f"{middle(rounds, 'rtt_p99_us'):,.0f}",
                f"{middle(rounds, 'server_busy'):.0%}",
                f"{middle(rounds, 'load_busy'):.0%}",
                remarks(rounds),
            ]
        )
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def whole_numbers(text: str) -> list[int]:
    return [int(part) for part in text.split(",")]


def known_servers(text: str) -> list[str]:
    names = text.split(",")
    if unknown := set(names) - set(PEERS):
        raise argparse.ArgumentTypeError(f"unknown: {', '.join(unknown)}; known: {', '.join(PEERS)}")
    return names


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--connections", type=int, default=1000, help="open at once (default %(default)s)")
    parser.add_argument("--in-flight", type=whole_numbers, default=[1, 16], help="per connection (1,16)")
    parser.add_argument("--size", type=int, default=32, help="bytes per message (default %(default)s)")
    parser.add_argument("--seconds", type=float, default=3, help="measured per round (default %(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="(default %(default)s)")
    parser.add_argument("--servers", type=known_servers, default=list(PEERS), help=", ".join(PEERS))
    parser.add_argument("--churn", type=int, metavar="M", help="measure M connects instead of messages")
    parser.add_argument("--reset-percent", type=int, default=0, help="churn: how many end by RST (0)")
    parser.add_argument("--json", metavar="FILE", help="write every round's figures there too")
    return parser.parse_args()


def plan(arguments: argparse.Namespace) -> dict[str, dict[str, float]]:
    """What to run: the load's options by title."""
    common = {"connections": arguments.connections, "size": arguments.size}
    if arguments.churn:
        churn = {"churn": arguments.churn, "reset_percent": arguments.reset_percent}
        title = "{churn} connects, {connections} at a time, {reset_percent} % ended by RST"
        return {title.format(**common, **churn): common | churn}
    return {
        f"{arguments.connections} connections x {in_flight} in flight, {arguments.size} bytes": common
        | {"in_flight": in_flight, "seconds": arguments.seconds}
        for in_flight in arguments.in_flight
    }


def main() -> None:
    arguments = parse_arguments()
    if len(CORES) < 2:
        sys.exit("the servers and the load need a core each, and there is only one")
    os.sched_setaffinity(0, {CORES[-1]})
    measured = {}
    with ExitStack() as stack:
        peers = start_servers(arguments.servers, stack)
        for title, load_options in plan(arguments).items():
            measured[title] = measure_rounds(peers, title, arguments.rounds, load_options)
    for title, results in measured.items():
        print(f"\n{title}\n\n{markdown_table(results, 'connection' if arguments.churn else 'message')}")
    if arguments.json:
        machine = {"python": platform.python_version(), "system": platform.platform()}
        with open(arguments.json, "w") as file:
            json.dump({"machine": machine, "measured": measured}, file, indent=1)


if __name__ == "__main__":
    main()
