"""Whole connections, on the portable driver: two peers, handlers that react, sockets that stall, time.

Input: a program, each of whose operations is a byte, perhaps with more that say how. See `run`.
"""

from __future__ import annotations

import asyncio
import gc
import logging

from hyperws._core.portable import Portable
from hyperws.application import Application

from ..core.oracle_websocket import read
from ..core.peer import HANDSHAKE, frame_of
from .answers import read_frames, read_requests, read_responses
from .handlers import LIMITS, PUBLISHED, OnPurpose, build_server
from .source import Source
from .world import Loop, Peer

HEAD_LIMITS = (LIMITS.max_head_size, LIMITS.max_headers, LIMITS.max_body_size)
MESSAGE_LIMITS = (LIMITS.max_message_size, LIMITS.max_message_frames)

HANDSHAKES = [HANDSHAKE, HANDSHAKE.replace(b"GET /", b"GET /callback")]
METHODS = [b"GET", b"HEAD", b"POST", b"OPTIONS"]
PATHS = [b"/?", b"/callback?", b"/nowhere?"]
VERSIONS = [b"1.1", b"1.1\r\nConnection: close", b"1.0", b"1.0\r\nConnection: keep-alive"]

SECONDS = [0.01, 0.5, 3, 10.1, 20.1, 61, 3600]
SILENCE = 5000      # seconds in which whatever has a deadline ends

loop = Loop()
server, records = build_server()
application = Application(server, loop)
logger = logging.getLogger("hyperws")


class Log(logging.Handler):
    def emit(self, record):
        self.records.append(record)


log = Log()


def one_input(data):
    loop.begin()
    records.clear()
    log.records = []
    logger.addHandler(log)
    logger.propagate = False
    try:
        driver = Portable(loop, LIMITS, application, True, 100)
        world = World(driver, Source(data))
        loop.call_soon(world.step)
        loop.run_forever()
        world.check()
        driver.close()
    finally:
        logger.propagate = True
        logger.removeHandler(log)


class World:
    def __init__(self, driver, source):
        self.driver = driver
        self.peers = [Peer(driver, 1)]
        self.peer = self.peers[0]
        self.program = self.run(source)
        self.undisturbed = True     # whether all that peers send is received, for all that the server does

    def step(self):
        """Run the program up to the end of the loop's turn."""
        try:
            next(self.program)
        except StopIteration:
            return
        loop.call_soon(self.step)

    def run(self, source):
        while source:
            peer = self.peer
            match source.byte() % 16:
                case 0:     # what the peer has sent is read, and the loop makes a turn
                    peer.deliver(len(peer.coming))
                    yield
                case 1:     # a turn
                    yield
                case 2:     # only so much is read
                    peer.deliver(source.byte())
                case 3:
                    peer.coming += source.choice(HANDSHAKES)
                case 4:
                    peer.coming += source.frame()
                case 5:     # a text message, as handlers.py understands it
                    peer.coming += frame_of(source.take(source.byte() & 15).decode("latin-1"))
                case 6:
                    peer.coming += request(source)
                case 7:
                    peer.coming += source.take(source.byte())
                case 8:
                    loop.now += source.choice(SECONDS)
                case 9:
                    peer.transport.stall(source.byte() * 16)
                case 10:
                    peer.transport.flow()
                case 11:
                    if not peer.transport.losing:
                        peer.transport.pause()
                case 12:
                    peer.ended = True
                case 13:
                    peer.transport.lose(source.choice([None, ConnectionResetError()]))
                case 14:    # the server stops
                    for connection in list(self.driver.connections):
                        connection.session.go_away()
                    self.undisturbed = False
                case 15:    # the other peer
                    if len(self.peers) == 1:
                        self.peers.append(Peer(self.driver, 2))
                    self.peer = self.peers[self.peers[0] is peer]
        for peer in self.peers:
            if not peer.transport.losing:
                peer.transport.flow()
        if loop.now >= LIMITS.ping_interval:
            self.undisturbed = False
        loop.call_later(SILENCE, self.expect_an_end)

    def expect_an_end(self):
        assert not self.driver.connections, "a connection outlives its silent peer"

    def check(self):
        errors = [context.get("exception") for context in loop.errors]
        errors += [record.exc_info[1] if record.exc_info else record for record in log.records]
        for error in errors:
            if not isinstance(error, OnPurpose):
                raise AssertionError(f"unexpected: {error!r}, {loop.errors}") from error
        assert not self.driver.connections, "a connection is left behind"
        assert not asyncio.all_tasks(loop), "a task is left behind"
        # publish() would pass over a subscriber that is left behind: look at the members themselves
        assert gc.get_referents(server.topics) == [{}], "a subscriber is left behind"
        for peer in self.peers:
            assert peer.transport.losing
            check_peer(peer, self.undisturbed)


def request(source):
    """A request; its query is reactions, as handlers.py understands them."""
    method, path, version = source.choice(METHODS), source.choice(PATHS), source.choice(VERSIONS)
    query = bytes(byte for byte in source.take(source.byte() & 7) if bytes([byte]).isalpha())
    body = source.take(source.byte() & 31)
    return b"%b %b%b HTTP/%b\r\nHost: x\r\nContent-Length: %d\r\n\r\n%b" % (
        method, path, query, version, len(body), body,
    )


def check_peer(peer, undisturbed):
    heads, stream = read_requests(bytes(peer.read), *HEAD_LIMITS)
    _, written = read_responses(bytes(peer.transport.written), heads)
    sent = [event[1] for event in read_frames(written or b"") if is_own_message(event)]
    record = records.get(peer.client)
    if record is None:
        assert not sent
        return
    messages = [event[1] for event in read(stream, *MESSAGE_LIMITS) if event[0] == "message"]
    if not undisturbed or not record.undisturbed or record.ctx.close_code == 1013:
        messages = messages[: len(record.received)]
    assert record.received == messages, (record.received, messages)
    assert sent == record.sent[: len(sent)], (sent, record.sent)


def is_own_message(event):
    """Whether it is a message that the peer's own handler sent."""
    return event[0] == "message" and not str(event[1]).startswith(PUBLISHED)
