"""The access log: one line for each request, and for each WebSocket that is closed.

    127.0.0.1:50312 "GET /hello HTTP/1.1" 200 134 0.0004s
    127.0.0.1:50313 "GET /events HTTP/1.1" 200 5120 12.1034s client gone
    127.0.0.1:50314 WebSocket "/chat" 1001 'the server is going away' 83.2001s

A request's line has the status, the bytes that were sent (with the head), how long it took and, where not all
of the response was sent, why. They go to the logger "hyperws.access", at the level INFO.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from hyperws.errors import BadRequest

if TYPE_CHECKING:
    from hyperws.context import Context

logger = logging.getLogger("hyperws.access")


def log_request(context: Context, outcome: str) -> None:
    """A request has ended; `outcome` says how where not all of its response was sent."""
    request = context.request
    status = context.response.status if context.head_sent else "-"
    seconds = time.monotonic() - context.began
    logger.info(
        '%s "%s %s HTTP/1.%d" %s %d %.4fs%s',
        context.client, request.method, request.target, request.minor_version, status,
        context.http.bytes_sent, seconds, outcome and f" {outcome}",
    )


def log_bad_request(client: str, error: BadRequest) -> None:
    """What came was no request that could be read, and was answered."""
    logger.info('%s "-" %d: %s', client, error.status, error.text)


def log_websocket(context: Context) -> None:
    """A WebSocket is closed."""
    seconds = time.monotonic() - context.began
    logger.info(
        '%s WebSocket "%s" %s %s %.4fs',
        context.client, context.request.target, context.close_code, ascii(context.close_reason), seconds,
    )
