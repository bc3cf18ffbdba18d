"""HTTP responses as bytes (RFC 9112, section 4)."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from email.utils import formatdate
from http import HTTPStatus

from hyperws.content_coding import Gzip, accepts_gzip, is_compressible, vary
from hyperws.errors import UsageError

TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]++")
FIELD_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
WITHOUT_BODY = (204, 304)
PHRASES = {status.value: status.phrase for status in HTTPStatus}
FRAMING = ("connection", "content-length", "keep-alive", "trailer", "transfer-encoding", "upgrade")


class Response:
    """A response as it is put together; bytes once it is sent."""

    __slots__ = ("body", "cookies", "headers", "is_text", "status")

    def __init__(self, status: int = 200, body: bytes = b"") -> None:
        self.status = status
        self.headers: dict[str, str] = {}
        self.cookies: list[str] = []    # values of Set-Cookie, the only header that can't be joined
        self.body = body
        self.is_text = False    # whether the body was given as a str

    def set_status(self, status: int) -> None:
        """Set the status. Raises UsageError for what is none."""
        if isinstance(status, bool) or not isinstance(status, int) or not 200 <= status <= 599:
            raise UsageError(f"{status!r} is no status of a response: use one from 200 to 599")
        self.status = status

    def set_header(self, name: str, value: str) -> None:
        """Set a header, in place of one of the same name."""
        if not isinstance(name, str) or not isinstance(value, str):
            given = f"{type(name).__name__} and {type(value).__name__}"
            raise UsageError(f"a header is two str, not {given}: write str(...) around a number")
        if name.lower() in FRAMING:
            raise UsageError(f"{name!r} is set by the server, which frames the body itself: leave it out")
        if not TOKEN.fullmatch(name):
            raise UsageError(f"{name!r} is no header name: use letters, digits and hyphens")
        if not FIELD_VALUE.fullmatch(value):
            raise UsageError(
                f"the header {name!r} has a character that a header can't have, such as a line end"
            )
        self.headers[name.lower()] = value

    def set_body(self, body: object) -> None:
        """Set the body: `str` as UTF-8, or bytes-like."""
        self.is_text = isinstance(body, str)
        if isinstance(body, str):
            try:
                body = body.encode()
            except UnicodeEncodeError:
                raise UsageError("a body with a lone surrogate has no UTF-8: encode it first") from None
        elif not isinstance(body, bytes):
            try:
                body = bytes(memoryview(body))  # type: ignore[arg-type]
            except TypeError:
                raise UsageError(
                    f"a body is a str or bytes-like, not {type(body).__name__}: serialise it first"
                ) from None
        self.body = body

    def head(self, length: int | None, minor_version: int, keep_alive: bool) -> bytes:
        """The head, for a body of `length` bytes; where that is None, in chunks, or else up to the close.

        `minor_version` is that of the request.
        """
        lines = dict(self.headers)
        if self.status not in WITHOUT_BODY:
            if length is not None:
                lines["content-length"] = str(length)
            elif minor_version == 1:
                lines["transfer-encoding"] = "chunked"
        if self.body or length is None:
            lines.setdefault("content-type", self.content_type)
        if "date" not in lines:
            lines["date"] = http_date()
        if not keep_alive or minor_version == 0 or "upgrade" in lines:
            options = ["upgrade"] if "upgrade" in lines else []     # RFC 9110, section 7.8
            if not keep_alive:
                options.append("close")
            elif minor_version == 0:
                options.append("keep-alive")
            lines["connection"] = ", ".join(options)
        return encode_head(self.status, lines, self.cookies)

    def encode(self, minor_version: int = 1, keep_alive: bool = False, *, head_only: bool = False) -> bytes:
        """The whole response; `head_only` for the answer to a HEAD request."""
        if self.status == 205:
            self.body = b""     # RFC 9110, section 15.3.6
        head = self.head(len(self.body), minor_version, keep_alive)
        return head if head_only or self.status in WITHOUT_BODY else head + self.body

    def compress(self, gzip: Gzip, accept_encoding: str) -> None:
        """Compress the body where it pays and an Accept-Encoding header takes it."""
        if (
            len(self.body) < gzip.threshold
            or "content-encoding" in self.headers
            or self.status == 206
            or not is_compressible(self.content_type)
        ):
            return
        vary(self.headers, "accept-encoding")
        if not accepts_gzip(accept_encoding):
            return
        compressed = gzip.compress(self.body)
        if len(compressed) < len(self.body):
            self.headers["content-type"] = self.content_type
            self.body = compressed
            self.headers["content-encoding"] = "gzip"
            if self.headers.get("etag", "W/").startswith('"'):
                self.headers["etag"] = "W/" + self.headers["etag"]  # other bytes, the same meaning

    @property
    def content_type(self) -> str:
        default = "text/plain; charset=utf-8" if self.is_text else "application/octet-stream"
        return self.headers.get("content-type", default)


def encode_head(status: int, headers: dict[str, str], cookies: Sequence[str] = ()) -> bytes:
    lines = [f"HTTP/1.1 {status} {PHRASES.get(status, '')}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    if cookies:
        lines += [f"set-cookie: {cookie}" for cookie in cookies]
    lines += ("", "")
    return "\r\n".join(lines).encode("latin-1")


def plain(status: int, text: str, **headers: str) -> Response:
    """A response that says `text`; underscores in the names of `headers` stand for hyphens."""
    response = Response(status)
    response.set_body(text + "\n")
    response.headers.update((name.replace("_", "-"), value) for name, value in headers.items())
    return response


_date: tuple[int, str] = (0, "")


def http_date() -> str:
    """The present time as in RFC 9110, section 5.6.7, made once a second."""
    global _date
    now = int(time.time())
    if _date[0] != now:
        _date = (now, formatdate(now, usegmt=True))
    return _date[1]
