"""The part of `Context` that tells of the request."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, TypeVar, overload
from urllib.parse import unquote

from hyperws import jsons
from hyperws._core.context import BaseContext
from hyperws.cookies import parse_cookies
from hyperws.errors import UsageError
from hyperws.forms import Form, Values, parse_form, parse_query
from hyperws.headers import Headers

T = TypeVar("T")


class Incoming(BaseContext):
    """One HTTP request, or the handshake of a WebSocket."""

    __slots__ = ()

    @property
    def params(self) -> dict[str, str]:
        """What stands for the names of the route's pattern."""
        if self._params is None:
            self._params = {}
        return self._params

    @property
    def method(self) -> str:
        """The request's method, as in "GET"."""
        return self.request.method

    @property
    def path(self) -> str:
        """The path of the request, percent escapes decoded."""
        return unquote(self.request.path)

    @property
    def headers(self) -> Headers:
        """The request's headers, by name in any letter case."""
        if self._headers is None:
            self._headers = Headers(self.request.header_lines())
        return self._headers

    @property
    def query(self) -> Values:
        """The values in the query of the request's URL."""
        return parse_query(self.request.query)

    @property
    def cookies(self) -> dict[str, str]:
        """The request's cookies (RFC 6265), without those that can't be read."""
        return parse_cookies("; ".join(self.headers.getall("cookie")))

    @property
    def wants_websocket(self) -> bool:
        """Whether the request asks to become a WebSocket."""
        return self.request.wants_websocket

    @property
    def client(self) -> str:
        """The peer's address and port; "unix" on a Unix socket. Where a trusted proxy passed the request on,
        the address that it tells."""
        return self._origin[0]

    @property
    def scheme(self) -> str:
        """"http" or "https", as the client sees it."""
        return self._origin[1]

    @property
    def host(self) -> str | None:
        """The host and port that the client asked for, None where it told none (HTTP/1.0)."""
        return self._origin[2]

    @property
    def _origin(self) -> tuple[str, str, str | None]:
        """(client, scheme, host), as the connection or a trusted proxy has them."""
        if self.server.proxies is None:
            return self.server.seen_by_client(self)     # as quick as keeping it
        if self._forwarded is None:
            self._forwarded = self.server.seen_by_client(self)
        return self._forwarded

    @property
    def state(self) -> dict[str, Any]:
        """A dict for whatever the application wants to keep with this connection or request."""
        if self._state is None:
            self._state = {}
        return self._state

    # -------------------------------------------------------------------------------- the body

    async def body(self) -> AsyncIterator[bytes]:
        """The pieces of the request's body, as they come: `async for piece in ctx.body()`.

        Raises BadRequest where the body breaks the rules, is longer than `Limits.max_body_size` or takes too
        long, ConnectionClosed where the peer is gone. Left uncaught, either ends the request as it should.
        """
        if self.is_websocket:
            raise UsageError("a WebSocket has messages, not a body: receive() them")
        if self.over:
            raise UsageError("the request is over: read its body before the handler returns")
        if body := self.take_body():
            yield body
        if self.request.body is None:
            async for piece in self.http.read_body():
                yield piece

    def take_body(self) -> bytes:
        """What of the body came with the head, b"" the second time."""
        body, self._body = self._body, None
        return body or b""

    async def whole_body(self) -> bytes:
        """All of the request's body that was not taken yet. Raises as `body` does."""
        if self.request.body is not None and not self.is_websocket:
            return self.take_body()
        return b"".join([piece async for piece in self.body()])

    @overload
    async def get_request_json(self, kind: None = None) -> Any: ...

    @overload
    async def get_request_json(self, kind: type[T]) -> T: ...

    async def get_request_json(self, kind: type[T] | None = None) -> T | Any:
        """The JSON in the request's body; checked and converted by msgspec where a type is given.

        Raises BadRequest for other JSON or none, UsageError for a type without msgspec.
        """
        return jsons.decode(await self.whole_body(), kind)

    async def get_request_form(self) -> Form:
        """The form in the request's body, with its files. Raises BadRequest where there is none.

        multipart/form-data needs the package multipart, or else raises UsageError.
        """
        return parse_form(self.headers.get("content-type", ""), await self.whole_body())
