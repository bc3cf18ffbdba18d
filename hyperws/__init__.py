"""hyperws: a WebSocket and HTTP server whose hot path is compiled."""

from hyperws._version import __version__
from hyperws.context import Context
from hyperws.errors import (
    BadRequest,
    ConfigurationError,
    ConnectionClosed,
    HyperwsError,
    ListenError,
    RouteError,
    UsageError,
)
from hyperws.headers import SEC_WEBSOCKET_KEY, Headers
from hyperws.limits import Limits
from hyperws.server import Server

__all__ = [
    "SEC_WEBSOCKET_KEY",
    "BadRequest",
    "ConfigurationError",
    "ConnectionClosed",
    "Context",
    "Headers",
    "HyperwsError",
    "Limits",
    "ListenError",
    "RouteError",
    "Server",
    "UsageError",
    "__version__",
]
