"""Runs the comparisons one after the other, and makes a page with tables and plots of them.

    python bench/suite.py [--results bench/results --rounds 5 --only echo-1000,idle]

The page is README.md in the folder of results. With --only the others are left as they were measured before.
"""

import argparse
import json
import shlex
import subprocess
import sys
import time
from pathlib import Path

from machine import description
from native import HERE
from report import write_page

RUNS = {
    "echo-1": "echo.py --connections 1 --seconds 2",
    "echo-100": "echo.py --connections 100 --seconds 2 --syscalls",
    "echo-1000": "echo.py --connections 1000 --seconds 2 --syscalls",
    "echo-10000": "echo.py --connections 10000 --seconds 2",
    "size-1k": "echo.py --connections 100 --size 1024 --seconds 2",
    "size-16k": "echo.py --connections 100 --size 16384 --seconds 2",
    "size-1m": "echo.py --connections 10 --size 1048576 --seconds 2",
    "latency": "echo.py --connections 1000 --rate 10000 --seconds 3",
    "handshakes": "echo.py --churn 10000 --connections 64",
    "short": "echo.py --churn 5000 --messages 10 --connections 64",
    "idle": "idle.py --connections 15000",
    "broadcast-1000": "broadcast.py --connections 1000 --seconds 2 --syscalls",
    "broadcast-10000": "broadcast.py --connections 10000 --seconds 2",
    "feeds": "feeds.py --ways ws,sse",
    "hello": "hello.py",
    "tls": "tls.py",
    "compression": "compression.py",
}


def run(name: str, results: Path, rounds: int) -> None:
    command = f"python bench/{RUNS[name]}"
    if name != "compression":       # its figures hardly vary
        command += f" --rounds {rounds}"
    began = time.monotonic()
    print(f"\n{command}", file=sys.stderr)
    path = results / f"{name}.json"
    arguments = [sys.executable, *shlex.split(command)[1:], "--json", str(path.resolve())]
    subprocess.run(arguments, cwd=HERE.parent, check=True, stdout=subprocess.DEVNULL)
    told = {"command": command, "machine": description(), "seconds": round(time.monotonic() - began)}
    path.write_text(json.dumps(told | json.loads(path.read_text()), indent=1, ensure_ascii=False))


def known(text: str) -> list[str]:
    if unknown := set(text.split(",")) - set(RUNS):
        raise argparse.ArgumentTypeError(f"unknown: {', '.join(unknown)}; known: {', '.join(RUNS)}")
    return text.split(",")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--results", type=Path, default=HERE / "results", help="folder (bench/results)")
    parser.add_argument("--rounds", type=int, default=5, help="of each comparison (default %(default)s)")
    parser.add_argument("--only", type=known, default=list(RUNS), help=", ".join(RUNS))
    arguments = parser.parse_args()
    arguments.results.mkdir(parents=True, exist_ok=True)
    for name in arguments.only:
        run(name, arguments.results, arguments.rounds)
        write_page(arguments.results, list(RUNS))
    print(arguments.results / "README.md")


if __name__ == "__main__":
    main()
