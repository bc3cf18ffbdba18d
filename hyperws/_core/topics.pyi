from typing import Self, final

from hyperws._core.message_writer import _Message
from hyperws._core.websocket_session import WebSocketSession

@final
class Topics:
    def __new__(cls) -> Self: ...
    def publish(
        self,
        topic: str,
        message: _Message,
        exclude: WebSocketSession | None = None,
        compress: bool | None = None,
    ) -> int: ...
    def leave_all(self, session: WebSocketSession) -> None: ...
