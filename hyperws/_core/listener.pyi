from collections.abc import Callable
from typing import Self, final

from hyperws._core.topics import Subscriber, Subscription, Topics

@final
class Listener(Subscriber):
    def __new__(cls, topics: Topics, topic: str, function: Callable[[str | bytes], None]) -> Self: ...
    @property
    def subscription(self) -> Subscription: ...
    def close(self) -> None: ...
