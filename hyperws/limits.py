"""Every bound that a server keeps, in one place."""

from __future__ import annotations

import sys
from dataclasses import dataclass, fields

from hyperws.errors import ConfigurationError

KiB = 1024
MiB = 1024 * KiB
LARGEST = sys.maxsize


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a peer may use up. Each has a default and is given by name; `None` means no bound.

    Raises ConfigurationError for a value that is not a positive number (whole, unless it is a time).
    """

    max_message_size: int | None = MiB
    """Bytes of one WebSocket message, as the handler gets it. A longer one ends the connection with 1009."""
    max_message_frames: int | None = 100_000
    """Frames of one WebSocket message. One that has more ends the connection with 1008."""
    max_head_size: int | None = 16 * KiB
    """Bytes of one HTTP request head. A longer one is answered with 431."""
    max_headers: int | None = 100
    """Headers of one HTTP request. One with more is answered with 431."""
    max_body_size: int | None = MiB
    """Bytes of one HTTP request body, however it is read. A longer one is answered with 413."""
    max_connections: int | None = None
    """Connections at a time, each until its handler has ended too. Further ones get a 503 and are closed."""
    max_connections_per_address: int | None = None
    """Connections at a time from one IPv4 address or IPv6 network (/64). Further ones get a 503 as well."""
    receive_queue: int | None = 256 * KiB
    """Bytes of messages that wait for `receive()`, or of a body that the handler has not taken, each piece
    counted with 64 more for its keeping. Above it the connection is not read, so that TCP holds the peer
    back."""
    send_queue: int | None = MiB
    """Bytes that wait for a slow peer. Above a quarter of it, awaiting `send()` waits until an eighth is
    left; a peer that is given more while all of it waits is cut off, without a close frame: its handler gets
    a ConnectionClosed with the code 1013."""
    handshake_timeout: float | None = 10.0
    """Seconds for the head of a request until all of it has come: from the connection on, for a later one
    from its first byte, or from the answer before it. Each 16 KiB of its body have as long, while the server
    reads them. One that has begun is answered with 408."""
    idle_timeout: float | None = 60.0
    """Seconds without a byte from the peer until it is given up, between requests or on a WebSocket.
    So is one that takes none of what waits for it, whatever it sends, after up to twice as long. A WebSocket
    is closed with 1001, or cut off where it takes nothing, with 1013 for its handler."""
    ping_interval: float | None = 20.0
    """Seconds without a byte from a WebSocket's peer until it is sent a ping; seconds without an event until
    an event stream is sent a comment, up to twice as long."""
    ping_timeout: float | None = 20.0
    """Seconds for any sign of life after a ping, until the connection is closed with 1011."""
    close_timeout: float | None = 10.0
    """Seconds for the peer's part of closing, until the socket is closed all the same."""
    handler_grace: float | None = 60.0
    """Seconds for a handler whose peer is gone, until it is cancelled."""
    shutdown_grace: float | None = 10.0
    """Seconds for everything to end when the server stops, until it is cut off."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if value is None:
                continue
            time = field.type == "float | None"
            if isinstance(value, bool) or not isinstance(value, (int, float) if time else int):
                kind = "seconds" if time else "a whole number"
                raise ConfigurationError(f"Limits.{field.name} takes {kind} or None, not {value!r}")
            if not 0 < value <= LARGEST:
                rule = f"must be above 0 and at most {LARGEST}, or None for no bound"
                raise ConfigurationError(f"Limits.{field.name} {rule}, not {value!r}")
