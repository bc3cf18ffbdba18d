"""Attacks by compressed messages: bombs, marks where none may be, and offers that can't be met."""

import zlib

import pytest

from .target import (
    BINARY,
    CLOSE,
    CONTINUATION,
    LINEAR,
    MAX_MESSAGE_SIZE,
    PING,
    PONG,
    RSV1,
    TEXT,
    close_code,
    frame,
    handshake,
    receive_all,
    receive_frame,
    statuses,
)

OFFER = "Sec-WebSocket-Extensions: permessage-deflate"
MILLION = 1 << 20


@pytest.fixture(scope="module")
def bomb():
    """A million bytes that inflate to a thousand million."""
    compressor = zlib.compressobj(wbits=-15)
    zeros = bytes(MILLION)
    data = b"".join(compressor.compress(zeros) for _ in range(1024)) + compressor.flush(zlib.Z_SYNC_FLUSH)
    assert len(data) < MILLION + 100_000
    return data[:-4]


def whole(bomb):
    return [frame(BINARY, bomb, rsv=RSV1)]


def in_fragments(bomb):
    pieces = [bomb[at:at + 1_000] for at in range(0, len(bomb), 1_000)]
    return [
        frame(BINARY, pieces[0], rsv=RSV1, fin=False),
        *(frame(CONTINUATION, piece, fin=False) for piece in pieces[1:]),
        frame(CONTINUATION),
    ]


def as_text(bomb):
    return [frame(TEXT, bomb, rsv=RSV1)]


def behind_the_longest(bomb):
    """A message of just the size that is allowed, which goes on."""
    compressor = zlib.compressobj(wbits=-15)
    longest = compressor.compress(bytes(MAX_MESSAGE_SIZE)) + compressor.flush(zlib.Z_FULL_FLUSH)
    return [frame(PING), frame(BINARY, longest, rsv=RSV1, fin=False), frame(CONTINUATION, bomb)]


@pytest.mark.parametrize("form", [whole, in_fragments, as_text, behind_the_longest])
def test_a_bomb(target, bomb, form):
    with target.websocket("/", OFFER) as peer:      # what the first of them needs is there now
        peer.sendall(frame(TEXT, b"x") + frame(CLOSE))
        receive_all(peer)
    target.forget_peak()
    before = target.memory("VmHWM")
    with target.websocket("/", OFFER) as peer:
        for each in form(bomb):
            peer.sendall(each)      # what comes behind the failure is read too, so that its code arrives
        assert close_code(receive_all(peer)) == 1009
    assert target.memory("VmHWM") - before < 2 * MAX_MESSAGE_SIZE


def test_unfinished_bombs(target):
    """A peer can't make the server hold a thousand times what it has sent."""
    compressor = zlib.compressobj(wbits=-15)
    unfinished = compressor.compress(bytes(MAX_MESSAGE_SIZE)) + compressor.flush(zlib.Z_SYNC_FLUSH)
    peers = [target.websocket("/", OFFER) for _ in range(200)]
    before = target.memory()
    for peer in peers:
        peer.sendall(frame(BINARY, unfinished, rsv=RSV1, fin=False) + frame(PING))
    for peer in peers:
        assert receive_frame(peer) == (PONG, b"")
    assert target.memory() - before < 200 * 16_000
    for peer in peers:
        peer.close()


def test_many_bombs_in_one_read(target):
    """Each of them is as long as is allowed, and all of them are shorter than one read."""
    compressor = zlib.compressobj(wbits=-15)
    longest = (compressor.compress(bytes(MAX_MESSAGE_SIZE)) + compressor.flush(zlib.Z_SYNC_FLUSH))[:-4]
    target.forget_peak()
    before = target.memory("VmHWM")
    with target.websocket("/", OFFER) as peer:
        peer.sendall(frame(BINARY, longest, rsv=RSV1) * 60)
        for _ in range(60):
            assert receive_frame(peer)[0] == BINARY
        peer.sendall(frame(CLOSE))
        assert receive_frame(peer) == (CLOSE, b"")
    assert target.memory("VmHWM") - before < 8 * MAX_MESSAGE_SIZE


@pytest.mark.parametrize(
    "frames",
    [
        [frame(PING, rsv=RSV1)],
        [frame(CLOSE, rsv=RSV1)],
        [frame(TEXT, b"x", rsv=2)],
        [frame(TEXT, b"x", rsv=RSV1 | 1)],
        [frame(TEXT, b"x", fin=False), frame(CONTINUATION, b"x", rsv=RSV1)],
        [frame(TEXT, b"x", fin=False, rsv=RSV1), frame(CONTINUATION, b"x", rsv=RSV1)],
    ],
)
def test_marks_where_none_may_be(target, frames):
    with target.websocket("/", OFFER) as peer:
        peer.sendall(b"".join(frames))
        assert close_code(receive_all(peer)) == 1002


@pytest.mark.parametrize(
    "payload", [b"\xff" * 1_000, b"\x04\x00\xff", b"\xf2\x00\x11\x00\x00", b"\x07" * 99_999]
)
def test_what_is_not_compressed(target, payload):
    with target.websocket("/", OFFER) as peer:
        peer.sendall(frame(BINARY, payload, rsv=RSV1))
        assert close_code(receive_all(peer)) == 1007


@pytest.mark.parametrize("block", [b"\x03\x00", b"\x00\x00\x00\xff\xff"])
def test_blocks_that_say_nothing(target, block):
    """Empty last blocks, after each of which all begins anew; and empty ones that are not the last."""

    def attack(size):
        with target.websocket("/", OFFER) as peer:
            peer.sendall(frame(BINARY, block * size + b"\x00", rsv=RSV1))
            assert receive_frame(peer) == (BINARY, b"")

    assert target.growth(attack, 10_000) < LINEAR


@pytest.mark.parametrize(
    "parameter",
    [
        "server_max_window_bits=7",
        "server_max_window_bits=16",
        "server_max_window_bits=015",
        "server_max_window_bits=" + "9" * 4_000,
        "server_max_window_bits",
        "server_max_window_bits=9; server_max_window_bits=9",
        "client_max_window_bits=7",
        "client_max_window_bits=16",
        "client_max_window_bits=-9",
        "server_no_context_takeover=0",
        "unknown",
    ],
)
def test_offers_that_can_not_be_met_are_declined(target, parameter):
    answer = target.exchange(handshake(f"{OFFER}; {parameter}") + frame(CLOSE))
    assert statuses(answer) == [101]
    assert b"permessage-deflate" not in answer
