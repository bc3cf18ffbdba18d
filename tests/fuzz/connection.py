"""Whole connections, on the portable driver: two peers, handlers that react, sockets that stall, time.

Input: which of COMPRESSIONS, then a program, each of whose operations is a byte, perhaps with more that say
how. See `World.run`.
"""

from __future__ import annotations

import asyncio
import atexit
import gc
import logging

from hyperws._core.portable import Portable
from hyperws.application import Application
from hyperws.compression import Compression, Negotiator
from hyperws.handshake import parse_extensions, parse_subprotocols
from hyperws.headers import Headers

from ..core.oracle_websocket import Inflating, read
from ..core.peer import HANDSHAKE, frame_of
from .answers import read_frames, read_requests, read_responses
from .compressed import Sender
from .handlers import LIMITS, PUBLISHED, SUBPROTOCOLS, OnPurpose, build_server
from .source import Source
from .world import Loop, Peer

HEAD_LIMITS = (LIMITS.max_head_size, LIMITS.max_headers, LIMITS.max_body_size)
MESSAGE_LIMITS = (LIMITS.max_message_size, LIMITS.max_message_frames)

COMPRESSIONS = [    # and into what fragments messages are cut
    (None, 1 << 62),
    (Compression(threshold=6, memory_level=1), 1 << 62),
    (Compression(
        server_no_context_takeover=False, client_no_context_takeover=False, server_max_window_bits=9,
        threshold=6, memory_level=1,
    ), 40),
    (None, 40),
]

# what a handshake has, by the bits of a byte
ON_CALLBACK, OFFERS, PROTOCOLS = 1, 2, 4
EXTENSIONS = [
    b"permessage-deflate", b"permessage-deflate; client_max_window_bits",
    b"permessage-deflate; server_no_context_takeover", b"permessage-deflate; client_no_context_takeover",
    b"permessage-deflate; client_max_window_bits=9; server_max_window_bits=10",
    b'other; a="b", permessage-deflate; unknown=1, permessage-deflate;server_max_window_bits="15"',
    b"permessage-deflate; server_max_window_bits=8", b"permessage-deflate;", b"",
]
EXTENSIONS_HEADER = "sec-websocket-extensions"
SUBPROTOCOL_LISTS = [b"chat.v1", b"chat.v1, chat.v2", b"other", b"chat.v1,", b"chat.v1, chat.v1", b"a b", b""]

# what a request has, by the bits of a byte beside the length of its body
CHUNKED, EXPECTS, DAMAGED = 32, 64, 128

METHODS = [b"GET", b"HEAD", b"POST", b"OPTIONS"]
PATHS = [b"/?", b"/callback?", b"/nowhere?"]
VERSIONS = [b"1.1", b"1.1\r\nConnection: close", b"1.0", b"1.0\r\nConnection: keep-alive"]

WINDOW_BITS = 9     # of what peers compress: the least that an answer may ask for

SECONDS = [0.01, 0.5, 3, 10.1, 20.1, 61, 3600]
SILENCE = 5000      # seconds in which whatever has a deadline ends

loop = Loop()
atexit.register(loop.close)
server, records = build_server()
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
        source = Source(data)
        server.negotiator = Negotiator(*source.choice(COMPRESSIONS))
        driver = Portable(loop, LIMITS, Application(server, loop), True)
        world = World(driver, source)
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
        self.senders = [Sender(source, WINDOW_BITS), Sender(source, WINDOW_BITS)]
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
            sender = self.senders[self.peers.index(peer)]
            operation = source.byte()
            compressed = operation & 128
            match operation % 16:
                case 0:     # what the peer has sent is read, and the loop makes a turn
                    peer.deliver(len(peer.coming))
                    yield
                case 1:     # a turn
                    yield
                case 2:     # only so much is read
                    peer.deliver(source.byte())
                case 3:
                    peer.coming += handshake(source)
                case 4:
                    peer.coming += sender.message() if compressed else source.frame()
                case 5:     # a text message, as handlers.py understands it
                    how = source.byte()
                    text = source.take(how & 15).decode("latin-1")
                    peer.coming += sender.text(text, how & 16) if compressed else frame_of(text)
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
        assert not any(gc.get_referents(server.topics)), "a subscriber is left behind"
        for peer in self.peers:
            assert peer.transport.losing
            check_peer(peer, self.undisturbed)


def handshake(source):
    how = source.byte()
    head = HANDSHAKE.replace(b"GET /", b"GET /callback") if how & ON_CALLBACK else HANDSHAKE
    if how & OFFERS:
        head = head[:-2] + b"Sec-WebSocket-Extensions: %b\r\n\r\n" % source.choice(EXTENSIONS)
    if how & PROTOCOLS:
        head = head[:-2] + b"Sec-WebSocket-Protocol: %b\r\n\r\n" % source.choice(SUBPROTOCOL_LISTS)
    return head


def request(source):
    """A request; its query is reactions, as handlers.py understands them."""
    method, path, version = source.choice(METHODS), source.choice(PATHS), source.choice(VERSIONS)
    query = bytes(byte for byte in source.take(source.byte() & 7) if bytes([byte]).isalpha())
    how = source.byte()
    body = source.take(how & 31)
    lines = b"Expect: 100-continue\r\n" if how & EXPECTS else b""
    if how & CHUNKED:
        lines += b"Transfer-Encoding: chunked\r\n"
        cut = len(body) // 2
        body = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in (body[:cut], body[cut:]) if piece)
        body += b"0\r\nTrailer: x\r\n\r\n"
    else:
        lines += b"Content-Length: %d\r\n" % len(body)
    if how & DAMAGED and body:
        at = source.byte() % len(body)
        body = body[:at] + source.take(1) + body[at + 1:]
    return b"%b %b%b HTTP/%b\r\nHost: x\r\n%b\r\n%b" % (method, path, query, version, lines, body)


def check_peer(peer, undisturbed):
    heads, stream = read_requests(bytes(peer.read), *HEAD_LIMITS)
    fields, written = read_responses(bytes(peer.transport.written), heads)
    asked = Headers(heads[-1].headers) if heads else {}
    parameters = agreed(fields, asked) if fields else None
    sent = [event[1] for event in read_frames(written or b"", parameters) if is_own_message(event)]
    record = records.get(peer.client)
    if record is None:
        assert not sent
        return
    if not fields and EXTENSIONS_HEADER in asked:
        return      # the answer that would tell how to read the messages was not sent
    inflating = None if parameters is None else Inflating("client_no_context_takeover" not in parameters)
    events = read(stream, *MESSAGE_LIMITS, inflating=inflating)
    messages = [event[1] for event in events if event[0] == "message"]
    refers_too_far = record.ctx.close_code == 1007 and "client_max_window_bits" in (parameters or ())
    if (
        not undisturbed or not record.undisturbed or record.ctx.close_code == 1013
        or refers_too_far       # the oracle's window is larger than what was agreed on
    ):
        messages = messages[: len(record.received)]
    assert record.received == messages, (record.received, messages)
    assert sent == record.sent[: len(sent)], (sent, record.sent)


def agreed(fields, asked):
    """The parameters of the extension in a 101, None where it has none. All of it was asked for."""
    if protocol := fields.get("sec-websocket-protocol"):
        assert protocol in SUBPROTOCOLS
        assert protocol in parse_subprotocols(asked["sec-websocket-protocol"])
    if EXTENSIONS_HEADER not in fields:
        return None
    ((name, parameters),) = parse_extensions(fields[EXTENSIONS_HEADER])
    assert name in [offer for offer, _ in parse_extensions(asked[EXTENSIONS_HEADER])]
    return dict(parameters)


def is_own_message(event):
    """Whether it is a message that the peer's own handler sent."""
    return event[0] == "message" and not str(event[1]).startswith(PUBLISHED)
