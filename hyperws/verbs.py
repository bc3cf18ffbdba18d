"""The verbs of hyperlane, a framework for Rust: thin names over the Python ones, so that its handlers port
line by line.

A response is put together with the `set_…` verbs, each of which returns the context, and goes out with
`send()` (head and body) or `send_body()` (a chunk on HTTP, a message on a WebSocket).
"""

from __future__ import annotations

from collections.abc import Awaitable
from contextlib import suppress
from typing import Any, Self

from hyperws.errors import ConnectionClosed
from hyperws.streams import Streams


class Verbs(Streams):
    """Part of Context."""

    __slots__ = ()

    # ----------------------------------------------------------------------------- the request

    async def get_request_body(self) -> bytes:
        """WebSocket: the next message as bytes, b"" once the connection has ended (and for an empty message:
        `async for` tells them apart). HTTP: the whole body, b"" after that, so that a loop over messages ends
        there too; it raises as `body()` does."""
        if not self.is_websocket:
            return await self.whole_body()
        try:
            message = await self.receive()
        except ConnectionClosed:
            return b""
        return message.encode() if isinstance(message, str) else message

    def get_request_header(self, name: str) -> str | None:
        """A header of the request, by its name in any letter case, or None."""
        return self.headers.get(name)

    def get_request_query(self, name: str) -> str | None:
        """A value in the query of the request's URL, or None."""
        return self.query.get(name)

    def get_route_param(self, name: str) -> str | None:
        """What stands for a name of the route's pattern, or None."""
        return self.params.get(name)

    def get_socket_addr_or_default_string(self) -> str:
        """The peer's address and port."""
        return self.client

    def get_attribute(self, name: str) -> Any:
        """What the application has kept by this name, or None."""
        return self.state.get(name)

    def set_attribute(self, name: str, value: Any) -> Self:
        """Keep something with this connection or request."""
        self.state[name] = value
        return self

    # ---------------------------------------------------------------------------- the response

    def set_response_status_code(self, status: int) -> Self:
        """Set the status of the HTTP response, 200 to 599. Raises UsageError once the head has gone out."""
        self.unsent_response("set_response_status_code").set_status(status)
        return self

    def set_response_header(self, name: str, value: str) -> Self:
        """Set a header of the HTTP response, in place of one of the same name.

        Raises UsageError for a name or value that a header can't have, and once the head has gone out.
        """
        self.unsent_response("set_response_header").set_header(name, value)
        return self

    def set_response_body(self, body: Any) -> Self:
        """Set what the next `send()` or `send_body()` sends: `str` or bytes-like."""
        self.response.set_body(body)
        return self

    def send_body(self) -> Awaitable[None]:
        """Send the body that was set: a chunk of an HTTP response, or a message of a WebSocket.

        On a WebSocket, bytes go out as text where the last message received was text and they are UTF-8.
        Queued at the call, as `send()` does it. Raises ConnectionClosed.
        """
        if not self.is_websocket:
            return self.send_chunk(self.response.body)
        body: str | bytes = self.response.body
        if self.response.is_text or self._took_text:
            with suppress(UnicodeDecodeError):
                body = self.response.body.decode()
        return self.send(body)
