from collections.abc import AsyncIterator, Coroutine
from typing import Any, Literal

from typing_extensions import disjoint_base

from hyperws._core.connection import Connection
from hyperws._core.http import Request
from hyperws._core.http_session import HttpSession
from hyperws._core.message_writer import _Message
from hyperws._core.topics import Subscription, Topics
from hyperws._core.waiter import Operation
from hyperws._core.websocket_session import WebSocketSession
from hyperws.headers import Headers
from hyperws.response import Response
from hyperws.server import Server

@disjoint_base
class BaseContext:
    over: bool
    aborted: bool
    is_event_stream: bool
    keep_alive: bool
    began: float
    subprotocol: str | None
    _params: dict[str, str] | None
    _body: bytes | None
    _headers: Headers | None
    _state: dict[str, Any] | None
    _forwarded: tuple[str, str, str | None] | None
    _response: Response | None
    _kept: tuple[dict[str, str], list[str]] | None
    _head_sent: bool
    _complete: bool
    _in_middleware: bool
    def __init__(
        self, server: Server, http: HttpSession, request: Request, params: dict[str, str]
    ) -> None: ...
    @property
    def server(self) -> Server: ...
    def attach_websocket(self, websocket: WebSocketSession) -> None: ...
    @property
    def request(self) -> Request: ...
    @property
    def connection(self) -> Connection: ...
    # None once it is a WebSocket
    @property
    def http(self) -> HttpSession: ...
    @property
    def topics(self) -> Topics: ...
    @property
    def websocket(self) -> WebSocketSession | None: ...
    @property
    def is_websocket(self) -> bool: ...
    @property
    def closed(self) -> bool: ...
    @property
    def close_code(self) -> int | None: ...
    @property
    def close_reason(self) -> str | None: ...
    @property
    def latency(self) -> float | None: ...
    @property
    def _took_text(self) -> bool: ...
    def receive(self) -> Coroutine[Any, Any, str | bytes]: ...
    def __aiter__(self) -> AsyncIterator[str | bytes]: ...
    def send(self, message: _Message = ..., *, compress: bool | None = None) -> Operation[None]: ...
    def close(self, code: int = 1000, reason: str = "") -> Operation[None]: ...
    def ping(self) -> Operation[float]: ...
    def subscribe(
        self,
        topic: str,
        since: tuple[str, int] | str | None = None,
        *,
        policy: Literal["close", "drop", "latest"] = "close",
        member: object = None,
    ) -> Subscription: ...
    def unsubscribe(self, topic: str) -> Operation[None]: ...
    def publish(self, topic: str, message: _Message, *, compress: bool | None = None) -> int: ...
    def wait_closed(self) -> Operation[None]: ...

def publish(
    topics: Topics,
    topic: str,
    message: _Message,
    exclude: BaseContext | None = None,
    compress: bool | None = None,
    local: bool = False,
) -> int: ...
