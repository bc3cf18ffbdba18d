"""Makes a page of a folder of results: the machine, what was to be reached, plots, and all tables.

    python bench/report.py [bench/results]

suite.py does so itself, after every run.
"""

import json
import re
import sys
from pathlib import Path

from comparison import Figures, markdown, middle
from goals import BURSTS, GOALS, IDLE, ONE, OPEN_LOOP, Results
from native import HERE
from plots import Panel, plot_bars, plot_lines


def write_page(folder: Path, order: list[str]) -> None:
    """README.md and the plots, of those runs whose results are in the folder."""
    paths = {name: folder / f"{name}.json" for name in order}
    results = {name: json.loads(path.read_text()) for name, path in paths.items() if path.exists()}
    parts = ["# Results", intro(results)]
    parts.append("## What was to be reached\n\n" + goals_table(results))
    for file, alternative in write_plots(folder, results):
        parts.append(f"![{alternative}]({file})")
    parts.append("## All tables")
    for told in results.values():
        parts.append(f"`{told['command']}`")
        parts += [f"**{title}**\n\n{table}" for title, table in told["tables"].items()]
    (folder / "README.md").write_text("\n\n".join(parts) + "\n")


def intro(results: Results) -> str:
    machines = {json.dumps(told["machine"]): told["machine"] for told in results.values()}
    minutes = sum(told["seconds"] for told in results.values()) / 60
    lines = [
        "Made by `python bench/suite.py`; [bench/README.md](../README.md) says how each figure comes about, "
        f"and what it does not tell. The runs took {minutes:.0f} minutes. Server names are those of the "
        "programs in [bench/peers](../peers)."
    ]
    for machine in machines.values():
        lines.append(", ".join(f"{name} {value}" for name, value in machine.items()) + ".")
    if len(machines) > 1:
        lines.append("More than one machine or version was used: each run's file says which.")
    return "\n\n".join(lines)


def goals_table(results: Results) -> str:
    lines = markdown(["figure", "goal", "measured", "reached"], [goal.row(results) for goal in GOALS])
    return lines + "\n\nRatios are medians of the ratios within each round."


# ------------------------------------------------------------------------------------------- the plots

def medians(rounds: dict[str, list[Figures]], figure: str, scale: float = 1) -> dict[str, float]:
    return {name: middle(figures, figure) * scale for name, figures in rounds.items()}


def write_plots(folder: Path, results: Results) -> list[tuple[str, str]]:
    """Draw what the results have figures for. Returns (file name, what it shows) of each plot."""
    drawn = []

    def bars(file: str, title: str, panels: dict[str, tuple[str, str, str, float]]) -> None:
        """One panel for each (run, title of a table, figure, scale)."""
        if all(run in results for run, *_ in panels.values()):
            plot_bars(folder / file, title, [
                Panel(label, medians(results[run]["measured"][table], figure, scale))
                for label, (run, table, figure, scale) in panels.items()
            ])
            drawn.append((file, title))

    bars("cpu.svg", "Server CPU per echoed message of 32 bytes, µs", {
        "1,000 connections, 1 message in flight": ("echo-1000", ONE, "server_cpu_us", 1),
        "100 connections, 16 messages in flight": ("echo-100", BURSTS, "server_cpu_us", 1),
    })
    bars("latency.svg", "Latency at a fixed 10,000 messages/s over 1,000 connections, ms", {
        "half of the messages": ("latency", OPEN_LOOP, "rtt_p50_us", 1e-3),
        "99 of 100": ("latency", OPEN_LOOP, "rtt_p99_us", 1e-3),
        "999 of 1,000": ("latency", OPEN_LOOP, "rtt_p999_us", 1e-3),
    })
    bars("idle.svg", "Memory of an idle connection, KB", {
        "15,000 connections": ("idle", IDLE, "connection_kb", 1),
    })
    for file, title, pattern, figure in (
        ("connections.svg", "Server CPU per echoed message, µs, by connections (1 in flight, 32 bytes)",
         r"(\d+) connections x 1 in flight, 32 bytes", "server_cpu_us"),
        ("sizes.svg", "Megabytes echoed per server CPU second, by bytes of a message (1 in flight)",
         r"(?:100|10) connections x 1 in flight, (\d+) bytes", "per_cpu_second"),
    ):
        lines: dict[str, list[tuple[float, float]]] = {}
        for told in results.values():
            for table, rounds in told["measured"].items():
                if match := re.fullmatch(pattern, table):
                    x = int(match[1])
                    scale = x / 1e6 if figure == "per_cpu_second" else 1
                    for name, value in medians(rounds, figure, scale).items():
                        lines.setdefault(name, []).append((x, value))
        if lines:
            plot_lines(folder / file, title, {name: sorted(points) for name, points in lines.items()})
            drawn.append((file, title))
    return drawn


if __name__ == "__main__":
    from suite import RUNS

    write_page(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "results", list(RUNS))
