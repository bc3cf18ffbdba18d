"""Attacks by how peers behave: they don't read, don't finish, flood, or are too many."""

import json
import selectors
import time
from contextlib import suppress

import pytest

from .target import (
    BINARY,
    CLOSE,
    PATIENCE,
    PING,
    PONG,
    TEXT,
    frame,
    handshake,
    receive_frame,
    request,
    statuses,
)

SMALL = 4096    # bytes of a receive buffer, so that what the server can't send stays with the server


def test_a_ping_flood_of_a_peer_that_never_reads(target):
    with target.websocket(receive_buffer=SMALL) as peer:
        target.forget_peak()
        before = target.memory("VmHWM")
        thousand = frame(PING, b"x" * 125) * 1_000
        for _ in range(1_000):
            peer.sendall(thousand)
        peer.sendall(frame(PING, b"the last"))
        assert target.memory("VmHWM") - before < 4_000_000
        pongs = [receive_frame(peer)]
        while pongs[-1] != (PONG, b"the last"):
            pongs.append(receive_frame(peer))
    assert set(pongs[:-1]) == {(PONG, b"x" * 125)}
    assert len(pongs) < 100_000


def test_a_subscriber_that_stops_reading(target_with):
    """It is given up at the limit, and the others get all that is published."""
    target = target_with(send_queue=100_000)
    slow = target.websocket("/topic", receive_buffer=SMALL)
    others = [target.websocket("/topic") for _ in range(5)]
    target.forget_peak()
    before = target.memory("VmHWM")
    published = 0
    while ended(target) == []:
        for _ in range(20):
            message = b"%d" % published + b"x" * 10_000
            others[0].sendall(frame(BINARY, message))
            published += 1
            for peer in others:
                assert receive_frame(peer) == (BINARY, message)
        assert published < 10_000
    assert ended(target) == [1013]
    assert target.memory("VmHWM") - before < 2_000_000
    for peer in others:
        peer.sendall(frame(CLOSE))
        assert receive_frame(peer) == (CLOSE, b"")
        peer.close()
    slow.close()


def ended(target):
    answer = target.exchange(request("Connection: close", path="/ended"))
    return json.loads(answer.partition(b"\r\n\r\n")[2])


def test_an_echo_to_a_peer_that_never_reads(target):
    """What it would be sent is not read from it in the first place."""
    target.forget_peak()
    before = target.memory("VmHWM")
    with target.websocket(receive_buffer=SMALL) as peer:
        peer.settimeout(1)
        with pytest.raises(TimeoutError):
            for _ in range(1_000):
                peer.sendall(frame(BINARY, b"x" * 100_000))
    assert target.memory("VmHWM") - before < 4_000_000


@pytest.mark.parametrize("start", [b"", request()[:-2], handshake()[:-2], request("Content-Length: 9999")])
def test_peers_that_never_finish_their_request(target_with, descriptors, start):
    """They say nothing, or a header byte now and then, and never hang up by themselves."""
    target = target_with(handshake_timeout=1, close_timeout=0.5)
    before = target.descriptors()
    peers = [target.connect() for _ in range(min(500, descriptors - 200))]
    with selectors.DefaultSelector() as selector:
        for peer in peers:
            peer.sendall(start)
            selector.register(peer, selectors.EVENT_READ)
        gone = time.monotonic() + PATIENCE
        answers = dict.fromkeys(peers, b"")
        while target.descriptors() > before + 1:     # an event loop may keep one of its own
            assert time.monotonic() < gone
            for key, _ in selector.select(0.1):
                drain(key.fileobj, answers, selector)
            for peer in peers if start else ():
                with suppress(OSError):
                    peer.send(b"x")
    for peer in peers:
        peer.close()
    assert {tuple(statuses(answer)) for answer in answers.values()} == ({(408,)} if start else {()})


def drain(peer, answers, selector):
    try:
        data = peer.recv(1_000)
    except ConnectionResetError:
        data = b""
    answers[peer] += data
    if not data:
        selector.unregister(peer)


def test_more_peers_than_descriptors(target_with):
    target = target_with(files=64)
    friend = target.websocket()
    peers = [target.connect() for _ in range(200)]

    def friend_is_served():
        friend.sendall(frame(TEXT, b"still here"))
        assert receive_frame(friend) == (TEXT, b"still here")

    friend_is_served()
    before = target.cpu()
    time.sleep(1)       # what it costs to be at the limit shows only with time
    assert target.cpu() - before < 200_000_000
    assert target.descriptors() > 60
    friend_is_served()
    for peer in peers:
        peer.close()
    answer, end = b"", time.monotonic() + PATIENCE
    while statuses(answer) != [200]:    # it may turn others away until it has seen that these have left
        assert time.monotonic() < end
        with suppress(ConnectionError):
            answer = target.exchange(request("Connection: close"))
    friend_is_served()
    friend.close()
