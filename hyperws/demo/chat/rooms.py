"""Which rooms are kept: what was said takes memory, for long after those who said it have left."""

from __future__ import annotations

from time import monotonic


class Kept:
    """The rooms in which something was kept within so many seconds, in this process."""

    def __init__(self, most: int, seconds: float) -> None:
        self.most = most
        self.seconds = seconds
        self.rooms: dict[str, float] = {}  # when last

    def has_place_for(self, room: str) -> bool:
        """Whether what is said there now can be kept; from now on, the room is counted."""
        now = monotonic()
        self.rooms = {each: at for each, at in self.rooms.items() if at + self.seconds > now}
        if room not in self.rooms and len(self.rooms) >= self.most:
            return False
        self.rooms[room] = now
        return True
