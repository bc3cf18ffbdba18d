from typing import Self, final

from typing_extensions import Buffer

from hyperws._core.websocket_session import WebSocketSession

@final
class Topics:
    def __new__(cls) -> Self: ...
    def publish(self, topic: str, message: str | Buffer, exclude: WebSocketSession | None = None) -> int: ...
    def leave_all(self, session: WebSocketSession) -> None: ...
