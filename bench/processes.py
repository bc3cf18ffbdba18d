"""Starts servers and load, each on its own core, and tells what they take."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from string import Template
from tempfile import TemporaryDirectory, TemporaryFile
from typing import Any

from native import HERE, build

CORES = sorted(os.sched_getaffinity(0))
START_SECONDS = 20


def take_last_core() -> None:
    """Leave the first core to the servers; end the program where there is no other."""
    if len(CORES) < 2:
        sys.exit("the servers and the load need a core each, and there is only one")
    os.sched_setaffinity(0, {CORES[-1]})


class Unavailable(Exception):
    """A peer that does not start here, most often because its package is not installed."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def spawn(
    core: int,
    command: list[str],
    stdin: Any = subprocess.DEVNULL,
    stdout: Any = subprocess.PIPE,
    **options: Any,
) -> subprocess.Popen[str]:
    """A child pinned to `core` from its first instruction on: it inherits the affinity taken for a moment."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        return subprocess.Popen(
            command, cwd=HERE.parent, text=True, stdin=stdin, stdout=stdout, start_new_session=True, **options
        )
    finally:
        os.sched_setaffinity(0, before)


@contextmanager
def running(process: subprocess.Popen[str]) -> Iterator[subprocess.Popen[str]]:
    """Kill the process and its children at the end, whatever happens: a benchmark leaves nothing behind."""
    with process:
        try:
            yield process
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


class Process:
    """What Linux tells of a process."""

    def __init__(self, pid: int) -> None:
        self.pid = pid

    def megabytes(self, field: str) -> float:
        """A size in its status: VmRSS now, VmHWM at its peak."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        sizes = dict(line.split(":", 1) for line in status.splitlines())
        return int(sizes[field].split()[0]) * 1024 / 1e6

    def cpu_seconds(self) -> float:
        """What all its threads took so far, kernel work included."""
        return time.clock_gettime(~self.pid << 3 | 2)   # the clock that clock_getcpuclockid(3) gives

    def family(self) -> list["Process"]:
        """The process, its children, their children, and so on."""
        found = [self]
        for process in found:
            for children in Path(f"/proc/{process.pid}/task").glob("*/children"):
                found += [Process(int(pid)) for pid in children.read_text().split()]
        return found


class Peer:
    """A server to compare, in processes of its own on the first core."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = path.stem
        self.port = free_port()

    @contextmanager
    def started(self) -> Iterator["Peer"]:
        with (
            TemporaryDirectory() as folder,
            TemporaryFile("w+") as complaints,
            running(self._spawn(Path(folder), complaints)) as process,
        ):
            self.pid = process.pid
            try:
                self._wait_until_it_listens(process)
            except Unavailable as error:
                complaints.seek(0)
                lines = complaints.read().strip().splitlines() or [str(error)]
                raise Unavailable(next((line for line in lines if "Error:" in line), lines[-1])) from None
            yield self

    def _spawn(self, folder: Path, output: Any) -> subprocess.Popen[str]:
        command = self._command(folder)
        try:
            return spawn(CORES[0], command, stdout=output, stderr=subprocess.STDOUT)
        except FileNotFoundError:
            raise Unavailable(f"there is no {command[0]} on the PATH") from None

    def _command(self, folder: Path) -> list[str]:
        """What starts it; `folder` is for files that it needs while it runs."""
        port = str(self.port)
        match self.path.suffix:
            case ".c":
                return [str(build(self.path)), port]
            case ".js":
                return ["bun", str(self.path), port]
            case ".cjs":
                return ["node", str(self.path), port]
            case ".conf":
                configuration = folder / self.path.name
                configuration.write_text(Template(self.path.read_text()).substitute(port=port))
                return ["nginx", "-p", str(folder), "-c", str(configuration), "-e", "stderr"]
            case _:
                module = ".".join(self.path.relative_to(HERE.parent).with_suffix("").parts)
                return [sys.executable, "-m", module, port]

    def _wait_until_it_listens(self, process: subprocess.Popen[str]) -> None:
        deadline = time.monotonic() + START_SECONDS
        while process.poll() is None:
            with suppress(ConnectionRefusedError):
                # from another address, so that it can't meet itself on a port that nobody listens on yet
                socket.create_connection(("127.0.0.1", self.port), source_address=("127.0.0.2", 0)).close()
                return
            if time.monotonic() > deadline:
                raise Unavailable(f"it does not listen after {START_SECONDS} s")
            time.sleep(0.02)
        raise Unavailable("it ends without a word")

    def cpu_seconds(self) -> float:
        return sum(process.cpu_seconds() for process in Process(self.pid).family())

    def resident_megabytes(self) -> float:
        """What its processes have in memory. What they share counts once for each."""
        return sum(process.megabytes("VmRSS") for process in Process(self.pid).family())
