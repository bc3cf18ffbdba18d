"""h11: a connection that is given one request."""

from collections.abc import Callable
from typing import Any

from h11 import SERVER, Connection


def parse_head() -> Callable[[bytes], tuple[bytes, Any]]:
    def piece(head: bytes) -> tuple[bytes, Any]:
        connection = Connection(SERVER)
        connection.receive_data(head)
        request = connection.next_event()
        return request.target, request.headers

    return piece
