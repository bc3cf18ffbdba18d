from asyncio import AbstractEventLoop
from collections.abc import Iterable
from socket import socket
from typing import Self, final

from typing_extensions import disjoint_base

from hyperws._core.connection import Driver
from hyperws.application import Application
from hyperws.limits import Limits

@disjoint_base
class Listener:
    def __new__(cls, fd: int) -> Self: ...

@final
class Reactor(Driver):
    def __init__(
        self,
        loop: AbstractEventLoop,
        limits: Limits,
        app: Application,
        http_buffer_size: int,
        ws_buffer_size: int,
    ) -> None: ...
    def start(self, sockets: Iterable[socket]) -> None: ...
    def serve_batch(self) -> None: ...
    def accept_again(self, listener: Listener) -> None: ...
