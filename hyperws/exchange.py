"""The part of `Context` that puts the response together and sends it."""

from __future__ import annotations

import os
from collections.abc import Awaitable
from contextlib import ExitStack
from typing import Any, Self

from hyperws import jsons
from hyperws.cookies import SameSite, write_cookie
from hyperws.errors import ConnectionClosed, UsageError
from hyperws.files import File, content_type_of, describe_file
from hyperws.incoming import Incoming
from hyperws.response import WITHOUT_BODY, Response


class Exchange(Incoming):
    """One HTTP request and its response; or one handshake, and the WebSocket that it has become."""

    __slots__ = ()

    keep_alive: bool
    """Whether the connection stays open after the response, once its head has gone out."""
    began: float
    """When the request came, by `time.monotonic()`, where the access log is on."""
    aborted: bool
    """Whether `abort` was called."""
    subprotocol: str | None
    """The WebSocket subprotocol that was agreed on, None where there is none. `pre_ws_upgrade` may choose
    another of those that `request.subprotocols` offers."""

    @property
    def response(self) -> Response:
        """The response as it is put together."""
        if self._response is None:
            self._response = Response()
        return self._response

    @property
    def has_response(self) -> bool:
        """Whether anything was prepared for a response."""
        return self._response is not None

    def unsent_response(self, method: str) -> Response:
        """The response, for a `method` that changes its head. Raises UsageError once that has gone out."""
        if self.is_websocket:
            raise UsageError(f"{method}() is for HTTP responses: a WebSocket's head has gone out already")
        if self._head_sent:
            if self.http.closed:
                raise ConnectionClosed(1006)
            raise UsageError(f"{method}() comes too late: call it before the first send() or send_body()")
        return self.response

    def abort(self) -> Self:
        """Stop here: no further middleware, hook or handler is called, and what the response was given so far
        is what the client gets. A handshake is refused with it."""
        self.aborted = True
        return self

    def set_cookie(
        self,
        name: str,
        value: str,
        *,
        max_age: int | None = None,
        path: str = "/",
        domain: str | None = None,
        secure: bool = False,
        http_only: bool = True,
        same_site: SameSite | None = "Lax",
    ) -> Self:
        """Have the client keep a cookie (RFC 6265): for `max_age` seconds, or until the browser ends.

        Scripts of pages can't read it, and other sites' forms don't send it, unless that is asked for. Raises
        UsageError for what a cookie can't have, and once the head has gone out.
        """
        cookie = write_cookie(
            name, value, max_age=max_age, path=path, domain=domain, secure=secure, http_only=http_only,
            same_site=same_site,
        )  # fmt: skip
        self.unsent_response("set_cookie").cookies.append(cookie)
        return self

    def delete_cookie(self, name: str, *, path: str = "/", domain: str | None = None) -> Self:
        """Have the client forget a cookie that was set with this path and domain."""
        return self.set_cookie(name, "", max_age=0, path=path, domain=domain)

    # ------------------------------------------------------------------------ whole responses

    def respond(self, body: str | bytes | None = None) -> Awaitable[None]:
        """Send the whole HTTP response, with `body` where one is given. Raises UsageError the second time."""
        response = self.unsent_response("send")
        if body is not None:
            response.set_body(body)
        self._start_response()
        self._complete = True
        if self.server.gzipping is not None:
            response.compress(self.server.gzipping, self.headers.get("accept-encoding", ""))
        version, head_only = self.request.minor_version, self.method == "HEAD"
        return self.http.write(response.encode(version, self.keep_alive, head_only=head_only))

    def text(self, text: str, status: int | None = None) -> Awaitable[None]:
        """Send a response of plain text."""
        return self._respond_as("text/plain; charset=utf-8", text, status)

    def html(self, html: str, status: int | None = None) -> Awaitable[None]:
        """Send a page."""
        return self._respond_as("text/html; charset=utf-8", html, status)

    def json(self, value: Any, status: int | None = None) -> Awaitable[None]:
        """Send a value as JSON, by msgspec where that is installed. Raises UsageError where it has none."""
        return self._respond_as("application/json", jsons.encode(value), status)

    def redirect(self, location: str, status: int = 302) -> Awaitable[None]:
        """Send the client to another URL: 303 has it GET that one, 307 and 308 keep its method, 301 and 308
        are for good (RFC 9110, section 15.4)."""
        if status not in (301, 302, 303, 307, 308):
            raise UsageError(f"{status!r} is no redirect: use 301, 302, 303, 307 or 308")
        self.unsent_response("redirect").set_header("location", location)
        return self._respond_as("text/plain; charset=utf-8", f"This is at {location}\n", status)

    def _respond_as(self, content_type: str, body: str | bytes, status: int | None) -> Awaitable[None]:
        response = self.unsent_response("send")
        if status is not None:
            response.set_status(status)
        response.headers.setdefault("content-type", content_type)
        return self.respond(body)

    def send_file(
        self, path: str | os.PathLike[str], *, content_type: str | None = None
    ) -> Awaitable[None]:
        """Send a file as the whole HTTP response. Awaiting the result waits while the peer is slow.

        A condition or a range in the request is answered as RFC 9110, sections 13 and 14, have it, unless a
        status other than 200 was set. The content type is `content_type`, or what the end of the name stands
        for. Headers that were set before win over those that are made: `etag`, `last-modified`,
        `cache-control: no-cache` and so on.

        Raises OSError for what is no file that can be read, UsageError once the head has gone out.
        """
        response = self.unsent_response("send_file")
        if not isinstance(path, (str, os.PathLike)):
            raise UsageError(f"send_file() takes a path as a str or Path, not {type(path).__name__}")
        if content_type is not None:
            response.set_header("content-type", content_type)
        return self.send_opened(File.open(path, content_type_of(path)))

    def send_opened(self, file: File) -> Awaitable[None]:
        """Send a file that is open already, and close it."""
        with ExitStack() as closing:
            closing.enter_context(file.raw)
            part = describe_file(self.response, file, self.method, self.headers)
            if part is None:
                return self.respond()
            self._start_response()
            self._complete = True
            head = self.response.head(len(part), self.request.minor_version, self.keep_alive)
            if not part or not self.has_body:
                return self.http.write(head)
            closing.pop_all()   # from here on the connection sees to it
            return self.http.write_file(head, file.raw, part.start, len(part))

    # ------------------------------------------------------------------------------- in pieces

    def send_chunk(self, chunk: bytes) -> Awaitable[None]:
        """Send a piece of the HTTP response's body, after the head if that has not gone out yet."""
        if self._complete:
            raise UsageError("the response is complete: send() sends all of it, send_body() pieces of it")
        data = b""
        if not self._head_sent:
            self._start_response()
            self.keep_alive = self.keep_alive and self.is_chunked
            data = self.response.head(None, self.request.minor_version, self.keep_alive)
        if chunk and self.has_body:
            data += b"%x\r\n%b\r\n" % (len(chunk), chunk) if self.is_chunked else chunk
        return self.http.write(data)

    def complete_response(self) -> None:
        """Send what the handler left unsent, once it has returned."""
        if not self._head_sent:
            self.respond()
        elif not self._complete:
            self._complete = True
            if self.is_chunked and self.has_body:
                self.http.write(b"0\r\n\r\n")

    @property
    def is_chunked(self) -> bool:
        """HTTP/1.0 knows no chunks: there the end of a stream is the end of the connection."""
        return self.request.minor_version == 1

    @property
    def has_body(self) -> bool:
        """Whether a body goes out behind the head (RFC 9112, section 6.3)."""
        return self.method != "HEAD" and self.response.status not in WITHOUT_BODY

    @property
    def head_sent(self) -> bool:
        return self._head_sent

    @property
    def is_complete(self) -> bool:
        """Whether all of the response was sent."""
        return self._complete

    @property
    def is_event_stream_head(self) -> bool:
        """Whether the head of an event stream was sent, to a client that wants no more of it."""
        return self.is_event_stream and not self.has_body

    def _start_response(self) -> None:
        """The head goes out now."""
        if self.server.hooks.response:
            if self._in_middleware:
                raise UsageError("response middleware can't send: it changes what is about to be sent")
            self._in_middleware = True
            try:
                self.server.hooks.answered(self)
            finally:
                self._in_middleware = False
        self._head_sent = True
        # behind a handshake, frames are expected and no body: what looks like a request there may be neither
        self.keep_alive = (
            self.request.keep_alive and not self.wants_websocket
            and self.http.may_keep_alive and not self.server.stopping
        )

    # -------------------------------------------------------------------- for the application

    def keep_headers(self) -> None:
        """The headers and cookies of middleware are in every answer, also where something fails."""
        if self._response is not None:
            self._kept = dict(self._response.headers), list(self._response.cookies)

    def start_over(self, status: int, text: str) -> Response:
        """Drop what was prepared for a response that says what went wrong. It can still be changed."""
        self._response = response = Response(status)
        if self._kept is not None:
            headers, response.cookies = self._kept
            response.headers.update(headers)
        response.set_body(text + "\n")
        return response
