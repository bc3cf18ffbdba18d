"""Who sends a request: HTTP's basic (RFC 7617) and bearer (RFC 6750) authentication."""

from __future__ import annotations

import binascii
import hmac
import inspect
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from hyperws.errors import ConfigurationError
from hyperws.routing import takes

if TYPE_CHECKING:
    from hyperws.context import Context

CONTROL = re.compile(r"[\x00-\x1f\x7f]")
REALM = re.compile(r"[\x20\x21\x23-\x5b\x5d-\x7e]*")
BEARER_TOKEN = re.compile(r"[0-9A-Za-z\-._~+/]++=*")


class BasicAuth:
    """Middleware that lets in who sends a user name and password (RFC 7617).

        server.request_middleware(BasicAuth({"alice": "secret"}))
        server.pre_ws_upgrade(BasicAuth(check))     # handshakes only, with a function of your own

    `check` is a dict of passwords by user, or a function `check(user, password)`, plain or async, that
    returns who it is (anything true), or None. That is then `ctx.state["user"]`; of a dict it is the user's
    name. All others get a 401, which has a browser ask for a password to `realm`.

    A password can be read on its way: use TLS. Raises ConfigurationError for what can't work.
    """

    def __init__(
        self, check: Mapping[str, str] | Callable[[str, str], object], *, realm: str = "hyperws"
    ) -> None:
        if isinstance(check, Mapping):
            check = Passwords(check).check
        elif not callable(check) or not takes(check, 2):
            raise ConfigurationError(
                "BasicAuth takes a dict of passwords by user, or a function that is called as "
                f"check(user, password), not {check!r}"
            )
        self._check = check
        self._challenge = f'Basic {checked_realm(realm)}, charset="UTF-8"'

    async def __call__(self, ctx: Context) -> None:
        given = parse_basic(ctx.headers.getall("authorization"))
        if given is None or not await identify(ctx, self._check, *given):
            refuse(ctx, 401, self._challenge, "This needs a user name and its password.")


class BearerAuth:
    """Middleware that lets in who sends a token (RFC 6750).

        server.request_middleware(BearerAuth(check))
        server.pre_ws_upgrade(BearerAuth(check, query="access_token"))

    `check(token)` is a function, plain or async, that returns who it is (anything true), or None. That is
    then `ctx.state["user"]`; all others get a 401, or a 400 for a token that is malformed or comes twice.

    With `query`, the token may be that value in the URL instead: a page can't set headers of a WebSocket.
    URLs are written to logs and histories, so let such a token be short-lived.

    Compare tokens by `hmac.compare_digest`, and use TLS. Raises ConfigurationError for what can't work.
    """

    def __init__(
        self, check: Callable[[str], object], *, query: str | None = None, realm: str = "hyperws"
    ) -> None:
        if not callable(check) or not takes(check, 1):
            raise ConfigurationError(
                f"BearerAuth takes a function that is called as check(token), not {check!r}"
            )
        if query is not None and (not isinstance(query, str) or not query):
            raise ConfigurationError(f"query takes a name, as in 'access_token', or None, not {query!r}")
        self._check = check
        self._query = query
        self._challenge = f"Bearer {checked_realm(realm)}"

    async def __call__(self, ctx: Context) -> None:
        lines = ctx.headers.getall("authorization")
        in_headers = [token for line in lines if (token := credentials(line, "bearer")) is not None]
        in_query = ctx.query.getall(self._query) if self._query is not None else []
        tokens = in_headers + in_query
        if len(lines) > 1 or len(tokens) > 1 or not all(map(BEARER_TOKEN.fullmatch, tokens)):
            challenge = f'{self._challenge}, error="invalid_request"'
            refuse(ctx, 400, challenge, "The bearer token is malformed, or comes more than once.")
        elif not tokens:
            refuse(ctx, 401, self._challenge, "This needs a bearer token.")
        elif not await identify(ctx, self._check, tokens[0]):
            challenge = f'{self._challenge}, error="invalid_token"'
            refuse(ctx, 401, challenge, "The bearer token is not accepted.")
        elif in_query:
            ctx.set_response_header("cache-control", "private")     # RFC 6750, section 2.3


class Passwords:
    """Passwords by user; how long a comparison takes tells nothing of them, or of who is known."""

    def __init__(self, passwords: Mapping[str, str]) -> None:
        for user, password in passwords.items():
            if not isinstance(user, str) or not isinstance(password, str):
                raise ConfigurationError("BasicAuth takes a dict of str by str: decode what is bytes")
            if not user or ":" in user or CONTROL.search(user + password):
                raise ConfigurationError(
                    f"the user {user!r} could never log in: a name is not empty and has no colon, and "
                    "neither it nor a password has control characters"
                )
        self._passwords = {user: password.encode() for user, password in passwords.items()}

    def check(self, user: str, password: str) -> str | None:
        known = self._passwords.get(user)
        # the time depends on the second, which the client has chosen
        same = hmac.compare_digest(known or b"", password.encode())
        return user if same and known is not None else None


def checked_realm(realm: str) -> str:
    if not isinstance(realm, str) or not REALM.fullmatch(realm):
        raise ConfigurationError(f"realm takes ASCII text without quotes and backslashes, not {realm!r}")
    return f'realm="{realm}"'


def credentials(line: str, scheme: str) -> str | None:
    """What an Authorization header has behind a scheme (RFC 9110, section 11.4), None if it has another."""
    given, _, rest = line.partition(" ")
    return rest.lstrip(" ") if given.lower() == scheme else None


def parse_basic(lines: list[str]) -> tuple[str, str] | None:
    """(user, password) in the Authorization headers, None where they are not there as RFC 7617 has them."""
    encoded = credentials(lines[0], "basic") if len(lines) == 1 else None
    if encoded is None:
        return None
    try:
        text = binascii.a2b_base64(encoded, strict_mode=True).decode()
    except ValueError:
        return None
    user, colon, password = text.partition(":")
    return (user, password) if colon and not CONTROL.search(text) else None


async def identify(context: Context, check: Callable[..., object], *given: str) -> bool:
    """Whether a check knows who has given this. Keeps who it is."""
    identity = check(*given)
    if inspect.isawaitable(identity):
        identity = await identity
    if not identity:
        return False
    context.state["user"] = identity
    return True


def refuse(context: Context, status: int, challenge: str, text: str) -> None:
    context.set_response_status_code(status).set_response_header("www-authenticate", challenge)
    context.set_response_body(text + "\n").abort()
