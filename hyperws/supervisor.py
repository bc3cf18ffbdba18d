"""The process that starts others and watches over them: workers, and companions that are there for them.

It has no event loop and no threads, so that it can fork at any time.
"""

from __future__ import annotations

import logging
import os
import random
import selectors
import signal
import socket
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from time import monotonic

from hyperws.handover import Handover, Listeners
from hyperws.processes import Lifeline, Process
from hyperws.signals import SignalQueue

logger = logging.getLogger("hyperws")

SHORTEST_DELAY = 0.1    # seconds until a process that has died is followed by another one
LONGEST_DELAY = 30.0
SETTLED = 10.0          # seconds after which a death is not taken for the next of a row
PATIENCE = 10.0         # seconds beyond its grace that a process has to end

Function = Callable[[Lifeline], None]
Worker = Callable[[Lifeline, Handover], None]


class Child:
    """A place for one process, and for the one that is to come after it."""

    def __init__(self, name: str, function: Function, *, ends_by_lifeline: bool = False) -> None:
        self.name = name
        self.function = function
        self.ends_by_lifeline = ends_by_lifeline    # it is not told to by SIGTERM
        self.process: Process | None = None
        self.successor: Process | None = None
        self.leaving: list[Process] = []    # they have been told to end
        self.listeners: Listeners | None = None
        self.was_ready = False
        self.delay = SHORTEST_DELAY
        self.due = 0.0                      # when the next process may start

    @property
    def processes(self) -> list[Process]:
        return [each for each in (self.process, self.successor, *self.leaving) if each is not None]

    @property
    def listens(self) -> bool:
        return self.process is not None and self.process.is_ready and self.listeners is not None

    def put_off(self, lived: float) -> float:
        """Have the next process start later, and the one after it later still. Returns the seconds."""
        if lived >= SETTLED:
            self.delay = SHORTEST_DELAY
        seconds = self.delay * random.uniform(0.5, 1.0)
        self.delay = min(self.delay * 2, LONGEST_DELAY)
        self.due = monotonic() + seconds
        return seconds

    def tell_to_end(self) -> None:
        for process in (self.process, self.successor):
            if process is not None:
                process.tell_to_end(PATIENCE, by_lifeline=self.ends_by_lifeline)
                self.leaving.append(process)
        self.process = self.successor = None


class Supervisor:
    """Runs a function in several processes, its workers, until it is told to stop.

    The first worker goes ahead: the others follow once it is ready, and all is given up if it can't be. One
    that dies is followed by another one, after a delay that doubles from time to time. At SIGHUP they are
    replaced one by one: each new one must be ready before the old one is told to end. At SIGINT or SIGTERM
    they are told to end, by SIGTERM; a second signal kills them.

    Companions are started before the workers and told to end after them, and have no successors at SIGHUP.
    One worker alone has none.
    """

    def __init__(
        self,
        worker: Worker,
        count: int | None,
        *,
        companions: Mapping[str, Function] | None = None,
        on_ready: Callable[[list[socket.socket]], None] | None = None,
    ) -> None:
        """`count` is how many workers there are, None for as many as the first one says.

        `companions` are functions by their names, which call `Lifeline.tell_ready`, and return when their
        lifeline is readable. They get no SIGTERM, which others may send to all processes at once: workers
        may need them to the end. `on_ready` is called once, when all are ready, with what a worker listens
        on.
        """
        self.companions = [
            Child(name, partial(outlast_workers, function), ends_by_lifeline=True)
            for name, function in (companions or {}).items()
        ]
        self.worker = worker
        self.workers = [self.make_worker(1)]
        self.count = count
        self.on_ready = on_ready
        self.signals = SignalQueue(signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD)
        self.to_replace: deque[Child] = deque()
        self.all_were_ready = False
        self.stopping = False
        self.told_to_stop = False
        self.failed = False
        self.error: BaseException | None = None

    def make_worker(self, number: int) -> Child:
        def function(lifeline: Lifeline) -> None:
            others = [each.listeners for each in self.workers if each is not child and each.listeners]
            self.worker(lifeline, Handover(child.listeners, others))

        child = Child(f"worker {number}", function)
        return child

    @property
    def children(self) -> list[Child]:
        return self.companions + self.workers

    def run(self) -> int:
        """Returns the exit status: 0 where all ended by themselves when they were told to, else 1.

        Raises what `on_ready` raises.
        """
        with self.signals:
            self.advance()
            while not self.stopping or any(child.processes for child in self.children):
                self.wait()
                self.look_for_ends()
                self.advance()
        if self.error is not None:
            raise self.error
        return int(self.failed)

    # ---------------------------------------------------------------------- what happens

    def wait(self) -> None:
        """Wait until a signal or a report has come, or something is due."""
        with selectors.DefaultSelector() as selector:
            selector.register(self.signals, selectors.EVENT_READ, self.take_signals)
            for child in self.children:
                for process in child.processes:
                    if process.is_starting:
                        take = partial(self.take_report, child, process)
                        selector.register(process.channel, selectors.EVENT_READ, take)
            times = list(self.times())
            for key, _ in selector.select(max(min(times) - monotonic(), 0) if times else None):
                key.data()

    def times(self) -> Iterator[float]:
        """When something will be due."""
        for child in self.children:
            yield from (each.kill_at for each in child.leaving if each.kill_at is not None)
        if not self.stopping:
            yield from (child.due for child in self.may_start() if child.process is None)
            if (next_one := self.to_succeed()) is not None:
                yield next_one.due

    def take_signals(self) -> None:
        for number in self.signals.take():
            if number == signal.SIGHUP:
                self.reload()
            elif number != signal.SIGCHLD:
                if self.told_to_stop:
                    self.kill_all()
                else:
                    logger.info("%s: the workers are told to end", signal.Signals(number).name)
                    self.told_to_stop = True
                    self.stop()

    def take_report(self, child: Child, process: Process) -> None:
        report = process.take_report()
        if report is None:
            return      # it is about to end
        listeners = None
        if report.sockets:
            listeners = Listeners(tuple(report.facts["asked"]), report.sockets)
        if process in child.leaving:
            self.let_go(listeners)
            return
        before, child.listeners, child.was_ready = child.listeners, listeners, True
        self.let_go(before)
        does = "is ready" if listeners is None else f"listens on {listeners.address}"
        logger.info("%s (pid %d) %s", child.name, process.pid, does)
        if process is child.successor:
            child.successor = None
            child.tell_to_end()
            child.process = process
        if self.to_replace and self.to_replace[0] is child:
            self.to_replace.popleft()
        if child is self.workers[0] and len(self.workers) == 1:
            self.count = self.count or report.facts["workers"]
            self.workers += [self.make_worker(number) for number in range(2, self.count + 1)]
            if self.count == 1:
                for companion in self.companions:   # there is nobody to go between
                    companion.tell_to_end()
        if not self.all_were_ready and all(each.was_ready for each in self.workers):
            self.all_were_ready = True
            self.announce()

    def announce(self) -> None:
        if self.on_ready is not None:
            try:
                listeners = self.workers[0].listeners
                self.on_ready([] if listeners is None else listeners.sockets)
            except BaseException as error:
                self.error = error
                self.stop()

    def look_for_ends(self) -> None:
        for child in self.children:
            for process in child.processes:
                if (status := process.exit_status()) is not None:
                    self.has_ended(child, process, describe(child, process, status), status)

    def has_ended(self, child: Child, process: Process, what: str, status: int) -> None:
        if process in child.leaving:
            child.leaving.remove(process)
            ended_well = status in (0, -signal.SIGTERM)
            logger.log(logging.INFO if ended_well else logging.ERROR, "%s", what)
            self.failed = self.failed or (self.stopping and not ended_well)
        elif process is child.successor:
            child.successor = None
            self.to_replace.clear()
            logger.error("%s before it was ready: the workers stay what they are", what)
        elif self.stopping:
            child.process = None
            self.failed = True
            logger.error("%s before it was told to", what)
        elif child.was_ready or child in self.workers[1:]:
            child.process, child.successor = child.successor, None
            if any(each.listens for each in self.workers if each is not child):
                self.let_go(child.listeners)    # whoever comes goes to the others
                child.listeners = None
            if child.process is None:
                delay = child.put_off(process.seconds_ready)
                what = f"{what}: another one follows in {delay:.1f} seconds"
            logger.log(logging.ERROR if status else logging.INFO, "%s", what)
        else:
            child.process = None
            self.failed = True
            logger.error("%s before it was ready", what)
            self.stop()

    # --------------------------------------------------------------------- what is done

    def advance(self) -> None:
        """Do what is due."""
        now = monotonic()
        for child in self.children:
            for process in child.leaving:
                if process.kill_at is not None and process.kill_at <= now:
                    logger.error("%s (pid %d) takes too long to end", child.name, process.pid)
                    process.kill()
        if self.stopping:
            if not any(child.processes for child in self.workers):
                for child in self.companions:
                    child.tell_to_end()
            return
        for child in self.may_start():
            if child.process is None and child.due <= now:
                child.process = self.start(child)
        if (next_one := self.to_succeed()) is not None and next_one.due <= now:
            next_one.successor = self.start(next_one)

    def to_succeed(self) -> Child | None:
        """The worker that is to get a successor next."""
        child = self.to_replace[0] if self.to_replace else None
        return child if child is not None and child.process is not None and child.successor is None else None

    def may_start(self) -> list[Child]:
        """The children whose turn it is: companions first."""
        if self.count == 1:
            return self.workers
        return self.children if all(child.was_ready for child in self.companions) else self.companions

    def start(self, child: Child) -> Process | None:
        try:
            return Process(child.function, partial(self.leave_to_the_parent, child))
        except OSError as error:
            delay = child.put_off(0)
            logger.error("can't start %s: %s: again in %.1f seconds", child.name, error.strerror, delay)
            return None

    def leave_to_the_parent(self, own: Child) -> None:
        """Close what a forked process has no part in. A worker's `Handover` closes the listeners."""
        self.signals.close()
        for child in self.children:
            for process in child.processes:
                process.channel.close()
            if own in self.companions and child.listeners is not None:
                child.listeners.close()

    def reload(self) -> None:
        """Replace the workers one by one."""
        if self.stopping or not self.workers[0].was_ready:
            return      # the workers to come are new anyway
        logger.info("the workers are replaced")
        for child in self.workers:
            if child.successor is not None:     # it may be older than what is to be loaded
                child.leaving.append(child.successor)
                child.successor.kill()
                child.successor = None
        self.to_replace = deque(self.workers)

    def stop(self) -> None:
        self.stopping = True
        for child in self.workers:
            child.tell_to_end()
            self.let_go(child.listeners)
            child.listeners = None

    def kill_all(self) -> None:
        for child in self.children:
            child.tell_to_end()
            for process in child.leaving:
                process.kill()

    def let_go(self, listeners: Listeners | None) -> None:
        """Close the sockets. A Unix socket that no worker has any more is removed."""
        if listeners is None:
            return
        kept = [child.listeners.asked for child in self.workers if child.listeners not in (None, listeners)]
        if listeners.is_unix and listeners.asked not in kept:
            with suppress(FileNotFoundError):
                os.unlink(listeners.asked[0])
        listeners.close()


def outlast_workers(companion: Function, lifeline: Lifeline) -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    companion(lifeline)


def describe(child: Child, process: Process, status: int) -> str:
    if status >= 0:
        return f"{child.name} (pid {process.pid}) ended with status {status}"
    try:
        name = signal.Signals(-status).name
    except ValueError:
        name = f"signal {-status}"
    return f"{child.name} (pid {process.pid}) was ended by {name}"
