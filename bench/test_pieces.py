"""Compares the pieces of a WebSocket server: hyperws's with those of other libraries.

    pytest bench/ --benchmark-columns=min,median,iqr --benchmark-sort=min

Every figure includes a call from Python and the making of its result, which at 32 bytes is most of it. A
piece is timed once its result has been found equal to what every library must give. What the figures hide:

- **mask** makes a new object. A server masks what it has read where it lies.
- **hyperws** is called by entries made for trying it from Python. `FrameReader.feed` copies its input, as it
  unmasks in place, and makes a list of tuples; `encode_frame` makes two objects and joins them. A server does
  none of that.
- **hyperws_server** is all that runs for a message in a server, but for the socket: a transport's protocol,
  the reader, a handler in Python, the writer. **picows** is always measured like that, as it has no smaller
  piece.
- **utf8** of hyperws only tells whether a text is valid, and its server makes the str in a second pass; the
  others' figures are for both. Its entry takes places to cut at too, which costs more than a short text does.
- **receive** ends when a coroutine that awaited the message has it and awaits the next one. hyperws lets the
  coroutine go on in place, the others by a callback in the event loop's next turn; looking at the sockets, by
  which a turn begins, is in no figure. **websockets** is its connection, **aiohttp** only its reader and its
  queue, without what is around them in a server. picows has no coroutines.
- **publish** writes one message to 100 transports, each of which only keeps it: the system calls, most of
  what it costs a server, are in no figure. hyperws looks up who subscribes to the topic and writes in the
  event loop's next turn, which is included; picows and websockets are given their subscribers and write at
  once. hyperws has no history and no other process to tell. What was written is checked after every call,
  outside its time.
- **aiohttp** and **picows** give the head and the payload of a long frame to the transport one by one.
- **parse_head** ends with the target and all headers as pairs. hyperws also judges what the head means (its
  framing, Host, Connection, upgrade), which most others leave for later, and in a server makes the pairs only
  on demand.
"""

import pytest

from bench.pieces._given import given_and_expected, result
from bench.pieces._loop import made
from bench.pieces._transport import HANDSHAKE

SIZES = [32, 1024, 65536]
LIBRARIES = {
    "mask": ["hyperws", "websockets", "aiohttp"],
    "utf8, ASCII": ["hyperws", "websockets", "aiohttp", "wsproto"],
    "utf8, multi-byte": ["hyperws", "websockets", "aiohttp", "wsproto"],
    "decode": ["hyperws", "picows", "websockets", "aiohttp", "wsproto"],
    "encode": ["hyperws", "picows", "websockets", "aiohttp", "wsproto"],
    "echo": ["hyperws", "hyperws_server", "picows", "websockets", "aiohttp", "wsproto"],
    "receive": ["hyperws_server", "websockets", "aiohttp"],
    "publish": ["hyperws_server", "picows", "websockets"],
    "parse_head": ["hyperws", "picows", "websockets", "aiohttp", "httptools", "h11"],
}
PIECES = [
    (name, size, library)
    for name in ("mask", "utf8, ASCII", "utf8, multi-byte", "decode", "encode", "echo", "receive")
    for size in SIZES
    for library in LIBRARIES[name]
]
PIECES += [("parse_head", len(HANDSHAKE), library) for library in LIBRARIES["parse_head"]]


def made_by(library, name):
    """The library's piece of that name. Skips where it is not installed."""
    module = pytest.importorskip(f"bench.pieces.{library}", exc_type=ImportError)
    return made(getattr(module, name.partition(",")[0]))


@pytest.mark.parametrize(("name", "size", "library"), PIECES)
def test_piece(benchmark, name, size, library):
    given, expected = given_and_expected(name, size)
    with made_by(library, name) as piece:
        assert result(name, piece(*given), given) == expected
        benchmark.group = f"{name}, {size} bytes"
        benchmark(piece, *given)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("library", LIBRARIES["publish"])
def test_publish(benchmark, size, library):
    given, expected = given_and_expected("publish", size)
    with made_by(library, "publish") as piece:
        written = piece(*given)

        def check(*given):
            assert result("publish", written, given) == expected

        def forget():
            for each in written:
                each.clear()

        check()
        benchmark.group = f"publish, {size} bytes to {len(written)} subscribers"
        benchmark.pedantic(piece, given, setup=forget, teardown=check, rounds=500, warmup_rounds=20)
        check()
