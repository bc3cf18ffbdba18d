"""Which rooms are kept: what was said takes memory, for long after those who said it have left."""

from __future__ import annotations

from time import monotonic


class Kept:
    """The rooms in which something was kept within so many seconds, in this process."""

    def __init__(self, most: int, seconds: float) -> None:
        self.most = most
        self.seconds = seconds
        self.rooms: dict[str, float] = {}  # when last
        self.unkept: dict[str, float] = {}  # when something was last said that had no place

    def has_place_for(self, room: str) -> bool:
        """Whether what is said there now can be kept; from now on, the room is counted."""
        self.rooms = self.recent(self.rooms)
        full = room not in self.rooms and len(self.rooms) >= self.most
        (self.unkept if full else self.rooms)[room] = monotonic()
        return not full

    def lacks(self, room: str) -> bool:
        """Whether something was said there that was not kept."""
        self.unkept = self.recent(self.unkept)
        return room in self.unkept

    def recent(self, rooms: dict[str, float]) -> dict[str, float]:
        now = monotonic()
        return {room: at for room, at in rooms.items() if at + self.seconds > now}
