from asyncio import AbstractEventLoop, Future
from typing import Self, final

from hyperws._core.topics import Subscriber, Topics, Writer

@final
class PlainWriter(Writer): ...

@final
class Poll(Subscriber):
    def __new__(cls, loop: AbstractEventLoop, topics: Topics, topic: str) -> Self: ...
    @property
    def message(self) -> Future[str | bytes | None]: ...
    def close(self) -> None: ...
