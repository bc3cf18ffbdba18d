"""Every error that hyperws raises.

HyperwsError
├── ConnectionClosed     the connection has ended, from either side
├── ConfigurationError   an option or a limit that makes no sense (a ValueError too)
├── RouteError           a route pattern or handler that can't work (a ValueError too)
├── ListenError          the server can't listen where it was told to (an OSError too)
├── UsageError           a call at a moment when it can't work (a RuntimeError too)
└── BadRequest           a request that breaks the rules of HTTP; the server answers it itself
"""

from __future__ import annotations


class HyperwsError(Exception):
    """The root of all errors of hyperws."""


class ConnectionClosed(HyperwsError):
    """The connection has ended.

    `code` (int) and `reason` (str) are those of the first close frame, from either side (RFC 6455, section
    7.4): 1005 where it had none, 1006 where the connection ended without one, 1013 where the peer was cut off
    for being too slow.
    """

    def __init__(self, code: int, reason: str = "") -> None:
        super().__init__(code, reason)
        self.code = code
        self.reason = reason

    def __str__(self) -> str:
        return f"the connection is closed ({self.code}{f': {self.reason}' if self.reason else ''})"


class ConfigurationError(HyperwsError, ValueError):
    """An option or a limit has a value that makes no sense."""


class RouteError(HyperwsError, ValueError):
    """A route can't be added as it was given."""


class ListenError(HyperwsError, OSError):
    """The server can't listen on the address it was given."""


class UsageError(HyperwsError, RuntimeError):
    """A method was called at a moment when it can't work, or with something it can't take."""


class BadRequest(HyperwsError):
    """A peer's request that can't be served. `status` is the HTTP status that answers it."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(status, text)
        self.status = status
        self.text = text

    def __str__(self) -> str:
        return self.text
