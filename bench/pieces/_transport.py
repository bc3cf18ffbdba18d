"""A transport that keeps what is written to it: what a protocol needs to run without a socket."""

from typing import Any

HANDSHAKE = (
    b"GET /chat?room=7 HTTP/1.1\r\n"
    b"Host: example.com:8080\r\n"
    b"User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n"
    b"Origin: http://example.com:8080\r\n"
    b"Connection: Upgrade\r\n"
    b"Upgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    b"\r\n"
)


class Socket:
    """Takes every option, and is never written to."""

    def fileno(self) -> int:
        return -1

    def setsockopt(self, *option: int) -> None:
        pass

    def getsockopt(self, *option: int) -> int:
        return 0


class Transport:
    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.write = self.written.append

    def take(self) -> list[bytes]:
        """What was written since the last time."""
        taken = self.written.copy()
        self.written.clear()
        return taken

    def writelines(self, parts: list[Any]) -> None:
        self.written += parts

    def get_extra_info(self, name: str) -> Any:
        return Socket() if name == "socket" else None

    def get_write_buffer_size(self) -> int:
        return 1  # as if something waited: then nobody tries the socket first

    def set_write_buffer_limits(self, high: int, low: int | None = None) -> None:
        pass

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass

    def is_closing(self) -> bool:
        return False
