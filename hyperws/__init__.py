"""hyperws: a WebSocket and HTTP server whose hot path is compiled."""

from hyperws._version import __version__

try:
    import hyperws._core.context  # noqa: F401
except ModuleNotFoundError as error:
    if not (error.name or "").startswith("hyperws._core"):
        raise
    raise ImportError(
        "this is hyperws' source folder, which is not built: run Python in another folder, "
        "or build it here by 'pip install -e .'"
    ) from None

from hyperws._core.topics import Subscription
from hyperws.authentication import BasicAuth, BearerAuth
from hyperws.compression import Compression
from hyperws.content_coding import Gzip
from hyperws.context import Context
from hyperws.cors import Cors
from hyperws.errors import (
    BadRequest,
    ConfigurationError,
    ConnectionClosed,
    HyperwsError,
    ListenError,
    RouteError,
    UsageError,
)
from hyperws.forms import Form, Upload
from hyperws.groups.backplane import Backplane
from hyperws.groups.presence import Member
from hyperws.headers import SEC_WEBSOCKET_KEY, Headers
from hyperws.limits import Limits
from hyperws.running import run
from hyperws.server import Server

__all__ = [
    "SEC_WEBSOCKET_KEY",
    "Backplane",
    "BadRequest",
    "BasicAuth",
    "BearerAuth",
    "Compression",
    "ConfigurationError",
    "ConnectionClosed",
    "Context",
    "Cors",
    "Form",
    "Gzip",
    "Headers",
    "HyperwsError",
    "Limits",
    "ListenError",
    "Member",
    "RouteError",
    "Server",
    "Subscription",
    "Upload",
    "UsageError",
    "__version__",
    "run",
]
