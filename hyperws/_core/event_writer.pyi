from typing import Self, final

from hyperws._core.topics import Writer

def encode_event(
    data: str | None, event: str | None = None, id: str | None = None, retry: int | None = None
) -> bytes: ...

@final
class EventWriter(Writer):
    def __new__(cls, chunked: bool) -> Self: ...
