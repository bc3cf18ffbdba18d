from asyncio import AbstractEventLoop
from collections.abc import Callable, Iterable
from typing import Any, Self, final

from typing_extensions import disjoint_base

from hyperws._core.waiter import SharedOperation

@disjoint_base
class Writer: ...

@disjoint_base
class Subscriber: ...

@disjoint_base
class Subscription(SharedOperation["Subscription"]):
    recovered: bool | None
    epoch: str
    offset: int
    member: Any
    @property
    def topic(self) -> str: ...
    @property
    def dropped(self) -> int: ...
    @property
    def is_waiting(self) -> bool: ...
    @property
    def active(self) -> bool: ...
    def wait_for_past(self) -> None: ...
    def wait_for_broker(self) -> None: ...
    def confirm(self) -> None: ...
    def settle(
        self,
        past: Iterable[tuple[str | bytes, str]] = (),
        recovered: bool | None = None,
        epoch: str = "",
        offset: int = 0,
    ) -> None: ...

@final
class Topics:
    relay: Any
    relayed: bool
    def __new__(cls) -> Self: ...
    @property
    def loop(self) -> AbstractEventLoop: ...
    def attach(self, loop: AbstractEventLoop, hand_over: Callable[..., int]) -> None: ...
    def publish_here(
        self, topic: str, message: object, exclude: Subscriber | None, compress: bool | None, local: bool
    ) -> int: ...
    def deliver(
        self,
        topic: str,
        message: object,
        exclude: Subscriber | None = None,
        compress: bool | None = None,
        id: str | None = None,
    ) -> int: ...
    def subscriptions(self, topic: str) -> list[Subscription]: ...
    def count(self, topic: str, exclude: Subscriber | None = None) -> int: ...
    def in_use(self) -> list[str]: ...
