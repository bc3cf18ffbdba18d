"""Starts the echo servers and the load, each on its own core, and takes one measurement of one server."""

import json
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from native import HERE, build

PEERS = {path.stem: path for path in sorted((HERE / "peers").glob("[!_]*.*"))}
CORES = sorted(os.sched_getaffinity(0))


class Unavailable(Exception):
    """A peer that does not start here, most often because its package is not installed."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def spawn(core: int, command: list[str], **pipes: Any) -> subprocess.Popen[str]:
    """A child pinned to `core` from its first instruction on: it inherits the affinity taken for a moment."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        return subprocess.Popen(command, cwd=HERE.parent, text=True, stdout=subprocess.PIPE, **pipes)
    finally:
        os.sched_setaffinity(0, before)


@contextmanager
def running(process: subprocess.Popen[str]) -> Iterator[subprocess.Popen[str]]:
    """Kill the process at the end, whatever happens: a benchmark leaves nothing behind."""
    with process:
        try:
            yield process
        finally:
            process.kill()


class Process:
    """What Linux tells of a process."""

    def __init__(self, pid: int) -> None:
        self.folder = Path(f"/proc/{pid}")

    def megabytes(self, field: str) -> float:
        """A size in its status: VmRSS now, VmHWM at its peak."""
        status = dict(line.split(":", 1) for line in (self.folder / "status").read_text().splitlines())
        return int(status[field].split()[0]) * 1024 / 1e6

    def cpu_seconds(self) -> float:
        fields = (self.folder / "stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Peer:
    """One echo server in its own process on the first core."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.port = free_port()

    @contextmanager
    def started(self) -> Iterator["Peer"]:
        with (
            tempfile.TemporaryFile("w+") as complaints,
            running(spawn(CORES[0], self._command(), stderr=complaints)) as process,
        ):
            assert process.stdout
            if process.stdout.readline() != "ready\n":
                complaints.seek(0)
                raise Unavailable((complaints.read().strip().splitlines() or ["it ends without a word"])[-1])
            self.pid = process.pid
            yield self

    def _command(self) -> list[str]:
        path = PEERS[self.name]
        if path.suffix == ".c":
            return [str(build(path)), str(self.port)]
        return [sys.executable, "-m", f"bench.peers.{path.stem}", str(self.port)]

    def resident_megabytes(self) -> float:
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6

    def measure(self, **load_options: float) -> dict[str, float]:
        """Run the load on the last core against this server; its figures and what follows from them."""
        command = [str(build(HERE / "load.c")), f"--port={self.port}", f"--server-pid={self.pid}"]
        command += [f"--{name.replace('_', '-')}={value}" for name, value in load_options.items()]
        with running(spawn(CORES[-1], command, stderr=subprocess.PIPE)) as load:
            assert load.stdout
            assert load.stderr
            resident, line = 0.0, ""
            for line in load.stdout:
                if line in ("start\n", "stop\n"):
                    resident = max(resident, self.resident_megabytes())
            if load.wait() != 0:
                raise RuntimeError(f"{self.name}: {load.stderr.read().strip()}")
        figures = json.loads(line)
        if not figures["messages"]:
            raise RuntimeError(f"{self.name}: no message came back within the window")
        return derive(figures, resident)


def derive(figures: dict[str, float], resident: float) -> dict[str, float]:
    """The load's raw figures of one window, and the server's figures that follow from them."""
    seconds, messages, server_cpu = figures["seconds"], figures["messages"], figures["server_cpu_seconds"]
    return figures | {
        "per_second": messages / seconds,
        "server_cpu_us": server_cpu / messages * 1e6,
        "per_cpu_second": messages / server_cpu,
        "server_busy": server_cpu / seconds,
        "load_busy": figures["load_cpu_seconds"] / seconds,
        "resident_mb": resident,
    }
