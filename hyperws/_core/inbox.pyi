from typing import Self, final

from hyperws._core.connection import Connection
from hyperws._core.waiter import Operation

@final
class Inbox:
    def __new__(cls, connection: Connection) -> Self: ...
    @property
    def took_text(self) -> bool: ...

@final
class Receive(Operation[str | bytes]):
    def __aiter__(self) -> Self: ...
    def __anext__(self) -> Receive: ...
