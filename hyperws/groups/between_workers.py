"""What the workers of one server reach each other by, where it has no other backplane."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hyperws.errors import ConfigurationError
from hyperws.groups.backplane import Backplane
from hyperws.groups.hub_address import new_address

if TYPE_CHECKING:
    from hyperws.processes import Lifeline


class WorkerBus:
    """A hub, and the way to it. What they need takes megabytes, so it is imported where there are workers."""

    def __init__(self) -> None:
        self.address = new_address()

    def serve(self, lifeline: Lifeline) -> None:
        """Be the hub, in a process of its own."""
        from hyperws.groups import hub

        hub.serve(self.address, lifeline.fileno(), lifeline.tell_ready)

    def backplane(self) -> Backplane:
        from hyperws.groups.bus import Bus

        return Bus(self.address)


def new_bus() -> WorkerBus | None:
    """A bus for some workers, None where what it needs is not installed."""
    from hyperws.groups.hub_messages import require_libraries

    try:
        require_libraries()
    except ConfigurationError:
        return None
    return WorkerBus()
