import asyncio
import ssl
from collections.abc import Coroutine, Iterable
from socket import socket
from typing import Any, NoReturn, final

from hyperws._core.connection import Connection, Driver
from hyperws.application import Application
from hyperws.limits import Limits

@final
class Portable(Driver):
    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        limits: Limits,
        app: Application,
        nodelay: bool,
        backlog: int,
        tls: ssl.SSLContext | None = None,
    ) -> None: ...
    def start(self, sockets: Iterable[socket]) -> Coroutine[Any, Any, None]: ...

class Protocol(asyncio.Protocol):
    __slots__ = ("connection", "driver", "early", "transport")

    driver: Portable
    connection: Connection | None
    transport: asyncio.BaseTransport | None
    early: list[bytes] | None
    def __init__(self, driver: Portable) -> None: ...
    def connection_made(self, transport: asyncio.BaseTransport) -> None: ...
    async def start_tls(self) -> None: ...
    def data_received(self, data: bytes) -> None: ...
    def eof_received(self) -> bool: ...
    def pause_writing(self) -> None: ...
    def resume_writing(self) -> None: ...
    def connection_lost(self, error: Exception | None) -> None: ...

def end_with(error: BaseException) -> NoReturn: ...
