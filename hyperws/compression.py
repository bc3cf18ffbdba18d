"""permessage-deflate (RFC 7692): its settings, and what is agreed on with each client."""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass
from typing import Any

from hyperws._core.deflate import Deflater, Inflater
from hyperws._core.message_writer import MessageWriter
from hyperws.checks import is_int
from hyperws.errors import ConfigurationError
from hyperws.handshake import Parameters, parse_extensions

NAME = "permessage-deflate"
WINDOW_BITS = re.compile(r"[89]|1[0-5]")
LEAST_BITS = 9  # zlib has no window of 8 for raw deflate, though the RFC allows it


@dataclass(frozen=True, slots=True, kw_only=True)
class Compression:
    """How messages are compressed (permessage-deflate, RFC 7692). Raises ConfigurationError.

    By default no context is kept from one message to the next: then a connection at rest needs no memory for
    this, one compressor serves all of them, and what is published is compressed once. Keeping it compresses
    many small, similar messages better, for memory on each connection (zlib's own figures): up to
    `2 ** (server_max_window_bits + 2) + 2 ** (memory_level + 9)` bytes once it has sent a compressed message,
    and `2 ** client_max_window_bits` and about 7 KiB once it has received one.

    Compressing and inflating take their time in the event loop. What is secret should not be compressed
    together with what others choose: send it with `compress=False` (see docs/security.md).
    """

    server_no_context_takeover: bool = True
    """Whether each message that is sent is compressed by itself (section 7.1.1.1)."""
    client_no_context_takeover: bool = True
    """Whether clients must do the same (section 7.1.1.2)."""
    server_max_window_bits: int = 15
    """How far back a compressed message may refer: 9 to 15, for 512 bytes to 32 KiB (section 7.1.2.1)."""
    client_max_window_bits: int = 15
    """The same for clients that can be told; others may use 15 (section 7.1.2.2)."""
    level: int = 6
    """From 1, the fastest, to 9, the smallest; 0 does not compress, -1 is the backend's own default.
    Other backends may have other levels."""
    memory_level: int = 8
    """Memory for compressing, from 1 to 9: `2 ** (memory_level + 9)` bytes."""
    threshold: int = 256
    """Bytes of the shortest message that is compressed, unless `send(..., compress=...)` decides."""
    backend: Any = zlib
    """A module with `compressobj`, `decompressobj` and `error` as zlib has them, such as `zlib_ng.zlib_ng` or
    `isal.isal_zlib`."""

    def __post_init__(self) -> None:
        for name in ("server_no_context_takeover", "client_no_context_takeover"):
            self._check(name, isinstance(getattr(self, name), bool), "True or False")
        for name in ("server_max_window_bits", "client_max_window_bits"):
            self._check(name, is_int(getattr(self, name), LEAST_BITS, 15), "a number from 9 to 15")
        self._check("memory_level", is_int(self.memory_level, 1, 9), "a number from 1 to 9")
        self._check("threshold", is_int(self.threshold, 0, 1 << 62), "a number of bytes, 0 or more")
        self._check("level", is_int(self.level, -1, 9), "a number from -1 to 9")
        try:
            message = b"hyperws" * 9
            deflated = self.deflater(self.server_max_window_bits, False).compress(message)
            restored = self.inflater(self.client_max_window_bits, False).inflate(deflated, len(message))
        except Exception as error:
            raise ConfigurationError(
                f"Compression.backend {self.backend!r} can't work with these settings: {error}"
            ) from error
        self._check("backend", restored == message, "a module with zlib's interface")

    def _check(self, name: str, valid: bool, rule: str) -> None:
        if not valid:
            raise ConfigurationError(f"Compression.{name} takes {rule}, not {getattr(self, name)!r}")

    def deflater(self, window_bits: int, takeover: bool) -> Deflater:
        return Deflater(self.backend, self.level, window_bits, self.memory_level, takeover)

    def inflater(self, window_bits: int, takeover: bool) -> Inflater:
        return Inflater(self.backend, window_bits, takeover)


@dataclass(slots=True)
class Agreement:
    """The parameters of permessage-deflate on one connection (RFC 7692, section 7.1)."""

    server_no_context_takeover: bool
    client_no_context_takeover: bool
    server_max_window_bits: int | None = None
    """None where the client did not ask for a bound and need not know of one: then it is 15."""
    client_max_window_bits: int | None = None
    """None where the client can't be told: then it may use 15."""

    def encode(self) -> str:
        """The Sec-WebSocket-Extensions header that tells the client."""
        parameters = [NAME]
        if self.server_no_context_takeover:
            parameters.append("server_no_context_takeover")
        if self.client_no_context_takeover:
            parameters.append("client_no_context_takeover")
        if self.server_max_window_bits is not None:
            parameters.append(f"server_max_window_bits={self.server_max_window_bits}")
        if self.client_max_window_bits is not None and self.client_max_window_bits < 15:
            parameters.append(f"client_max_window_bits={self.client_max_window_bits}")
        return "; ".join(parameters)


class Negotiator:
    """Agrees on compression with the clients of one server, and keeps what writes their messages."""

    def __init__(self, compression: Compression | None, fragment_size: int) -> None:
        self.compression = compression
        self.fragment_size = fragment_size
        self._plain = MessageWriter(fragment_size)
        self._shared: dict[int, MessageWriter] = {}

    def agree(self, extensions: str | None) -> Agreement | None:
        """On the first offer that can be met, if there is one. Raises BadRequest for a malformed header."""
        if self.compression is not None and extensions is not None:
            for name, parameters in parse_extensions(extensions):
                if name == NAME and (agreement := accept(parameters, self.compression)):
                    return agreement
        return None

    def writer(self, agreement: Agreement | None) -> MessageWriter:
        """What writes the messages of a connection: the same one for all that agreed on the same."""
        if self.compression is None or agreement is None:
            return self._plain
        bits = agreement.server_max_window_bits or 15
        if agreement.server_no_context_takeover and bits in self._shared:
            return self._shared[bits]
        deflater = self.compression.deflater(bits, not agreement.server_no_context_takeover)
        writer = MessageWriter(self.fragment_size, deflater, self.compression.threshold)
        if agreement.server_no_context_takeover:
            self._shared[bits] = writer
        return writer

    def inflater(self, agreement: Agreement | None) -> Inflater | None:
        """What inflates the messages of a connection."""
        if self.compression is None or agreement is None:
            return None
        # a window that is larger than the client's does no harm
        bits = max(LEAST_BITS, agreement.client_max_window_bits or 15)
        return self.compression.inflater(bits, not agreement.client_no_context_takeover)


def accept(parameters: Parameters, own: Compression) -> Agreement | None:
    """What an offer is answered with, None to decline it (RFC 7692, section 7.1)."""
    if len(dict(parameters)) != len(parameters):
        return None
    agreement = Agreement(own.server_no_context_takeover, own.client_no_context_takeover)
    if own.server_max_window_bits < 15:
        agreement.server_max_window_bits = own.server_max_window_bits
    for name, value in parameters:
        if name == "server_no_context_takeover" and value is None:
            agreement.server_no_context_takeover = True
        elif name == "client_no_context_takeover" and value is None:
            agreement.client_no_context_takeover = True
        elif name == "server_max_window_bits" and value is not None and WINDOW_BITS.fullmatch(value):
            agreement.server_max_window_bits = min(own.server_max_window_bits, int(value))
        elif name == "client_max_window_bits" and (value is None or WINDOW_BITS.fullmatch(value)):
            agreement.client_max_window_bits = min(own.client_max_window_bits, int(value or 15))
        else:
            return None
    return agreement if (agreement.server_max_window_bits or 15) >= LEAST_BITS else None
