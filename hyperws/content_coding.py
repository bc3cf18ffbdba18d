"""Responses compressed by gzip (RFC 9110, section 8.4)."""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass

from hyperws.checks import is_int
from hyperws.errors import ConfigurationError

COMPRESSIBLE = re.compile(
    r"text/|application/(?:json|javascript|xml|wasm|manifest\+json|[\w.-]+\+(?:json|xml))|image/svg\+xml"
)
GZIP = 16 + zlib.MAX_WBITS


@dataclass(frozen=True, slots=True, kw_only=True)
class Gzip:
    """How responses are compressed for clients that accept it.

    Raises ConfigurationError for a value that makes no sense.
    """

    level: int = 6
    """From 1, the fastest, to 9, the smallest."""
    threshold: int = 1024
    """Bytes from which a body is compressed: a shorter one is not worth it."""

    def __post_init__(self) -> None:
        if not is_int(self.level, 1, 9):
            raise ConfigurationError(f"Gzip.level takes a number from 1 to 9, not {self.level!r}")
        if not is_int(self.threshold, 0, 1 << 62):
            raise ConfigurationError(f"Gzip.threshold takes a number of bytes, not {self.threshold!r}")

    def compress(self, body: bytes) -> bytes:
        compressor = zlib.compressobj(self.level, zlib.DEFLATED, GZIP)
        return compressor.compress(body) + compressor.flush()


def is_compressible(content_type: str) -> bool:
    """Whether bodies of a type usually become smaller."""
    return COMPRESSIBLE.match(content_type.lower()) is not None


def accepts_gzip(accept_encoding: str) -> bool:
    """Whether an Accept-Encoding header takes gzip (RFC 9110, section 12.5.3)."""
    weights = {}
    for element in accept_encoding.lower().split(","):
        coding, *parameters = (part.strip() for part in element.split(";"))
        weights[coding] = weight(parameters)
    return weights.get("gzip", weights.get("x-gzip", weights.get("*", 0.0))) > 0


def weight(parameters: list[str]) -> float:
    """The q of an element, 1 where there is none, 0 where it can't be read (RFC 9110, section 12.4.2)."""
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            return float(value) if re.fullmatch(r"[01](?:\.[0-9]{0,3})?", value.strip()) else 0.0
    return 1.0


def vary(headers: dict[str, str], name: str) -> None:
    """Add a request header to those on which the response depends (RFC 9110, section 12.5.5)."""
    present = headers.get("vary")
    if present is None:
        headers["vary"] = name
    elif present != "*" and name not in (each.strip().lower() for each in present.split(",")):
        headers["vary"] = f"{present}, {name}"
