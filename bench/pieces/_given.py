"""What pieces are given, and what each of them must give back."""

import random
import struct
from typing import Any

from bench.pieces._transport import HANDSHAKE

KEY = b"\x1f\x8e\x42\xd7"
SUBSCRIBERS = 100
CHARACTERS = "äßéñ€…日本語😀"


def given_and_expected(name: str, size: int) -> tuple[tuple[bytes, ...], Any]:
    """The arguments of a piece, and the `result` that it must have.

    Behind a comma, the name says what kind of text is given.
    """
    payload = random.Random(size).randbytes(size)
    match name:
        case "mask":
            return (payload, KEY), masked(payload)
        case "decode" | "receive":
            return (masked_frame(payload),), payload
        case "encode":
            return (payload,), frame(payload)
        case "echo":
            return (masked_frame(payload),), frame(payload)
        case "publish":
            return (payload,), [frame(payload)] * SUBSCRIBERS
        case "parse_head":
            first, *lines = HANDSHAKE.decode().split("\r\n")[:-2]
            headers = dict(line.split(": ") for line in lines)
            return (HANDSHAKE,), (first.split(" ")[1], {name.lower(): headers[name] for name in headers})
    text = ascii_text(size) if name == "utf8, ASCII" else multibyte_text(size)
    return (text.encode(),), text


def result(name: str, returned: Any, given: tuple[bytes, ...]) -> Any:
    """What a piece returned, in the form that is the same for all libraries."""
    if name == "publish":
        return [b"".join(written) for written in returned]
    if name == "parse_head":
        target, headers = returned
        pairs = headers.items() if hasattr(headers, "items") else headers
        return as_text(target), {as_text(name).lower(): as_text(value) for name, value in pairs}
    if name.startswith("utf8") and returned == len(given[0]):
        return given[0].decode()
    return b"".join(returned) if isinstance(returned, list) else returned


def as_text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value


def ascii_text(size: int) -> str:
    return "".join(random.Random(size).choices("abcdefghij klmnop\n", k=size))


def multibyte_text(size: int) -> str:
    """Of so many bytes as UTF-8: characters of two, three and four of them, filled up with ASCII."""
    text = "".join(random.Random(size).choices(CHARACTERS, k=size // 4))
    return text + "." * (size - len(text.encode()))


def masked(payload: bytes) -> bytes:
    return bytes(byte ^ KEY[i % 4] for i, byte in enumerate(payload))


def frame_head(size: int, mask_bit: int = 0) -> bytes:
    """Of a binary frame (RFC 6455, section 5.2)."""
    if size < 126:
        return struct.pack("!BB", 0x82, mask_bit | size)
    if size < 1 << 16:
        return struct.pack("!BBH", 0x82, mask_bit | 126, size)
    return struct.pack("!BBQ", 0x82, mask_bit | 127, size)


def frame(payload: bytes) -> bytes:
    return frame_head(len(payload)) + payload


def masked_frame(payload: bytes) -> bytes:
    return frame_head(len(payload), 0x80) + KEY + masked(payload)
