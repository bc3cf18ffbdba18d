"""The backplane that a URL names."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlsplit

from hyperws.errors import ConfigurationError
from hyperws.groups.backplane import Backplane


def _redis(url: str) -> Backplane:
    from hyperws.groups.redis import Redis
    return Redis(url)


# each imports its library only when it is used
SCHEMES: dict[str, Callable[[str], Backplane]] = {
    "redis": _redis,
    "rediss": _redis,
    "unix": _redis,
}


def backplane_at(url: str) -> Backplane:
    """The backplane of a URL such as "redis://localhost". Raises ConfigurationError where there is none."""
    scheme = urlsplit(url).scheme
    if scheme not in SCHEMES:
        raise ConfigurationError(
            f"a backplane is at {', '.join(f'{each}://' for each in SCHEMES)}, not at {scheme}://"
        )
    return SCHEMES[scheme](url)
