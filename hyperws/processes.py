"""Forked processes, as their parent sees them and as they see their parent."""

from __future__ import annotations

import atexit
import json
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from time import monotonic
from types import FrameType
from typing import Any, NamedTuple, NoReturn

REPORT_SIZE = 65536
SOCKETS = 64        # that one report may carry


class Report(NamedTuple):
    """What a process tells when it is ready."""

    facts: dict[str, Any]
    sockets: list[socket.socket]


class Lifeline:
    """What a forked process has of its parent. It turns readable when the parent is gone, or says so."""

    def __init__(self, channel: socket.socket) -> None:
        self.channel = channel

    def fileno(self) -> int:
        return self.channel.fileno()

    def tell_ready(self, sockets: Iterable[socket.socket] = (), **facts: object) -> None:
        """Tell the parent, once, that this process does its work from now on; it may keep the sockets."""
        try:
            socket.send_fds(self.channel, [json.dumps(facts).encode()], [each.fileno() for each in sockets])
        except OSError:
            pass    # it is gone, and that is readable


class Process:
    """A process that runs a function of its own, until it has ended."""

    def __init__(self, function: Callable[[Lifeline], None], let_go: Callable[[], None]) -> None:
        """Fork it. There, `let_go` is to close what is the parent's alone. Raises OSError."""
        self.channel, theirs = socket.socketpair()
        self.channel.setblocking(False)
        self.is_starting = True         # it may still tell that it is ready
        self.report: Report | None = None
        self.ready_at = 0.0
        self.kill_at: float | None = None

        def run() -> None:
            self.channel.close()
            let_go()
            function(Lifeline(theirs))

        try:
            self.pid = fork(run)
        except OSError:
            self.channel.close()
            raise
        finally:
            theirs.close()

    def take_report(self) -> Report | None:
        """Read what `channel` has: the report, or nothing where it ends without one."""
        try:
            data, descriptors, _, _ = socket.recv_fds(self.channel, REPORT_SIZE, SOCKETS)
        except OSError:
            data, descriptors = b"", []
        self.is_starting = False
        if data:
            for descriptor in descriptors:
                os.set_inheritable(descriptor, False)
            self.report = Report(json.loads(data), [socket.socket(fileno=each) for each in descriptors])
            self.ready_at = monotonic()
        return self.report

    @property
    def is_ready(self) -> bool:
        return self.report is not None

    @property
    def seconds_ready(self) -> float:
        return 0.0 if self.report is None else monotonic() - self.ready_at

    def tell_to_end(self, patience: float, *, by_lifeline: bool) -> None:
        """Have it end by itself: it is to be killed after its grace and so many seconds more."""
        grace = 0.0 if self.report is None else self.report.facts.get("grace", 0.0)
        self.kill_at = None if grace is None else monotonic() + grace + patience
        if by_lifeline:
            with suppress(OSError):     # it has ended
                self.channel.shutdown(socket.SHUT_WR)
        else:
            self.send(signal.SIGTERM)

    def kill(self) -> None:
        self.kill_at = None
        self.send(signal.SIGKILL)

    def send(self, number: int) -> None:
        os.kill(self.pid, number)   # it is still this process: nobody else waits for its end

    def exit_status(self) -> int | None:
        """Its exit status, negative for a signal, once it has ended; not to be asked for again then."""
        pid, status = os.waitpid(self.pid, os.WNOHANG)
        if pid == 0:
            return None
        self.channel.close()
        return os.waitstatus_to_exitcode(status)


def fork(run: Callable[[], None]) -> int:
    """Have a function run in a new process. Returns its id."""
    flush()     # or both would write what is buffered
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        pid = os.fork()
        if pid == 0:
            live(run, before)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return pid


def live(run: Callable[[], None], mask: set[int | signal.Signals]) -> NoReturn:
    """The life of a new process, which ends as any Python program does."""
    status = 1
    try:
        atexit._clear()     # these are the parent's
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        # a terminal sends these to every process of its group: the parent decides what to do
        signal.signal(signal.SIGINT, ignore)
        signal.signal(signal.SIGHUP, ignore)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        run()
        status = 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        try:
            threading._shutdown()   # type: ignore[attr-defined]  # waits for threads
            atexit._run_exitfuncs()
            logging.shutdown()
            flush()
        finally:
            os._exit(status)


def ignore(number: int, frame: FrameType | None) -> None:
    """A signal that does nothing; unlike SIG_IGN, programs that are started here don't inherit this."""


def flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            try:
                stream.flush()
            except (OSError, ValueError):
                pass    # nobody reads it, or it is closed
