"""The frame reader and writer against RFC 6455."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame

from hyperws._core.websocket import FrameReader, encode_frame

from .oracle_websocket import (
    BINARY,
    CLOSE,
    CLOSE_CODES,
    CONTINUATION,
    LONGEST_HEADER,
    PING,
    PONG,
    TEXT,
    read,
    write,
)
from .pieces import corpus, cut, cut_points, examples

MAX_SIZE, MAX_FRAMES = 70_000, 6


def client(opcode, payload=b"", **options):
    return write(opcode, payload, key=b"\x9a\x01\xfe\x37", **options)


def close(code, reason=b""):
    return client(CLOSE, code.to_bytes(2) + reason)


def fragments(opcode, *payloads):
    last = len(payloads) - 1
    return b"".join(
        client(CONTINUATION if i else opcode, payload, fin=i == last) for i, payload in enumerate(payloads)
    )


HELLO = client(TEXT, b"hello")
EURO = "€".encode()
SIZES = [0, 1, 2, 3, 4, 5, 124, 125, 126, 127, 128, 255, 256, 65535, 65536, MAX_SIZE]

VALID = {
    "nothing": b"",
    "text": client(TEXT, b"hi"),
    "text, not ASCII": client(TEXT, "naïve € \U0001f600".encode()),
    "a key of zeros": write(TEXT, b"hello", key=bytes(4)),
    "several": HELLO + client(BINARY, b"\x00\xff") + client(PING) + HELLO,
    "fragments": fragments(TEXT, b"hel", b"lo ", b"there") + HELLO,
    "empty fragments": fragments(TEXT, b"", b"", b"") + HELLO,
    "empty first and last fragment": fragments(BINARY, b"", b"abc", b""),
    "as many fragments as are allowed": fragments(BINARY, *[b"x"] * MAX_FRAMES) + HELLO,
    "one fragmented message after another": fragments(TEXT, *[b"x"] * 4) + fragments(BINARY, *[b"y"] * 4),
    "fragments cut inside characters": fragments(TEXT, b"a\xf0", b"\x9f", b"", b"\x98\x80\xe2\x82", b"\xac"),
    "control frames between fragments": (
        client(TEXT, b"\xe2", fin=False) + client(PING, b"1") + client(CONTINUATION, b"\x82", fin=False)
        + client(PONG) + client(PING, b"x" * 125) + client(CONTINUATION, b"\xac") + HELLO
    ),
    "close between fragments": client(TEXT, b"he", fin=False) + close(1000),
    "longest control frames": client(PING, b"x" * 125) + client(PONG, b"x" * 125) + close(1000, b"x" * 123),
    "nothing is read after close": close(1000) + b"\xff" * 20,
    "close without a code": client(CLOSE) + HELLO,
    "close with a reason": close(3000, "adiós".encode()),
} | {
    f"binary of {size} bytes": client(BINARY, bytes(i % 251 for i in range(size))) + HELLO for size in SIZES
}

INVALID = {
    "not masked": (1002, HELLO + write(TEXT, b"hello")),
    "not masked, empty": (1002, write(PING, b"")),
    "continuation of nothing": (1002, client(CONTINUATION, b"x")),
    "last continuation of nothing": (1002, fragments(TEXT, b"a", b"b") + client(CONTINUATION)),
    "text inside a fragmented message": (1002, client(TEXT, b"a", fin=False) + HELLO),
    "binary inside a fragmented message": (1002, client(BINARY, fin=False) + client(BINARY, fin=False)),
    "126 bytes of ping": (1002, client(PING, b"x" * 126)),
    "65536 bytes of pong": (1002, client(PONG, length=65536)),
    "126 bytes of close": (1002, close(1000, b"x" * 124)),
    "a control length not minimal": (1002, client(PING, b"x", extended=2)),
    "125 in two bytes": (1002, client(BINARY, b"x" * 125, extended=2)),
    "0 in two bytes": (1002, client(BINARY, extended=2)),
    "65535 in eight bytes": (1002, client(BINARY, b"x" * 65535, extended=8)),
    "0 in eight bytes": (1002, client(BINARY, extended=8)),
    "2^63 - 1 bytes": (1009, client(BINARY, length=2**63 - 1)),
    "2^63 bytes": (1002, client(BINARY, length=2**63)),
    "2^64 - 1 bytes": (1002, client(BINARY, length=2**64 - 1)),
    "2^63 - 1 bytes in a continuation": (
        1009, client(BINARY, b"x", fin=False) + client(CONTINUATION, length=2**63 - 1),
    ),
    "2^64 - 1 bytes in a continuation": (
        1002, client(BINARY, b"x", fin=False) + client(CONTINUATION, length=2**64 - 1),
    ),
    "one byte too many": (1009, client(TEXT, length=MAX_SIZE + 1)),
    "one byte too many, in fragments": (
        1009, client(BINARY, b"x" * MAX_SIZE, fin=False) + client(CONTINUATION, b"x"),
    ),
    "one fragment too many": (1008, fragments(BINARY, *[b"x"] * (MAX_FRAMES + 1))),
    "one empty fragment too many": (1008, fragments(TEXT, *[b""] * (MAX_FRAMES + 1))),
    "close with half a code": (1002, client(CLOSE, b"\x03")),
    "close with a reason that is not UTF-8": (1007, close(1000, b"\xff")),
    "close with a reason cut inside a character": (1007, close(1000, b"abc" + EURO[:2])),
    "close with a bad code and a bad reason": (1002, close(1005, b"\xff")),
    "text in one piece, bad at its end": (1007, client(TEXT, b"hello\xff")),
    "text that never ends, bad at its start": (1007, client(TEXT, b"\xffhello", length=1000)),
    "text cut inside a character": (1007, client(TEXT, b"a" + EURO[:2])),
    "fragments that end inside a character": (1007, fragments(TEXT, b"a", EURO[:1], EURO[1:2])),
    "fragments bad where they meet": (1007, fragments(TEXT, EURO[:2], b"a")),
    "bad text before a bad frame": (1007, client(TEXT, b"\xc0", fin=False) + client(0x3)),
    "bad frame before bad text": (1002, client(TEXT, fin=False) + client(3) + client(CONTINUATION, b"\xff")),
} | {
    f"opcode {opcode:#x}, fin {fin}": (1002, client(opcode, b"x", fin=fin))
    for opcode in (*range(3, 8), *range(11, 16)) for fin in (0, 1)
} | {
    f"rsv {rsv}, opcode {opcode:#x}": (1002, client(opcode, b"x", rsv=rsv))
    for opcode in (TEXT, BINARY, PING, CLOSE) for rsv in range(1, 8)
} | {
    f"fragmented control frame {opcode:#x}": (1002, client(opcode, fin=False))
    for opcode in (CLOSE, PING, PONG)
} | {
    f"text with {bad.hex()}": (1007, client(TEXT, b"ok" + bad + b"ok"))
    for bad in (
        b"\x80", b"\xbf", b"\xc0\xaf", b"\xc1\xbf", b"\xe0\x80\xaf", b"\xe0\x9f\xbf", b"\xf0\x80\x80\xaf",
        b"\xf0\x8f\xbf\xbf", b"\xed\xa0\x80", b"\xed\xbf\xbf", b"\xed\xa0\xbd\xed\xb8\x80",
        b"\xf4\x90\x80\x80", b"\xf5\x80\x80\x80", b"\xf8\x88\x80\x80\x80", b"\xfc\x84\x80\x80\x80\x80",
        b"\xfe", b"\xff", b"\xc3(", b"\xe2\x82(", b"\xf0\x9f\x98(",
    )
}

ALL = VALID | {name: data for name, (_, data) in INVALID.items()}


def names(events):
    """Events without the sentence that explains a failure."""
    return [event[:2] if event[0] == "failed" else event for event in events]


class Fed:
    """A reader that is compared with the oracle after each piece that it is fed."""

    def __init__(self, max_size=MAX_SIZE, max_frames=MAX_FRAMES, masked=True):
        self.limits = (max_size, max_frames, masked)
        self.reader = FrameReader(*self.limits)
        self.data = b""
        self.events = []

    def feed(self, piece):
        self.data += piece
        self.events += names(self.reader.feed(piece))
        known = read(self.data, *self.limits)
        if self.events != known:
            # a header may be refused by its first bytes already, and must be once it is complete
            soon = read(self.data + bytes(LONGEST_HEADER), *self.limits)
            assert self.events == soon[: len(known) + 1]
            assert self.events == [*known, ("failed", 1002)]


@corpus("code, data", INVALID)
def test_what_must_fail_fails_with_the_right_code(code, data):
    assert names(FrameReader(MAX_SIZE, MAX_FRAMES).feed(data))[-1] == ("failed", code)


@corpus("data", VALID)
def test_what_is_valid_does_not_fail(data):
    assert "failed" not in [event[0] for event in FrameReader(MAX_SIZE, MAX_FRAMES).feed(data)]


@corpus("data", ALL)
def test_every_cut_in_two(data):
    whole = names(FrameReader(MAX_SIZE, MAX_FRAMES).feed(data))
    assert whole == read(data, MAX_SIZE, MAX_FRAMES)
    for point in cut_points(len(data)):
        reader = FrameReader(MAX_SIZE, MAX_FRAMES)
        assert names(reader.feed(data[:point]) + reader.feed(data[point:])) == whole, point


@corpus("data", {name: data for name, data in ALL.items() if len(data) < 1000})
def test_byte_by_byte(data):
    fed = Fed()
    for byte in data:
        fed.feed(bytes([byte]))


@corpus("data", {name: data for name, data in ALL.items() if len(data) >= 1000})
def test_long_ones_byte_by_byte(data):
    """As above, with one look at the end: the oracle is slow."""
    reader = FrameReader(MAX_SIZE, MAX_FRAMES)
    events = [event for byte in data for event in reader.feed(bytes([byte]))]
    assert names(events) == read(data, MAX_SIZE, MAX_FRAMES)


def test_every_close_code():
    for code in range(65536):
        expected = ("close", code, "") if code in CLOSE_CODES else ("failed", 1002)
        assert names(FrameReader(MAX_SIZE, MAX_FRAMES).feed(close(code))) == [expected], code


def test_every_first_two_bytes():
    """All opcodes, flags and short lengths, at the start and inside a fragmented message."""
    for start in (b"", client(TEXT, fin=False)):
        for first in range(256):
            for second in range(256):
                data = start + bytes([first, second]) + bytes(12)
                assert names(FrameReader(MAX_SIZE, MAX_FRAMES).feed(data)) == read(data, MAX_SIZE, MAX_FRAMES)


def test_a_client_takes_unmasked_frames_only():
    assert FrameReader(10, 1, masked=False).feed(write(TEXT, b"hi")) == [("message", "hi")]
    assert names(FrameReader(10, 1, masked=False).feed(client(TEXT, b"hi"))) == [("failed", 1002)]


def test_a_failure_is_explained():
    for _, data in INVALID.values():
        assert FrameReader(MAX_SIZE, MAX_FRAMES).feed(data)[-1][2]


# -------------------------------------------------------------------- sequences that Hypothesis makes up

keys = st.binary(min_size=4, max_size=4)
contents = st.one_of(
    st.text(max_size=20).map(str.encode), st.binary(max_size=20),
    st.sampled_from([b"x" * 125, b"x" * 126, EURO[:2]]),
)


@st.composite
def messages(draw):
    """One message in fragments, with control frames between them."""
    payload = draw(contents)
    pieces = cut(payload, draw(st.lists(st.integers(0, 200), max_size=4)))
    frames = []
    for i, piece in enumerate(pieces):
        opcode = CONTINUATION if i else draw(st.sampled_from([TEXT, BINARY]))
        frames.append(write(opcode, piece, fin=i == len(pieces) - 1, key=draw(keys)))
        frames += draw(st.lists(controls, max_size=1))
    return b"".join(frames)


controls = st.builds(write, st.sampled_from([PING, PONG]), st.binary(max_size=8), key=keys)
closes = st.builds(
    lambda code, reason, key: write(CLOSE, code.to_bytes(2) + reason, key=key),
    st.one_of(st.sampled_from(sorted(CLOSE_CODES)), st.integers(0, 65535)), contents, keys,
)
strange = st.builds(
    write, st.integers(0, 15), contents, fin=st.booleans(), rsv=st.sampled_from([0, 0, 0, 1, 4]),
    key=st.one_of(keys, keys, st.none()), length=st.one_of(st.none(), st.none(), st.integers(0, 125)),
)
streams = st.lists(st.one_of(messages(), messages(), controls, closes, strange), max_size=6).map(b"".join)


@st.composite
def mutated(draw, data):
    """`data` with some bytes changed, taken away, or put in."""
    result = bytearray(draw(data))
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(result)))
        result[at : at + draw(st.integers(0, 2))] = draw(st.binary(max_size=2))
    return bytes(result)


@examples(600)
@given(data=st.one_of(streams, mutated(streams)), points=st.lists(st.integers(0, 10_000), max_size=12))
def test_streams_cut_anywhere(data, points):
    fed = Fed(max_size=150, max_frames=3)
    for piece in cut(data, points):
        fed.feed(piece)


@examples(200)
@given(data=st.binary(max_size=40), masked=st.booleans())
def test_noise_byte_by_byte(data, masked):
    fed = Fed(masked=masked)
    for byte in data:
        fed.feed(bytes([byte]))


# ----------------------------------------------------------------------------------------- writing frames


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("key", [None, b"\x00\x01\xfe\xff"], ids=["plain", "masked"])
def test_encode_frame_writes_every_length(size, key):
    payload = bytes(i % 251 for i in range(size))
    frame = encode_frame(BINARY, payload, key=key)
    assert frame == write(BINARY, payload, key=key)
    assert FrameReader(size, 1, masked=key is not None).feed(frame) == [("message", payload)]


@examples(200)
@given(
    opcode=st.sampled_from([CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG]), payload=contents,
    fin=st.booleans(), rsv=st.integers(0, 7), key=st.one_of(keys, st.none()),
)
def test_encode_frame_writes_every_flag(opcode, payload, fin, rsv, key):
    frame = write(opcode, payload, fin=fin, rsv=rsv, key=key)
    assert encode_frame(opcode, payload, fin=fin, rsv=rsv, key=key) == frame


@pytest.mark.parametrize("opcode", [CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG])
@pytest.mark.parametrize("masked", [False, True])
def test_encode_frame_agrees_with_websockets(opcode, masked):
    for size in SIZES:
        fins = [True]
        if opcode >= CLOSE and size > 125:
            break
        if opcode < CLOSE:
            fins.append(False)
        for fin in fins:
            frame = Frame(opcode, b"x" * size, fin).serialize(mask=masked)
            start = len(frame) - size
            key = frame[start - 4 : start] if masked else None
            assert encode_frame(opcode, b"x" * size, fin=fin, key=key) == frame


@examples(100)
@given(text=st.text(), key=keys)
def test_round_trip(text, key):
    frames = encode_frame(TEXT, text.encode(), key=key) + encode_frame(BINARY, text.encode(), key=key)
    assert FrameReader(10_000, 1).feed(frames) == [("message", text), ("message", text.encode())]


@pytest.mark.parametrize("key", [b"", b"123", b"12345"])
def test_a_key_has_four_bytes(key):
    with pytest.raises(ValueError, match="4 bytes"):
        encode_frame(TEXT, b"", key=key)
