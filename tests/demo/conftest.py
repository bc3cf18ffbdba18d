"""The demo as a user starts it: a process of its own, which tells its address once it is listening."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

STARTS_WITHIN = 20  # seconds
STOPS_WITHIN = 10


@dataclass
class Demo:
    process: subprocess.Popen[str]
    url: str  # http://127.0.0.1:PORT/

    @property
    def host(self) -> str:
        """``127.0.0.1:PORT``"""
        return self.url.removeprefix("http://").rstrip("/")

    @property
    def port(self) -> int:
        return int(self.host.rpartition(":")[2])

    def socket(self, path: str) -> str:
        return f"ws://{self.host}{path}"


@contextmanager
def running_demo(port: int = 0) -> Iterator[Demo]:
    command = [sys.executable, "-m", "hyperws", "demo", "--port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        watchdog = threading.Timer(STARTS_WITHIN, process.kill)  # readline() itself knows no timeout
        watchdog.start()
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            watchdog.cancel()
            found = re.fullmatch(r"hyperws demo: (http://127\.0\.0\.1:\d+/)\n", line)
            assert found, f"the demo did not tell its address but {line!r}"
            yield Demo(process, found[1])
        finally:
            watchdog.cancel()
            process.terminate()
            try:
                process.wait(STOPS_WITHIN)
            except subprocess.TimeoutExpired:
                process.kill()
                raise


@pytest.fixture(scope="session")
def demo() -> Iterator[Demo]:
    with running_demo() as demo:
        yield demo
