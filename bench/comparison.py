"""What comparisons of servers share: rounds, medians, ratios and the table.

The servers run on one core and the load on another. Every server is started once; the rounds are interleaved
(A B C, A B C, ...), so that what else happens on the machine meets all of them. Figures are medians over the
rounds; a ratio is the median of the ratios within each round.
"""

import argparse
import json
import platform
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Any

from native import HERE, build
from processes import CORES, Peer, Unavailable, running, spawn, take_last_core

Figures = dict[str, float]
Rounds = dict[str, list[Figures]]  # by server
Load = Callable[[Peer], Figures]  # takes one measurement, and returns it as `derive` does


def peers_in(folder: str) -> dict[str, Path]:
    """The files of the servers that are compared, by name."""
    return {path.stem: path for path in sorted((HERE / "peers" / folder).glob("[!_]*.*"))}


def add_arguments(parser: argparse.ArgumentParser, peers: dict[str, Path]) -> None:
    def known(text: str) -> list[str]:
        names = text.split(",")
        if unknown := set(names) - set(peers):
            raise argparse.ArgumentTypeError(f"unknown: {', '.join(unknown)}; known: {', '.join(peers)}")
        return names

    parser.add_argument("--rounds", type=int, default=5, help="(default %(default)s)")
    parser.add_argument("--servers", type=known, default=list(peers), help=", ".join(peers))
    parser.add_argument("--json", metavar="FILE", help="write every round's figures there too")


def whole_numbers(text: str) -> list[int]:
    return [int(part) for part in text.split(",")]


def compare(
    peers: dict[str, Path],
    arguments: argparse.Namespace,
    loads: dict[str, Load],
    unit: str,
    references: dict[str, str],
    latency: str = "RTT",
) -> None:
    """Measure the servers under each of the loads, which have titles, and print a table for each.

    `unit` is what is counted; `references` are the servers that others are related to, and what those columns
    are called; `latency` is the time of which the load tells percentiles.
    """
    take_last_core()
    with ExitStack() as stack:
        started = start_peers([peers[name] for name in arguments.servers], stack)
        measured = {
            title: measure_rounds(started, title, arguments.rounds, load) for title, load in loads.items()
        }
    for title, results in measured.items():
        print(f"\n{title}\n\n{markdown_table(results, unit, references, latency)}")
    keep(arguments.json, measured)


def keep(path: str | None, measured: dict[str, Any], **machine: str) -> None:
    """Write all figures to this file, if there is one, with what the machine is."""
    if path:
        machine |= {"python": platform.python_version(), "system": platform.platform()}
        with open(path, "w") as file:
            json.dump({"machine": machine, "measured": measured}, file, indent=1)


def start_peers(paths: list[Path], stack: ExitStack) -> list[Peer]:
    """Start what can be started here, and name what cannot."""
    peers = []
    for path in paths:
        try:
            peers.append(stack.enter_context(Peer(path).started()))
        except Unavailable as reason:
            print(f"skipped {path.stem}: {reason}", file=sys.stderr)
    return peers


def measure_rounds(peers: list[Peer], title: str, rounds: int, load: Load) -> Rounds:
    results: Rounds = {peer.name: [] for peer in peers}
    for number in range(1, rounds + 1):
        for peer in peers:
            figures = load(peer)
            results[peer.name].append(figures)
            print(
                f"{title}, round {number}/{rounds}, {peer.name}: {figures['per_second']:,.0f}/s, "
                f"{figures['server_cpu_us']:.2f} µs",
                file=sys.stderr,
            )
    return results


def run_load(program: str, peer: Peer, **options: float) -> Figures:
    """Run a load program on the last core against a server; its figures and what follows from them."""
    command = [str(build(HERE / program)), f"--port={peer.port}", f"--server-pid={peer.pid}"]
    command += [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]
    with running(spawn(CORES[-1], command, stderr=subprocess.PIPE, errors="backslashreplace")) as load:
        assert load.stdout
        assert load.stderr
        resident, line = 0.0, ""
        for line in load.stdout:
            if line in ("start\n", "stop\n"):
                resident = max(resident, peer.resident_megabytes())
        if load.wait() != 0:
            raise RuntimeError(f"{peer.name}: {load.stderr.read().strip()}")
    figures = json.loads(line)
    if not figures["messages"]:
        raise RuntimeError(f"{peer.name}: no message came back within the window")
    return derive(figures, figures["messages"], resident)


def derive(figures: Figures, count: float, resident: float) -> Figures:
    """The load's raw figures of one window in which it counted messages or the like, and the server's figures
    that follow from them."""
    seconds, server_cpu = figures["seconds"], figures["server_cpu_seconds"]
    return figures | {
        "per_second": count / seconds,
        "server_cpu_us": server_cpu / count * 1e6,
        "per_cpu_second": count / server_cpu,
        "server_busy": server_cpu / seconds,
        "load_busy": figures["load_cpu_seconds"] / seconds,
        "resident_mb": resident,
    }


def middle(rounds: list[Figures], figure: str) -> float:
    return median(figures[figure] for figures in rounds)


def ratio(results: Rounds, name: str, reference: str, figure: str = "server_cpu_us") -> str:
    """A figure relative to the reference server's, paired round by round."""
    if reference not in results:
        return "-"
    pairs = zip(results[name], results[reference], strict=True)
    return f"{median(mine[figure] / other[figure] for mine, other in pairs):.2f}"


def remarks(rounds: list[Figures]) -> str:
    """What keeps a row from being taken at face value."""
    found = []
    if middle(rounds, "server_busy") < 0.90:
        found.append("load saturated" if middle(rounds, "load_busy") > 0.95 else "neither busy")
    if errors := sum(figures["errors"] for figures in rounds):
        found.append(f"{errors:.0f} errors")
    return ", ".join(found)


def markdown_table(results: Rounds, unit: str, references: dict[str, str], latency: str) -> str:
    units = unit[:-1] + "ies" if unit.endswith("y") else unit + "s"
    header = ["server", f"{units}/s", f"{units}/server CPU s", f"server CPU µs/{unit}", *references.values()]
    header += ["RSS MB", f"{latency} p50 µs", f"{latency} p99 µs", "server busy", "load busy", "remarks"]
    rows = []
    for name, rounds in sorted(results.items(), key=lambda item: middle(item[1], "server_cpu_us")):
        rows.append(
            [
                name,
                f"{middle(rounds, 'per_second'):,.0f}",
                f"{middle(rounds, 'per_cpu_second'):,.0f}",
                f"{middle(rounds, 'server_cpu_us'):.2f}",
                *(ratio(results, name, reference) for reference in references),
                f"{middle(rounds, 'resident_mb'):.1f}",
                f"{middle(rounds, f'{latency.lower()}_p50_us'):,.0f}",
                f"{middle(rounds, f'{latency.lower()}_p99_us'):,.0f}",
                f"{middle(rounds, 'server_busy'):.0%}",
                f"{middle(rounds, 'load_busy'):.0%}",
                remarks(rounds),
            ]
        )
    return markdown(header, rows)


def markdown(header: list[str], rows: list[list[str]]) -> str:
    lines = [header, ["---"] + ["--:"] * (len(header) - 1), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
