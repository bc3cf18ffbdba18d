"""What hyperws is to reach, and how the figures of the results tell whether it does."""

from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import Any

from comparison import Figures, middle

Results = dict[str, Any]  # what the runs wrote, by their names

MESSAGE, COROUTINE = "hyperws_on_message", "hyperws_coroutine"
BARE, PICOWS, BUN = "bare_echo", "picows_echo", "bun_echo"
ONE = "1000 connections x 1 in flight, 32 bytes"
BURSTS = "100 connections x 16 in flight, 32 bytes"


@dataclass
class Goal:
    what: str
    measure: Callable[[Results], float]
    limit: float
    at_most: bool = True
    unit: str = "x"

    def row(self, results: Results) -> list[str]:
        try:
            value = self.measure(results)
        except KeyError:
            return [self.what, self.bound(), "not measured", ""]
        reached = value <= self.limit if self.at_most else value >= self.limit
        return [self.what, self.bound(), self.text(value), "yes" if reached else "**no**"]

    def bound(self) -> str:
        return ("≤ " if self.at_most else "≥ ") + self.text(self.limit)

    def text(self, value: float) -> str:
        return f"{value:,.0f} {self.unit}" if value >= 1000 else f"{value:.2f} {self.unit}"


def rounds_of(results: Results, run: str, title: str, server: str) -> list[Figures]:
    found: list[Figures] = results[run]["measured"][title][server]
    return found


def relative(
    run: str, title: str, server: str, reference: str, figure: str = "server_cpu_us"
) -> Callable[[Results], float]:
    """A figure of one server relative to another's, paired round by round."""

    def measure(results: Results) -> float:
        pairs = zip(
            rounds_of(results, run, title, server), rounds_of(results, run, title, reference), strict=True
        )
        return median(mine[figure] / other[figure] for mine, other in pairs)

    return measure


def absolute(run: str, title: str, server: str, figure: str, scale: float = 1) -> Callable[[Results], float]:
    return lambda results: middle(rounds_of(results, run, title, server), figure) * scale


def cpu_goals() -> list[Goal]:
    goals = []
    for server, reference, limits in (
        (MESSAGE, BARE, (1.15, 1.9)),
        (MESSAGE, BUN, (1.0, 1.0)),
        (MESSAGE, PICOWS, (0.7, 0.12)),
        (COROUTINE, MESSAGE, (1.3, 2.2)),
        (COROUTINE, PICOWS, (0.85, 0.25)),
    ):
        for run, title, limit in (("echo-1000", ONE, limits[0]), ("echo-100", BURSTS, limits[1])):
            setting = title.removesuffix(", 32 bytes").replace("connections ", "")
            what = f"server CPU per message, {setting}: {server} to {reference}"
            goals.append(Goal(what, relative(run, title, server, reference), limit))
    return goals


def bytes_goals() -> list[Goal]:
    goals = []
    for run, connections, size, name in (("size-16k", 100, 16384, "16 KB"), ("size-1m", 10, 1048576, "1 MB")):
        for in_flight in (1, 16):
            title = f"{connections} connections x {in_flight} in flight, {size} bytes"
            for reference, limit in ((PICOWS, 1.0), (BARE, 0.8)):
                what = f"bytes/s of {name} echoes, {in_flight} in flight: {MESSAGE} to {reference}"
                measure = relative(run, title, MESSAGE, reference, "per_second")
                goals.append(Goal(what, measure, limit, at_most=False))
    return goals


def publishing_goals() -> list[Goal]:
    goals = []
    for burst, name, limit in ((1, "single messages", 1.15), (16, "bursts of 16", 2.0)):
        title = f"1000 subscribers, bursts of {burst}"
        for reference, most in (("bare_broadcast", limit), ("bun_publish", 1.05)):
            what = f"server CPU per delivery, {name}: hyperws_publish to {reference}"
            goals.append(Goal(what, relative("broadcast-1000", title, "hyperws_publish", reference), most))
    return goals


MANY = "1000 connections x 16 in flight, 32 bytes"
OPEN_LOOP = "10,000 messages/s over 1000 connections, 32 bytes"
SHORT = "5000 connections of 10 messages, 64 at once, 0 % reset"
IDLE = "15,000 idle connections"

GOALS = [
    *cpu_goals(),
    Goal(f"messages/s, 1000 x 16 in flight: {MESSAGE}", absolute("echo-1000", MANY, MESSAGE, "per_second"),
         500_000, at_most=False, unit="/s"),
    Goal(f"messages/s, 1000 x 16 in flight: {MESSAGE} to {BARE}",
         relative("echo-1000", MANY, MESSAGE, BARE, "per_second"), 0.5, at_most=False),
    Goal(f"p99 at a fixed 10,000 messages/s: {MESSAGE}",
         absolute("latency", OPEN_LOOP, MESSAGE, "rtt_p99_us", 1e-3), 1, unit="ms"),
    Goal(f"RSS with 1000 echoing connections: {COROUTINE}",
         absolute("echo-1000", ONE, COROUTINE, "resident_mb"), 35, unit="MB"),
    Goal(f"memory of an idle connection: {COROUTINE}",
         absolute("idle", IDLE, COROUTINE, "connection_kb"), 2, unit="KB"),
    Goal(f"memory of an idle connection: {MESSAGE}",
         absolute("idle", IDLE, MESSAGE, "connection_kb"), 0.7, unit="KB"),
    *bytes_goals(),
    Goal(f"connections of 10 messages per server CPU second: {MESSAGE} to {PICOWS}",
         relative("short", SHORT, MESSAGE, PICOWS, "per_cpu_second"), 2, at_most=False),
    Goal("events/s to 1000 event streams",
         lambda results: middle(results["feeds"]["measured"]["saturation"]["sse"], "events_per_second"),
         100_000, at_most=False, unit="/s"),
    *publishing_goals(),
]
