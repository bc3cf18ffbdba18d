"""Counts the system calls of a server by perf(1), which needs the right to trace them."""

import os
import signal
import subprocess
from types import TracebackType


class SyscallCounter:
    """Counts those of processes (their ids, with commas between them) from `start` to `stop`.

    perf begins with the events disabled, and acknowledges each word: nothing before or after is counted.
    """

    def __init__(self, pids: str) -> None:
        commands, self._commands = os.pipe()
        self._answers, answers = os.pipe()
        self._perf = subprocess.Popen(
            [
                "perf", "stat", "--event=raw_syscalls:sys_enter", "--field-separator=,",
                f"--pid={pids}", "--delay=-1", f"--control=fd:{commands},{answers}",
            ],
            stderr=subprocess.PIPE, text=True, pass_fds=(commands, answers),
        )
        os.close(commands)
        os.close(answers)

    def __enter__(self) -> "SyscallCounter":
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._perf.kill()
        self._perf.communicate()
        os.close(self._commands)
        os.close(self._answers)

    def start(self) -> None:
        self._say("enable")

    def stop(self) -> int:
        """How many there were."""
        self._say("disable")
        self._perf.send_signal(signal.SIGINT)
        assert self._perf.stderr
        return int(self._perf.stderr.read().strip().splitlines()[-1].split(",")[0])

    def _say(self, word: str) -> None:
        try:
            os.write(self._commands, f"{word}\n".encode())
            said = os.read(self._answers, 16)
        except BrokenPipeError:
            said = b""
        if not said:
            assert self._perf.stderr
            raise SystemExit(f"system calls cannot be counted here: {self._perf.stderr.read().strip()}")
