"""What clients that stop reading do to a feed, its server and its other clients, by the policy for them.

    python bench/slow.py [--connections 1000 --stalled 50 --rate 100 --rounds 5] [--json FILE]

The same feed is measured with no such clients, and with some under each policy of `ctx.subscribe`. Each
measurement has a server of its own; the rounds are interleaved, and figures are medians over the rounds.
"""

import argparse
import sys
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
sys.path.insert(0, str(Path(__file__).resolve().parent))

from comparison import Figures, Rounds, derive, markdown, middle, present, ratio
from feeds import run_feed
from native import HERE, build
from processes import take_last_core

POLICIES = ("close", "drop", "latest")
NONE = "none stalled"


def measure(case: str, arguments: argparse.Namespace) -> Figures:
    stalled = 0 if case == NONE else arguments.stalled
    load = [str(build(HERE / "slow_load.c")), f"--connections={arguments.connections}"]
    load += [f"--stalled={stalled}", f"--size={arguments.size}", f"--seconds={arguments.seconds}"]
    policy = "close" if case == NONE else case
    told = run_feed(
        load, rate=arguments.rate, size=arguments.size, send_queue=arguments.send_queue, policy=policy
    )
    figures = derive(told, told["messages"])
    if stalled:
        figures["first_missed"] = median(first_missed(told))
        figures["dropped"] = median(told["slow"]["dropped"] or [0])
        figures["cut_off"] = len(told["slow"]["cut_off"])
        for figure in ("older", "missed", "newer"):
            figures[figure] = median(client[figure] for client in told["stalled"])
    return figures


def first_missed(told: dict[str, Any]) -> list[int]:
    """The first message that the stalled clients did not get for being slow."""
    return told["slow"]["cut_off"] or [client["first_missed"] for client in told["stalled"]]


def table(results: Rounds, arguments: argparse.Namespace) -> str:
    header = ["policy", "latency p50 ms", "p99 ms", "p50 x none", "p99 x none", "server busy", "peak RSS MB"]
    header += ["acts after messages", "KB", "s", "cut off", "dropped", "reads old ones", "then newest +"]
    rows = []
    for case, rounds in results.items():
        row = [
            case,
            f"{middle(rounds, 'latency_p50_us') / 1000:.1f}",
            f"{middle(rounds, 'latency_p99_us') / 1000:.1f}",
            ratio(results, case, NONE, "latency_p50_us"),
            ratio(results, case, NONE, "latency_p99_us"),
            f"{middle(rounds, 'server_busy'):.0%}",
            f"{middle(rounds, 'peak_mb'):.1f}",
        ]
        if case != NONE:
            given = middle(rounds, "first_missed") - 1
            newer = middle(rounds, "newer")
            row += [
                *(
                    (f"{given:.0f}", f"{given * arguments.size / 1024:.0f}", f"{given / arguments.rate:.1f}")
                    if given >= 0
                    else ("never", "", "")
                ),
                f"{middle(rounds, 'cut_off'):.0f}",
                f"{middle(rounds, 'dropped'):.0f}",
                f"{middle(rounds, 'older'):.0f}",
                "-" if newer < 0 else f"{newer:.0f}",
            ]
        rows.append(row + [""] * (len(header) - len(row)))
    return markdown(header, rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--connections", type=int, default=1000, help="clients in all (default %(default)s)")
    parser.add_argument("--stalled", type=int, default=50, help="of which read nothing (default %(default)s)")
    parser.add_argument("--rate", type=float, default=100, help="messages/s (default %(default)s)")
    parser.add_argument("--size", type=int, default=1024, help="bytes per message (default %(default)s)")
    parser.add_argument("--send-queue", type=int, default=262144, help="Limits.send_queue (%(default)s)")
    parser.add_argument("--seconds", type=float, default=8, help="measured per round (default %(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="(default %(default)s)")
    parser.add_argument("--json", metavar="FILE", help="write every round's figures there too")
    arguments = parser.parse_args()
    take_last_core()
    results: Rounds = {case: [] for case in (NONE, *POLICIES)}
    for number in range(1, arguments.rounds + 1):
        for case, rounds in results.items():
            figures = measure(case, arguments)
            rounds.append(figures)
            print(
                f"round {number}/{arguments.rounds}, {case}: p50 {figures['latency_p50_us'] / 1000:.1f} ms, "
                f"p99 {figures['latency_p99_us'] / 1000:.1f} ms, peak {figures['peak_mb']:.1f} MB",
                file=sys.stderr,
            )
    title = f"{arguments.connections} clients, {arguments.stalled} of them stalled"
    title += f", {arguments.rate:g} messages/s of {arguments.size} bytes"
    present(arguments.json, results, {title: table(results, arguments)})


if __name__ == "__main__":
    main()
