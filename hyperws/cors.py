"""Which web pages may use a server by HTTP: cross-origin resource sharing (the fetch standard)."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Literal

from hyperws.checks import is_int
from hyperws.content_coding import vary
from hyperws.errors import ConfigurationError
from hyperws.origins import checked_origins, origin_allowed
from hyperws.routing import is_token

if TYPE_CHECKING:
    from hyperws.context import Context

METHODS = ("DELETE", "GET", "HEAD", "PATCH", "POST", "PUT")
HEADERS = ("authorization", "content-type")
LONGEST = 2**31 - 1  # seconds, as in RFC 9111, section 1.2.2


class Cors:
    """Request middleware that lets pages of other origins use a server by HTTP.

        server.request_middleware(Cors(["https://app.example"], credentials=True))
        server.request_middleware(Cors("*"))    # or: any page, without its user's cookies

    `origins` are compared by scheme, host and port. A page may use the `methods`, send the `headers` beside
    the harmless ones, and read the headers that `expose` names; with `credentials` its requests may carry
    cookies and HTTP authentication. A browser may remember the answer to a preflight for `max_age` seconds.

    Register it before what may abort a request: preflights carry no credentials, and a page should be able
    to read a refusal. A handler that sets Vary names Origin there too. Handshakes of WebSockets are not its
    affair: `allowed_origins` is for those.

    Raises ConfigurationError for what makes no sense, such as "*" together with `credentials`.
    """

    def __init__(
        self,
        origins: list[str] | Literal["*"],
        *,
        methods: Collection[str] = METHODS,
        headers: Collection[str] = HEADERS,
        expose: Collection[str] = (),
        credentials: bool = False,
        max_age: int = 600,
    ) -> None:
        self.origins = checked_origins(origins, "Cors")
        names = {"methods": methods, "headers": headers, "expose": expose}
        for option, value in names.items():
            if isinstance(value, str) or not isinstance(value, Collection) or not all(map(is_token, value)):
                raise ConfigurationError(f"{option} takes a list of names, not {value!r}")
        if credentials and (self.origins == "*" or any("*" in value for value in names.values())):
            raise ConfigurationError("'*' does not go together with credentials: name what is allowed")
        if not is_int(max_age, 0, LONGEST):
            raise ConfigurationError(f"max_age takes seconds from 0 to {LONGEST}, not {max_age!r}")
        self._shared = {"access-control-allow-credentials": "true"} if credentials else {}
        self._actual = {"access-control-expose-headers": ", ".join(expose)} if expose else {}
        self._preflight = {
            "access-control-allow-methods": ", ".join(methods).upper(),
            "access-control-allow-headers": ", ".join(headers),
            "access-control-max-age": str(max_age),
        }

    def __call__(self, ctx: Context) -> None:
        if ctx.wants_websocket:
            return
        origin = ctx.headers.get("origin")
        is_preflight = (
            ctx.method == "OPTIONS" and origin is not None and "access-control-request-method" in ctx.headers
        )
        answer = ctx.response.headers
        if self.origins != "*":
            vary(answer, "origin")  # in each answer, or a cache would give one page what another was given
        if not origin_allowed(origin, None, self.origins):
            if is_preflight:
                text = f"A page of {origin} may not use this server: the origins of its Cors can let it in.\n"
                ctx.set_response_status_code(403).set_response_body(text).abort()
            return
        if self.origins == "*":
            answer["access-control-allow-origin"] = "*"
        elif origin is not None:
            ctx.set_response_header("access-control-allow-origin", origin)
        else:
            return
        answer.update(self._shared)
        answer.update(self._preflight if is_preflight else self._actual)
        if is_preflight:
            ctx.set_response_status_code(204).abort()
