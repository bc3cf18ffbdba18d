"""The backplane that a URL names."""

from __future__ import annotations

from collections.abc import Callable

from hyperws.errors import ConfigurationError
from hyperws.groups.backplane import Backplane


def _redis(url: str) -> Backplane:
    from hyperws.groups.redis import Redis
    return Redis(url)


def _nats(url: str) -> Backplane:
    from hyperws.groups.nats import Nats
    return Nats(url)


# each imports its library only when it is used
SCHEMES: dict[str, Callable[[str], Backplane]] = {
    "redis": _redis,
    "rediss": _redis,
    "unix": _redis,
    "nats": _nats,
    "tls": _nats,
}


def backplane_at(url: str) -> Backplane:
    """The backplane of a URL such as "redis://localhost". Raises ConfigurationError where there is none."""
    scheme, _, _ = url.partition("://")
    if scheme not in SCHEMES:   # not shown, as what is in front may be a password
        known = ", ".join(f"{each}://" for each in SCHEMES)
        raise ConfigurationError(f"the URL of a backplane begins with one of {known}")
    return SCHEMES[scheme](url)
