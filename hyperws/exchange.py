"""The Python half of `Context`: the request, and the response to it."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote

from hyperws._core.context import BaseContext
from hyperws._core.http import Request
from hyperws._core.http_session import HttpSession
from hyperws.errors import UsageError
from hyperws.headers import Headers, parse_cookies
from hyperws.response import WITHOUT_BODY, Response

if TYPE_CHECKING:
    from hyperws.server import Server


class Exchange(BaseContext):
    """One HTTP request and its response; or one handshake, and the WebSocket that it has become.

    The compiled half has what is called for every message.
    """

    __slots__ = (
        "_body",
        "_complete",
        "_head_sent",
        "_headers",
        "_http",
        "_response",
        "_state",
        "keep_alive",
        "params",
        "server",
        "subprotocol",
    )

    params: dict[str, str]
    """What stands for the names of the route's pattern."""
    server: Server
    keep_alive: bool
    """Whether the connection stays open after the response, once its head has gone out."""
    subprotocol: str | None
    """The WebSocket subprotocol that was agreed on, None where there is none."""

    def __init__(
        self,
        server: Server,
        http: HttpSession,
        request: Request,
        params: dict[str, str],
        subprotocol: str | None = None,
    ) -> None:
        super().__init__(request, http.client, server.topics)
        self.server = server
        self.params = params
        self.subprotocol = subprotocol
        self._http = http
        self._body = request.body or b""
        self._headers: Headers | None = None
        self._response: Response | None = None
        self._state: dict[str, Any] | None = None
        self._head_sent = False
        self._complete = False
        self.keep_alive = False

    # ----------------------------------------------------------------------------- the request

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
    def query(self) -> dict[str, str]:
        """The query of the request's URL; of a name that comes several times, the last value."""
        return dict(parse_qsl(self.request.query, keep_blank_values=True))

    @property
    def cookies(self) -> dict[str, str]:
        """The request's cookies (RFC 6265), without those that can't be read."""
        return parse_cookies("; ".join(self.headers.getall("cookie")))

    @property
    def state(self) -> dict[str, Any]:
        """A dict for whatever the application wants to keep with this connection or request."""
        if self._state is None:
            self._state = {}
        return self._state

    def take_body(self) -> bytes:
        """The request's body the first time, b"" after that."""
        body, self._body = self._body, b""
        return body

    # ---------------------------------------------------------------------------- the response

    @property
    def response(self) -> Response:
        """The response as it is put together."""
        if self._response is None:
            self._response = Response()
        return self._response

    def unsent_response(self, method: str) -> Response:
        """The response, for a `method` that changes its head. Raises UsageError once that has gone out."""
        if self.is_websocket:
            raise UsageError(f"{method}() is for HTTP responses: a WebSocket's head has gone out already")
        if self._head_sent:
            raise UsageError(f"{method}() comes too late: call it before the first send() or send_body()")
        return self.response

    def respond(self, body: str | bytes | None = None) -> Awaitable[None]:
        """Send the whole HTTP response, with `body` where one is given. Raises UsageError the second time."""
        response = self.unsent_response("send")
        if body is not None:
            response.set_body(body)
        self._start_response()
        self._complete = True
        version, head_only = self.request.minor_version, self.method == "HEAD"
        return self._http.write(response.encode(version, self.keep_alive, head_only=head_only))

    def send_chunk(self, chunk: bytes) -> Awaitable[None]:
        """Send a piece of the HTTP response's body, after the head if that has not gone out yet."""
        if self._complete:
            raise UsageError("the response is complete: send() sends all of it, send_body() pieces of it")
        data = b""
        if not self._head_sent:
            self._start_response()
            self.keep_alive = self.keep_alive and self._is_chunked
            data = self.response.head(None, self.request.minor_version, self.keep_alive)
        if chunk and self._has_body:
            data += b"%x\r\n%b\r\n" % (len(chunk), chunk) if self._is_chunked else chunk
        return self._http.write(data)

    def complete_response(self) -> None:
        """Send what the handler left unsent, once it has returned."""
        if not self._head_sent:
            self.respond()
        elif not self._complete:
            self._complete = True
            if self._is_chunked and self._has_body:
                self._http.write(b"0\r\n\r\n")

    @property
    def _is_chunked(self) -> bool:
        """HTTP/1.0 knows no chunks: there the end of a stream is the end of the connection."""
        return self.request.minor_version == 1

    def _start_response(self) -> None:
        self._head_sent = True
        self.keep_alive = self.request.keep_alive and not self.server.stopping

    @property
    def head_sent(self) -> bool:
        return self._head_sent

    @property
    def _has_body(self) -> bool:
        return self.method != "HEAD" and self.response.status not in WITHOUT_BODY

    def http_closed(self) -> bool:
        return self._http.closed
