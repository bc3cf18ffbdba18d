"""Which web pages may open a WebSocket: the defence against cross-site hijacking (RFC 6455, section 10.2)."""

from __future__ import annotations

from typing import Literal
from urllib.parse import urlsplit

from hyperws.errors import ConfigurationError

Origin = tuple[str, str, int]
"""Scheme, host and port."""
AllowedOrigins = frozenset[Origin] | Literal["*"] | None
"""Those of the very host that is asked, where it is None."""

DEFAULT_PORTS = {"http": 80, "https": 443}


def parse_origin(origin: str) -> Origin:
    """(scheme, host, port) of an origin (RFC 6454, section 7). Raises ValueError where it is none."""
    parts = urlsplit(origin)
    if parts.scheme not in DEFAULT_PORTS or not parts.hostname or parts.path or parts.query or parts.fragment:
        raise ValueError(f"{origin!r} is no origin")
    return parts.scheme, parts.hostname, parts.port or DEFAULT_PORTS[parts.scheme]


def checked_origins(origins: list[str] | str, option: str = "allowed_origins") -> AllowedOrigins:
    """What `allowed_origins` or another option was given, in the form in which origins are compared."""
    if origins == "*":
        return "*"
    if not isinstance(origins, (list, tuple, set, frozenset)) or not all(isinstance(o, str) for o in origins):
        raise ConfigurationError(f"{option} takes a list of origins or '*', not {origins!r}")
    try:
        return frozenset(parse_origin(origin) for origin in origins)
    except ValueError as error:
        raise ConfigurationError(f"{error}: write it as in 'https://example.com'") from None


def origin_allowed(origin: str | None, host: str | None, allowed: AllowedOrigins) -> bool:
    """Whether a page of `origin` may connect.

    A client that sends no Origin is not a browser, and could send any: it is let in.
    """
    if origin is None or allowed == "*":
        return True
    try:
        parsed = parse_origin(origin)
        if allowed is not None:
            return parsed in allowed
        scheme, name, port = parsed
        same = urlsplit(f"//{host or ''}")
        return same.hostname == name and (same.port or DEFAULT_PORTS[scheme]) == port
    except ValueError:
        return False
