"""What a process can be asked for: it answers for itself alone, whatever others serve beside it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from typing import Any

from hyperws import Context, Server

from ..messages import Refused

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

Commands = dict[str, Callable[[], dict[str, Any]]]


def commands(server: Server) -> Commands:
    """The commands there are, by their names."""
    started = monotonic()
    connections = 0

    @server.on_startup
    def start() -> None:
        nonlocal started
        started = monotonic()

    @server.on_ws_connected
    def connected(ctx: Context) -> None:
        nonlocal connections
        connections += 1

    @server.on_ws_closed
    def closed(ctx: Context) -> None:
        nonlocal connections
        connections -= 1

    def status() -> dict[str, Any]:
        return {
            "healthy": server.healthy,
            "pid": os.getpid(),
            "uptime": round(monotonic() - started, 3),
            "connections": connections,
        }

    return {"status": status, "time": time, "memory": memory}


def time() -> dict[str, Any]:
    """The time of day, and of a clock that is never set."""
    return {"utc": datetime.now(UTC).isoformat(), "monotonic": monotonic()}


def memory() -> dict[str, Any]:
    """The bytes that are in memory now; where the system doesn't tell, the most there ever were."""
    try:
        resident = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        if resource is None:
            raise Refused("This system does not tell") from None
        unit = 1 if sys.platform == "darwin" else 1024
        return {"most_resident_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit}
    return {"resident_bytes": resident * os.sysconf("SC_PAGE_SIZE")}
