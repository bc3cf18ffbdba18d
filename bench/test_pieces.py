"""Compares the pieces of a WebSocket server: hyperws's with those of other libraries.

    pytest bench/ --benchmark-columns=min,median,iqr --benchmark-sort=min

Every figure includes a call from Python and the making of its result, which at 32 bytes is most of it. A
piece is timed once its result has been found equal to what every library must give. What the figures hide:

- **mask** makes a new object. A server masks what it has read where it lies.
- **hyperws** is called by entries made for trying it from Python. `FrameReader.feed` copies its input, as it
  unmasks in place, and makes a list of tuples; `encode_frame` makes two objects and joins them. A server does
  none of that.
- **hyperws_server** echoes by all that runs for a message in a server, but for the socket: a transport's
  protocol, the reader, a handler in Python, the writer. **picows** is always measured like that, as it has no
  smaller piece.
- **aiohttp** and **picows** give the head and the payload of a long frame to the transport one by one.
- **parse_head** ends with the target and all headers as pairs. hyperws also judges what the head means (its
  framing, Host, Connection, upgrade), which most others leave for later, and in a server makes the pairs only
  on demand.
"""

import asyncio
import random
import struct

import pytest

from bench.pieces._transport import HANDSHAKE

KEY = b"\x1f\x8e\x42\xd7"
SIZES = [32, 1024, 65536]
LIBRARIES = {
    "mask": ["hyperws", "websockets", "aiohttp"],
    "decode": ["hyperws", "picows", "websockets", "aiohttp", "wsproto"],
    "encode": ["hyperws", "picows", "websockets", "aiohttp", "wsproto"],
    "echo": ["hyperws", "hyperws_server", "picows", "websockets", "aiohttp", "wsproto"],
    "parse_head": ["hyperws", "picows", "websockets", "aiohttp", "httptools", "h11"],
}
FRAME_PIECES = [
    (name, size, library)
    for name in ("mask", "decode", "encode", "echo")
    for size in SIZES
    for library in LIBRARIES[name]
]


@pytest.fixture
def runner():
    with asyncio.Runner() as runner:
        yield runner


def make(runner, name, library):
    """The library's piece of that name, made inside an event loop. Skips where it is not installed."""
    module = pytest.importorskip(f"bench.pieces.{library}", exc_type=ImportError)

    async def in_loop():
        return getattr(module, name)()

    return runner.run(in_loop())


@pytest.mark.parametrize(("name", "size", "library"), FRAME_PIECES)
def test_frame(benchmark, runner, name, size, library):
    payload = random.Random(size).randbytes(size)
    given, expected = {
        "mask": ((payload, KEY), masked(payload)),
        "decode": ((masked_frame(payload),), payload),
        "encode": ((payload,), frame(payload)),
        "echo": ((masked_frame(payload),), frame(payload)),
    }[name]
    piece = make(runner, name, library)
    assert whole(piece(*given)) == expected
    benchmark.group = f"{name}, {size} bytes"
    benchmark(piece, *given)


@pytest.mark.parametrize("library", LIBRARIES["parse_head"])
def test_head(benchmark, runner, library):
    first, *lines = HANDSHAKE.decode().split("\r\n")[:-2]
    expected = {name.lower(): value for name, value in (line.split(": ") for line in lines)}
    piece = make(runner, "parse_head", library)
    target, headers = piece(HANDSHAKE)
    assert text(target) == first.split(" ")[1]
    pairs = headers.items() if hasattr(headers, "items") else headers
    assert {text(name).lower(): text(value) for name, value in pairs} == expected
    benchmark.group = f"parse_head, {len(expected)} headers"
    benchmark(piece, HANDSHAKE)


def masked(payload):
    return bytes(byte ^ KEY[i % 4] for i, byte in enumerate(payload))


def frame_head(size, mask_bit=0):
    """Of a binary frame (RFC 6455, section 5.2)."""
    if size < 126:
        return struct.pack("!BB", 0x82, mask_bit | size)
    if size < 1 << 16:
        return struct.pack("!BBH", 0x82, mask_bit | 126, size)
    return struct.pack("!BBQ", 0x82, mask_bit | 127, size)


def frame(payload):
    return frame_head(len(payload)) + payload


def masked_frame(payload):
    return frame_head(len(payload), 0x80) + KEY + masked(payload)


def whole(result):
    return b"".join(result) if isinstance(result, list) else result


def text(value):
    return value.decode() if isinstance(value, bytes) else value
