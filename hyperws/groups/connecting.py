"""The backplane that a URL names."""

from __future__ import annotations

from urllib.parse import urlsplit

from hyperws.errors import ConfigurationError
from hyperws.groups.backplane import Backplane


def backplane_at(url: str) -> Backplane:
    """The backplane of a URL such as "redis://localhost". Raises ConfigurationError where there is none."""
    raise ConfigurationError(
        f"a backplane is at redis://, rediss:// or nats://, not at {urlsplit(url).scheme}://"
    )
