"""The requests of a connection, as the sessions of hyperws read them and as llhttp reads the same bytes.

What hyperws takes, llhttp takes too, and reads it in the same way: method, target, version, headers, body,
whether the connection stays, where the request ends. What only one of them takes is named in
`llhttp_differences.py`.

Input: a byte and two cuts, then the stream: raw, or where that byte is odd, as `described` has it. One more
request, END, is appended, which shows where the one before it ended.
"""

from __future__ import annotations

import atexit
from dataclasses import dataclass, field
from itertools import combinations

from hyperws import BadRequest, Limits, Server
from hyperws._core.portable import Portable
from hyperws.application import Application

from .llhttp_differences import FRAMING_IN_TRAILER, IGNORED_UPGRADE, NO_HANDSHAKE, OTHERWISE, STRICTER
from .llhttp_reading import Reading
from .source import Source
from .world import Loop, Peer

LIMITS = Limits(max_head_size=2000, max_headers=20, max_body_size=1000, receive_queue=200)
END = b"GET /end HTTP/1.1\r\nHost: end\r\n\r\n"
UNFINISHED = "the request ended before its body did"

loop = Loop()
atexit.register(loop.close)

# ---------------------------------------------------------------------- hyperws's side


@dataclass
class Taken:
    """A request that hyperws has handed to the application."""

    request: object
    body: bytes = b""
    is_complete: bool = False
    has_socket: bool = False


class Watching(Application):
    """Keeps what it is asked for, and the status of what is refused before or while it is read."""

    def __init__(self):
        super().__init__(build_server(self), loop)
        self.taken = []
        self.refusal = None

    def request(self, http, request):
        self.taken.append(Taken(request))
        super().request(http, request)

    def bad_request(self, http, error, request):
        if self.taken and self.taken[-1].request is request:
            self.taken.pop()
        self.refusal = error.status
        super().bad_request(http, error, request)


def build_server(watching):
    """It serves a WebSocket at /socket, and answers everything else with 404 when its body is read."""
    server = Server(limits=LIMITS, allowed_origins="*")

    @server.request_middleware
    async def read(ctx):
        taken = watching.taken[-1]
        try:
            async for piece in ctx.body():
                taken.body += piece
            taken.is_complete = True
        except BadRequest as error:
            if error.text != UNFINISHED:
                watching.taken.pop()
                watching.refusal = error.status
            raise

    @server.route("/socket", websocket=True)
    async def socket(ctx):
        watching.taken[-1].has_socket = True
        async for _ in ctx:
            pass

    return server


def serve(pieces):
    """A Watching application that got `pieces` on one connection, each read by itself, and then its end."""
    watching = Watching()
    loop.begin()
    driver = Portable(loop, LIMITS, watching, True)
    peer = Peer(driver, 1)
    sending = send(peer, pieces)

    def step():
        for _ in sending:
            loop.call_soon(step)
            return

    loop.call_soon(step)
    loop.run_forever()
    driver.close()
    assert not loop.errors, loop.errors
    assert not driver.connections
    return watching


def send(peer, pieces):
    """Let the server read each piece, and take its turns until it reads more."""
    for piece in pieces:
        peer.coming += piece
        while peer.coming and not peer.transport.closing:
            peer.deliver(len(peer.coming))
            yield
    peer.ended = True
    while peer.ended and not peer.transport.closing:
        peer.deliver(0)
        yield


# ------------------------------------------------------------------------ both of them


@dataclass
class Verdict:
    """What they came to.

    `ours` is how hyperws ended: a status, "closed", "upgraded", "stopped" behind a handshake that it refused,
    "waits", or "" where it has read all. `theirs` is what llhttp does there: "refuses", "upgrades",
    "reads on", "waits", or "" where it was not asked.
    """

    requests: int = 0       # that both have read alike
    ours: int | str = ""
    theirs: str = ""
    differences: set = field(default_factory=set)


def one_input(data):
    source = Source(data)
    how = source.byte()
    cut = source.cuts()
    compare(cut((described(source) if how & 1 else source.rest()) + END))


def compare(pieces):
    """The Verdict on a stream. Raises AssertionError where the two disagree and no difference tells why."""
    verdict = Verdict()
    watching = serve(pieces)
    stream = b"".join(pieces)
    for taken in watching.taken:
        assert not verdict.ours, "hyperws reads on behind its last request"
        is_last = taken is watching.taken[-1] and watching.refusal is None
        ends_in_handshake = is_last and taken.request.wants_websocket
        reading, size = agree(taken, stream, ends_in_handshake, verdict.differences)
        verdict.requests += 1
        if ends_in_handshake:
            verdict.ours = "upgraded" if taken.has_socket else "stopped"
            verdict.theirs = behaviour(reading)
            if not reading.is_upgrade:
                assert not taken.has_socket
                assert NO_HANDSHAKE.applies(reading, LIMITS)
                verdict.differences.add(NO_HANDSHAKE.name)
        elif not taken.is_complete:
            verdict.ours = verdict.theirs = "waits"
        elif not taken.request.keep_alive:
            verdict.ours = "closed"
        stream = stream[size:]
    if not verdict.ours and stream:
        end(watching.refusal, stream, verdict)
    return verdict


def agree(taken, stream, ends_in_handshake, differences):
    """Both read `taken` at the beginning of `stream`. Returns llhttp's Reading and the request's size."""
    head = taken.request.head
    empty = b""
    while stream.startswith(b"\r\n", len(empty)):
        empty += b"\r\n"
    assert stream.startswith(empty + head), "hyperws reads a request where llhttp has none"
    check_request(taken.request, head)
    behind = stream[len(empty + head):]

    for count in range(len(OTHERWISE) + 1):     # the fewest differences by which they agree
        for chosen in combinations(OTHERWISE, count):
            rewritten = head
            for difference in chosen:
                rewritten = difference.rewrite(rewritten)
            reading, in_trailer = read(empty + rewritten + behind)
            if says(reading, ends_in_handshake) == expected(taken, rewritten, ends_in_handshake):
                differences |= {difference.name for difference in [*chosen, *in_trailer]}
                return reading, (reading.size or 0) - len(rewritten) + len(head)
    reading = Reading(stream)
    raise AssertionError((says(reading, False), expected(taken, head, False), reading.error))


def read(data):
    """(llhttp's Reading, the differences that it took)"""
    reading = Reading(data)
    if reading.error and reading.trailer is not None:
        trailer, *rest = data[reading.trailer:].partition(b"\r\n\r\n")
        rewritten = FRAMING_IN_TRAILER.rewrite(trailer)
        if rewritten != trailer:
            return Reading(b"".join([data[:reading.trailer], rewritten, *rest])), [FRAMING_IN_TRAILER]
    return reading, []


def check_request(request, head):
    """What hyperws says of a request is what its head says."""
    line = f"{request.method} {request.target} HTTP/1."
    assert head.startswith(line.encode())
    minor_version = int(head[len(line) : len(line) + 1])
    assert request.minor_version == min(minor_version, 1)


def says(reading, ends_in_handshake):
    line = (reading.method, reading.target, reading.version)
    found = (line, reading.headers, reading.keep_alive)
    if ends_in_handshake:
        return found
    return (*found, reading.body, reading.size is not None, reading.is_upgrade, reading.error)


def expected(taken, head, ends_in_handshake):
    """What llhttp must say of `head` to agree."""
    line, *lines = head.removesuffix(b"\r\n\r\n").split(b"\r\n")
    method, target, protocol = line.split(b" ")
    headers = [(name, value.strip(b" \t")) for name, _, value in (line.partition(b":") for line in lines)]
    version = protocol.removeprefix(b"HTTP/").decode()
    found = ((method, target, version), headers, taken.request.keep_alive)
    if ends_in_handshake:
        return found
    return (*found, taken.body, taken.is_complete, False, None)


def end(refusal, stream, verdict):
    """Where hyperws has read the last request that it takes."""
    reading = Reading(stream)
    if refusal and reading.is_upgrade:
        reading = Reading(IGNORED_UPGRADE.rewrite(stream))
    verdict.ours = refusal or "waits"
    verdict.theirs = behaviour(reading)
    if refusal is None:
        assert reading.size is None, f"hyperws waits where llhttp has read {reading.method} {reading.target}"
    elif reading.error is None and reading.head_size is not None:
        reasons = {row.name for row in STRICTER if refusal in row.statuses and row.applies(reading, LIMITS)}
        assert reasons, f"hyperws refuses with {refusal} what llhttp reads: {reading.data[:reading.size]}"
        verdict.differences |= reasons


def behaviour(reading):
    if reading.error:
        return "refuses"
    if reading.is_upgrade:
        return "upgrades"
    return "waits" if reading.size is None else "reads on"


# ------------------------------------------------------------------- streams in words

LINES = [
    b"GET / HTTP/1.1", b"POST /a?b HTTP/1.1", b"POST / HTTP/1.0", b"GET /socket HTTP/1.1",
    b"OPTIONS * HTTP/1.1", b"GET http://x:80/a?b HTTP/1.1", b"CONNECT x:443 HTTP/1.1", b"ODD / HTTP/1.7",
    b"PRI * HTTP/2.0", b"GET /", b"DESCRIBE / RTSP/1.0", b"\r\nPUT  /a#b HTTP/1.1",
    b"GET ftp://u@x HTTP/1.1", b"HEAD /%ff HTTP/1.1",
]
HEADERS = [
    b"Host: x", b"Host: x:80", b"Host:", b"Host: x,y", b"X: y", b"X:", b"X:  a \t", b" folded", b"X : y",
    b"X: a\rb", b"X: a\nY: b", b"X: \x00", b"X: \xff", b"Content-Length: 5", b"Content-Length: 05 ",
    b"Content-Length: 5, 5", b"Content-Length: +5", b"Content-Length: 5000", b"content-length: 0",
    b"Transfer-Encoding: chunked", b"transfer-encoding:chunked\t", b"Transfer-Encoding: gzip, chunked",
    b"Transfer-Encoding: ,chunked", b"Transfer-Encoding: identity", b"Transfer-Encoding: chunked;q=1",
    b"Connection: close", b"Connection: keep-alive", b"Connection: keep-alive ,\tclose",
    b"Connection: x, Upgrade", b"Upgrade: h2c", b"Upgrade: x, websocket", b"Sec-WebSocket-Version: 13",
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", b"Proxy-Connection: close", b"Expect: 100-continue",
    b"Expect: x", b"Origin: http://x",
]
BODIES = [
    b"", b"hello", b"5\r\nhello\r\n0\r\n\r\n", b"0\r\n\r\n", b"0\r\nA: b\r\nB: c\r\n\r\n",
    b"0\r\nContent-Length: 5\r\n\r\n", b'5;a;b=c;d="\\""\r\nhello\r\n00\r\n\r\n',
    b"5;;a=\r\nhello\r\n0\r\n\r\n", b"05 ;a\r\nhello\r\n0\r\n\r\n", b"5\nhello\n0\n\n",
    b"5\r\nhello0\r\n\r\n", b"0x5\r\nhello\r\n0\r\n\r\n", b"0000000000000005\r\nhello\r\n0\r\n\r\n",
    b"0\r\nA: b\r\n c\r\n\r\n", b"ffffffffffffffff\r\n",
]


def described(source):
    """Requests of the lines above, each perhaps with some bytes replaced."""
    stream = b""
    while source:
        lines = [source.choice(LINES)]
        lines += [source.choice(HEADERS) for _ in range(source.byte() % 8)]
        request = b"\r\n".join(lines) + b"\r\n\r\n" + source.choice(BODIES)
        damage = source.byte()
        if damage & 1:
            at = source.byte() % len(request)
            request = request[:at] + source.take(damage >> 1 & 3) + request[at + (damage >> 3 & 3):]
        stream += request
    return stream
