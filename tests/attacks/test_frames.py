"""Attacks by frames: lengths, flags and codes that lie, floods of fragments, segments of one byte."""

import os
import struct

import pytest

from .target import (
    BINARY,
    CLOSE,
    CONTINUATION,
    KEY,
    LINEAR,
    MAX_MESSAGE_SIZE,
    PING,
    PONG,
    TEXT,
    dribble,
    frame,
    receive_all,
    receive_frame,
    request,
    statuses,
)

SANITIZED = "asan" in os.environ.get("LD_PRELOAD", "")

ARENA = 1 << 20     # bytes that Python takes at a time for small objects

NO_CLOSE_CODES = (0, 1, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535)


def declared(opcode, length, *, fin=True):
    """The header of a frame of so many bytes, its length written in 64 bits."""
    return bytes([fin << 7 | opcode, 0xFF]) + struct.pack(">Q", length) + KEY


# ----------------------------------------------------------------------------------------- lengths


@pytest.mark.parametrize(
    ("length", "code"),
    [
        (MAX_MESSAGE_SIZE + 1, 1009),
        (0xFFFF_FFFF, 1009),
        (0x1_0000_0000, 1009),
        (0x7FFF_FFFF_FFFF_FFF0, 1009),
        (0x7FFF_FFFF_FFFF_FFFF, 1009),
        (0x8000_0000_0000_0000, 1002),
        (0xFFFF_FFFF_FFFF_FFF0, 1002),
        (0xFFFF_FFFF_FFFF_FFFF, 1002),
    ],
)
def test_lengths_that_overflow(target, length, code):
    before = target.memory("VmData")
    assert target.talk(declared(BINARY, length)) == code
    assert target.talk(declared(TEXT, length), b"x" * 1_000) == code
    for fin in (True, False):
        continued = frame(BINARY, b"x" * 1_000, fin=False) + declared(CONTINUATION, length, fin=fin)
        assert target.talk(continued + b"x" * 1_000) == code
    assert target.memory("VmData") - before <= ARENA


def test_the_longest_length_without_a_bound(target_with):
    """It is waited for and never allocated; with what came before it, it is too long."""
    target = target_with(max_message_size=None)
    before = target.memory("VmData")
    longest = 0x7FFF_FFFF_FFFF_FFFF
    assert target.talk(frame(BINARY, b"x", fin=False) + declared(CONTINUATION, longest)) == 1009
    with target.websocket() as peer:
        peer.sendall(frame(PING) + declared(BINARY, longest) + b"x" * 1_000)
        assert receive_frame(peer) == (PONG, b"")
        target.check()
        assert target.memory("VmData") - before <= ARENA


@pytest.mark.parametrize("length", [126, 0xFFFF, 0x8000_0000_0000_0000])
@pytest.mark.parametrize("opcode", [CLOSE, PING, PONG])
def test_control_frames_that_are_too_long(target, opcode, length):
    assert target.talk(declared(opcode, length) + b"x" * 1_000) == 1002


def test_declared_lengths_reserve_nothing(target_with, descriptors):
    """Peers that declare the longest message and send none of it, and then one byte of it."""
    number = min(5_000, descriptors - 200)
    target = target_with(handshake_timeout=None)
    sockets = [target.websocket() for _ in range(number // 2)]
    posts = [target.connect() for _ in range(number // 2)]

    def grows(peers, first, then, bytes_each):
        """What peers that send this may make the server use, by what it holds and by what it asked for."""
        used, asked_for = target.memory(), target.memory("VmData")
        for data in (first, then):
            for peer in peers:
                peer.sendall(data)
            target.check()      # the bystanders' turn comes after theirs
        assert target.memory() - used < len(peers) * bytes_each
        assert target.memory("VmData") - asked_for < len(peers) * bytes_each

    try:
        for peer in sockets:
            peer.sendall(frame(PING))
            assert receive_frame(peer) == (PONG, b"")
        for peer in posts:
            peer.sendall(request())
            assert statuses(peer.recv(1_000)) == [200]
        grows(sockets, declared(BINARY, MAX_MESSAGE_SIZE - 1), b"x", 2_000)
        head = request(f"Content-Length: {MAX_MESSAGE_SIZE - 1}", method="POST")
        # its handler runs from the head of a request on: that is what the memory goes to, more under ASan
        grows(posts, head, b"x", 10_000 if SANITIZED else 6_500)
    finally:
        for peer in sockets + posts:
            peer.close()


# -------------------------------------------------------------------------------------------- flags


@pytest.mark.parametrize("rsv", range(1, 8))
@pytest.mark.parametrize("opcode", [TEXT, BINARY, CLOSE, PING, PONG])
def test_reserved_bits_that_nobody_negotiated(target, opcode, rsv):
    assert target.talk(frame(opcode, rsv=rsv)) == 1002


@pytest.mark.parametrize("rsv", range(1, 8))
def test_reserved_bits_of_a_continuation(target, rsv):
    assert target.talk(frame(TEXT, b"x", fin=False) + frame(CONTINUATION, b"x", rsv=rsv)) == 1002


# ------------------------------------------------------------------------------------- close codes


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        *[(struct.pack(">H", number), 1002) for number in NO_CLOSE_CODES],
        (b"\x03", 1002),
        (b"\x03\xe8\xff", 1007),
        (b"\x03\xe8\xc0\x80", 1007),
        (b"\x03\xe8\xed\xa0\x80", 1007),
        (b"\x03\xe8" + "é".encode()[:1], 1007),
    ],
)
def test_close_codes_and_reasons_that_must_not_be_sent(target, payload, code):
    assert target.talk(frame(CLOSE, payload)) == code


@pytest.mark.parametrize("code", [1000, 1003, 1007, 1014, 3000, 4999])
def test_close_codes_that_may_be_sent_are_repeated(target, code):
    assert target.talk(frame(CLOSE, struct.pack(">H", code))) == code


# ------------------------------------------------------------------------------------------ floods


@pytest.mark.parametrize("payload", [b"", b"x"])
@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_a_million_fragments(target, opcode, payload):
    target.forget_peak()
    before = target.memory("VmHWM")
    thousand = frame(CONTINUATION, payload, fin=False) * 1_000
    assert target.talk(frame(opcode, payload, fin=False), *[thousand] * 1_000) == 1008
    assert target.memory("VmHWM") - before < 4_000_000


@pytest.mark.parametrize("payload", [b"", b"x"])
def test_fragments_without_a_bound_cost_no_more_each(target_with, payload):
    target = target_with(max_message_frames=None)

    def attack(size):
        with target.websocket() as peer:
            peer.sendall(frame(TEXT, fin=False) + frame(CONTINUATION, payload, fin=False) * size)
            peer.sendall(frame(CONTINUATION))
            assert receive_frame(peer) == (TEXT, payload * size)

    assert target.growth(attack, 20_000) < LINEAR


def test_a_message_in_segments_of_one_byte(target):
    target.forget_peak()
    before = target.memory("VmHWM")

    def attack(size):
        with target.websocket() as peer:
            dribble(peer, frame(BINARY, b"x" * size))
            assert receive_frame(peer) == (BINARY, b"x" * size)

    assert target.growth(attack, 1_000, rounds=2) < LINEAR
    assert target.memory("VmHWM") - before < 2_000_000


def test_a_head_and_a_body_in_segments_of_one_byte(target):
    def attack(size):
        with target.connect() as peer:
            line = f"Content-Length: {size}"
            dribble(peer, request(line, "X: " + "x" * size, "Connection: close", method="POST"))
            dribble(peer, b"x" * size)
            assert statuses(receive_all(peer)) == [200]

    assert target.growth(attack, 500, rounds=2) < LINEAR


@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_a_byte_of_a_message_costs_no_more_behind_many(target_with, opcode):
    """What has come is not gone through again for each segment."""
    target = target_with(max_message_size=None)

    def cost(before):
        with target.websocket() as peer:
            peer.sendall(frame(opcode, b"x" * before, fin=False) + frame(PING))
            assert receive_frame(peer) == (PONG, b"")
            cpu = target.cpu()
            dribble(peer, frame(CONTINUATION, b"x" * 1_000, fin=False))
            peer.sendall(frame(PING))
            assert receive_frame(peer) == (PONG, b"")
            return target.cpu() - cpu

    few, many = (min(cost(size) for _ in range(2)) for size in (0, 20_000_000))
    assert many / few < 5


def test_a_byte_of_a_head_costs_no_more_behind_many(target_with):
    target = target_with(max_head_size=None)

    def cost(before):
        with target.connect() as peer:
            cpu = target.cpu()
            peer.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX: " + b"x" * before)
            dribble(peer, b"x" * 3_000 + b"\r\n\r\n")
            assert statuses(receive_all(peer)) == [200]
            return target.cpu() - cpu

    few, many = (min(cost(size) for _ in range(2)) for size in (0, 5_000_000))
    assert many / few < 5
