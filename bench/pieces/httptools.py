"""httptools: its parser, with the callbacks that keep what it found."""

from collections.abc import Callable
from typing import Any

from httptools import HttpParserUpgrade, HttpRequestParser


class Head:
    def __init__(self) -> None:
        self.headers: list[tuple[bytes, bytes]] = []

    def on_url(self, url: bytes) -> None:
        self.target = url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name, value))


def parse_head() -> Callable[[bytes], tuple[bytes, Any]]:
    def piece(data: bytes) -> tuple[bytes, Any]:
        head = Head()
        try:
            HttpRequestParser(head).feed_data(data)
        except HttpParserUpgrade:
            pass  # how it tells that a WebSocket begins here
        return head.target, head.headers

    return piece
