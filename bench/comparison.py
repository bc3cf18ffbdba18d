"""What comparisons of servers share: rounds, medians, ratios and the table.

The servers run on one core and the load on another. Every server is started once; the rounds are interleaved
(A B C, A B C, ...), so that what else happens on the machine meets all of them. Figures are medians over the
rounds; a ratio is the median of the ratios within each round.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack, nullcontext
from pathlib import Path
from statistics import median
from typing import Any

from native import HERE, build
from processes import CORES, Peer, Process, Unavailable, running, spawn, take_last_core
from syscalls import SyscallCounter

Figures = dict[str, float]
Rounds = dict[str, list[Figures]]  # by server
Load = Callable[..., Figures]  # given a peer, takes one measurement, and returns it as `derive` does


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
    parser.add_argument("--syscalls", action="store_true", help="count them too, in a round of its own")
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
            title: measure_rounds(started, title, arguments, load) for title, load in loads.items()
        }
    tables = {title: markdown_table(rounds, unit, references, latency) for title, rounds in measured.items()}
    present(arguments.json, measured, tables)


def present(path: str | None, measured: dict[str, Any], tables: dict[str, str]) -> None:
    """Print the tables under their titles. Write them and all figures to this file, if there is one."""
    for title, table in tables.items():
        print(f"\n{title}\n\n{table}")
    if path:
        with open(path, "w") as file:
            json.dump({"tables": tables, "measured": measured}, file, indent=1, ensure_ascii=False)


def start_peers(paths: list[Path], stack: ExitStack) -> list[Peer]:
    """Start what can be started here, and name what cannot."""
    peers = []
    for path in paths:
        try:
            peers.append(stack.enter_context(Peer(path).started()))
        except Unavailable as reason:
            print(f"skipped {path.stem}: {reason}", file=sys.stderr)
    return peers


def measure_rounds(peers: list[Peer], title: str, arguments: argparse.Namespace, load: Load) -> Rounds:
    results: Rounds = {peer.name: [] for peer in peers}
    for number in range(1, arguments.rounds + 1):
        for peer in peers:
            figures = load(peer)
            results[peer.name].append(figures)
            print(
                f"{title}, round {number}/{arguments.rounds}, {peer.name}: {figures['per_second']:,.0f}/s, "
                f"{figures['server_cpu_us']:.2f} µs",
                file=sys.stderr,
            )
    for peer in peers if arguments.syscalls else []:
        figures = load(peer, count_syscalls=True)
        for round in results[peer.name]:
            round["syscalls_per_message"] = figures["syscalls"] / figures["messages"]
    return results


def run_load(program: str, peer: Peer, count_syscalls: bool = False, **options: float) -> Figures:
    """Run a load program on the last core against a server; its figures and what follows from them.

    Counting system calls makes each of them dearer, so the other figures of that run are not to be used.
    """
    pids = ",".join(str(process.pid) for process in Process(peer.pid).family())
    command = [str(build(HERE / program)), f"--port={peer.port}", f"--server-pid={pids}"]
    command += [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]
    pipes = {"stdin": subprocess.PIPE, "stderr": subprocess.PIPE, "errors": "backslashreplace"}
    with (
        SyscallCounter(pids) if count_syscalls else nullcontext() as counter,
        running(spawn(CORES[-1], command, **pipes)) as load,
    ):
        assert load.stdin
        assert load.stdout
        assert load.stderr
        more, line = {"resident_mb": 0.0}, ""
        for line in load.stdout:
            if line in ("start\n", "stop\n"):
                more["resident_mb"] = max(more["resident_mb"], peer.resident_megabytes())
            if counter and line == "start\n":
                counter.start()
            if line == "stop\n":
                if counter:
                    more["syscalls"] = counter.stop()
                load.stdin.close()
        if load.wait() != 0:
            raise RuntimeError(f"{peer.name}: {load.stderr.read().strip()}")
    return json.loads(line) | more


def measure_load(program: str, peer: Peer, **options: float) -> Figures:
    """What `run_load` tells of messages, and what follows from it."""
    figures = run_load(program, peer, **options)
    if not figures["messages"]:
        raise RuntimeError(f"{peer.name}: no message came back within the window")
    return derive(figures, figures["messages"])


def derive(figures: Figures, count: float) -> Figures:
    """The figures of one window in which the load counted messages or the like, and what follows."""
    seconds, server_cpu = figures["seconds"], figures["server_cpu_seconds"]
    return figures | {
        "per_second": count / seconds,
        "server_cpu_us": server_cpu / count * 1e6,
        "per_cpu_second": count / server_cpu,
        "server_busy": server_cpu / seconds,
        "load_busy": figures["load_cpu_seconds"] / seconds,
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
    syscalls = all("syscalls_per_message" in rounds[0] for rounds in results.values())
    header += [f"syscalls/{unit}"] * syscalls
    percentiles = {"50": "p50", "99": "p99", "99.9": "p999"}
    header += ["RSS MB", *(f"{latency} p{percentile} µs" for percentile in percentiles)]
    header += ["server busy", "load busy", "remarks"]
    rows = []
    for name, rounds in sorted(results.items(), key=lambda item: middle(item[1], "server_cpu_us")):
        rows.append(
            [
                name,
                f"{middle(rounds, 'per_second'):,.0f}",
                f"{middle(rounds, 'per_cpu_second'):,.0f}",
                f"{middle(rounds, 'server_cpu_us'):.2f}",
                *(ratio(results, name, reference) for reference in references),
                *(f"{middle(rounds, figure):.2f}" for figure in ["syscalls_per_message"] * syscalls),
                f"{middle(rounds, 'resident_mb'):.1f}",
                *(f"{middle(rounds, f'{latency.lower()}_{part}_us'):,.0f}" for part in percentiles.values()),
                f"{middle(rounds, 'server_busy'):.0%}",
                f"{middle(rounds, 'load_busy'):.0%}",
                remarks(rounds),
            ]
        )
    return markdown(header, rows)


def markdown(header: list[str], rows: list[list[str]]) -> str:
    lines = [header, ["---"] + ["--:"] * (len(header) - 1), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
