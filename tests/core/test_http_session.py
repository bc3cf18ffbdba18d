"""Requests on a live connection, in pieces and in a row."""

from __future__ import annotations

import asyncio
import socket
from contextlib import asynccontextmanager

import pytest

from hyperws import Limits, Server

from .peer import HANDSHAKE, Peer, frame_of
from .pieces import cut_points
from .test_http import INVALID, LIMITS

GET = b"GET /echo?a=b HTTP/1.1\r\nHost: x\r\n\r\n"
POST = b"POST /echo HTTP/1.1\r\nHost: x\r\nX-Y: z\r\nContent-Length: 11\r\n\r\nhello\r\n\r\n\x00\xff"

SLOW = GET.replace(b"/echo", b"/slow")

ANSWERS = {GET: b"GET a=b ", POST: b"POST  hello\r\n\r\n\x00\xff"}


class Site:
    """A server, its peers, and a bystander by whose round trips it is known what the server has read."""

    def __init__(self, running):
        self.running = running
        self.peers = []

    async def peer(self):
        self.peers.append(await Peer.connect(self.running.host, self.running.port))
        return self.peers[-1]

    async def has_read(self):
        """Wait until the server has read what was sent before."""
        self.bystander.write(b"GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n")
        assert await self.bystander.response() == (200, b"")

    async def in_pieces(self, peer, *pieces):
        """Send pieces, each of which the server reads by itself."""
        for piece in pieces[:-1]:
            peer.write(piece)
            await self.has_read()
        peer.write(pieces[-1])


def make_server():
    head_size, headers, body_size = LIMITS
    server = Server(limits=Limits(max_head_size=head_size, max_headers=headers, max_body_size=body_size))

    @server.route("/", websocket=True)
    async def echo(ctx):
        async for message in ctx:
            await ctx.send(message)

    @server.route("/echo", methods=["GET", "POST"])
    async def describe(ctx):
        await ctx.send(f"{ctx.method} {ctx.request.query} ".encode() + await ctx.get_request_body())

    @server.route("/nothing", methods=["GET"])
    async def nothing(ctx):
        pass

    return server


def make_slow_server():
    """A server, and the event without which it does not answer SLOW."""
    server = make_server()
    go_on = asyncio.Event()

    @server.route("/slow", methods=["GET"])
    async def slow(ctx):
        await go_on.wait()
        await ctx.send(b"slow")

    return server, go_on


@pytest.fixture
def visiting(serving):
    """`async with visiting() as site:` is a Site."""

    @asynccontextmanager
    async def visiting(server=None):
        async with serving(server or make_server()) as running:
            site = Site(running)
            site.bystander = await site.peer()
            try:
                yield site
            finally:
                for peer in site.peers:
                    peer.close()

    return visiting


@pytest.mark.parametrize("request_", [GET, POST], ids=["GET", "POST"])
async def test_every_cut_in_two_on_one_connection(visiting, request_):
    async with visiting() as site:
        peer = await site.peer()
        for point in range(1, len(request_)):
            await site.in_pieces(peer, request_[:point], request_[point:])
            assert await peer.response() == (200, ANSWERS[request_]), point


@pytest.mark.parametrize("request_", [GET, POST], ids=["GET", "POST"])
async def test_byte_by_byte(visiting, request_):
    async with visiting() as site:
        peer = await site.peer()
        for _ in range(2):
            await site.in_pieces(peer, *[bytes([byte]) for byte in request_])
            assert await peer.response() == (200, ANSWERS[request_])


async def test_requests_in_a_row_are_answered_in_order(visiting):
    requests = [GET, POST, POST, GET, b"GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n", POST]
    answers = [(200, ANSWERS.get(request, b"")) for request in requests]
    data = b"".join(requests)
    async with visiting() as site:
        peer = await site.peer()
        peer.write(data)
        assert [await peer.response() for _ in requests] == answers
        for point in range(1, len(data), 3):
            await site.in_pieces(peer, data[:point], data[point:])
            assert [await peer.response() for _ in requests] == answers, point


async def test_a_request_waits_for_the_answer_before_it(visiting):
    server, go_on = make_slow_server()
    served = []

    @server.route("/quick", methods=["GET"])
    async def quick(ctx):
        served.append("quick")
        await ctx.send(b"quick")

    async with visiting(server) as site:
        peer = await site.peer()
        peer.write(SLOW + GET.replace(b"/echo", b"/quick"))
        for _ in range(3):
            await site.has_read()
        assert not served
        go_on.set()
        assert [await peer.response(), await peer.response()] == [(200, b"slow"), (200, b"quick")]


async def test_a_peer_that_sends_far_ahead_is_held_back(visiting):
    server, go_on = make_slow_server()
    async with visiting(server) as site:
        peer = await site.peer()
        peer.write(SLOW)
        assert not await peer.flood(GET * 1000, 2000)
        peer.vanish()
        go_on.set()
        for _ in range(3):
            await site.has_read()


async def test_a_peer_that_was_held_back_gets_every_answer(visiting):
    server, go_on = make_slow_server()
    async with visiting(server) as site:
        peer = await site.peer()
        requests = [GET.replace(b"a=b", b"%d" % number) for number in range(3000)]
        assert await peer.flood(SLOW + b"".join(requests), 1)
        await site.has_read()
        go_on.set()
        assert await peer.response() == (200, b"slow")
        for number in range(len(requests)):
            assert await peer.response() == (200, b"GET %d " % number)


async def test_a_handshake_and_its_first_messages_at_every_cut(visiting):
    data = HANDSHAKE + frame_of("hello") + frame_of(b"\x00")
    async with visiting() as site:
        for point in range(1, len(data)):
            peer = await site.peer()
            await site.in_pieces(peer, data[:point], data[point:])
            assert (await peer.read_head()).startswith(b"HTTP/1.1 101 ")
            assert await peer.messages(2) == ["hello", b"\x00"], point


async def refusal(peer):
    """The status of the only answer, after which the server ends the connection."""
    status, _ = await peer.response()
    with pytest.raises(EOFError):
        await peer.read_some()
    assert peer.came == b""
    return status


async def test_what_is_refused_is_answered_once_and_the_connection_closed(visiting):
    async with visiting() as site:
        for name, (status, data) in INVALID.items():
            if data.startswith(b"\r\n"):
                continue
            peer = await site.peer()
            peer.write(data + GET)
            assert await refusal(peer) == status, name


@pytest.mark.parametrize("name", ["a folded header", "a length and chunked", "HTTP/2.0", "no host"])
async def test_refused_at_every_cut(visiting, name):
    status, data = INVALID[name]
    async with visiting() as site:
        for point in cut_points(len(data)):
            peer = await site.peer()
            await site.in_pieces(peer, data[:point], data[point:])
            assert await refusal(peer) == status, point


async def test_a_head_that_trickles_in_is_bounded(visiting):
    data = b"GET / HTTP/1.1\r\n" + b"A: " + b"b" * 3000
    async with visiting() as site:
        peer = await site.peer()
        for begin in range(0, LIMITS[0] + 100, 100):
            peer.write(data[begin:begin + 100])
            await site.has_read()
        assert await refusal(peer) == 431


async def test_the_body_of_a_refused_handshake_is_no_request(visiting):
    smuggled = GET.replace(b"/echo", b"/smuggled")
    data = HANDSHAKE.replace(b"\r\n\r\n", b"\r\nContent-Length: %d\r\n\r\n" % len(smuggled)) + smuggled
    async with visiting() as site:
        for point in (len(data), data.index(b"GET /smuggled")):
            peer = await site.peer()
            await site.in_pieces(peer, data[:point], data[point:] + b"\r\n")
            assert await refusal(peer) == 400


async def test_continue(visiting):
    head, _, body = POST.partition(b"\r\n\r\n")
    head += b"\r\nExpect: 100-continue\r\n\r\n"
    async with visiting() as site:
        peer = await site.peer()
        peer.write(head)
        assert await peer.read_head() == b"HTTP/1.1 100 Continue"
        peer.write(body)
        assert await peer.response() == (200, ANSWERS[POST])
        peer.write(head + body)    # one that does not wait is not told to go on
        assert await peer.response() == (200, ANSWERS[POST])


@pytest.mark.parametrize(("request_", "stays"), [
    (GET, True),
    (GET.replace(b"Host: x", b"Host: x\r\nConnection: close"), False),
    (GET.replace(b"HTTP/1.1", b"HTTP/1.0"), False),
    (GET.replace(b"HTTP/1.1\r\n", b"HTTP/1.0\r\nConnection: keep-alive\r\n"), True),
], ids=["1.1", "1.1 close", "1.0", "1.0 keep-alive"])
async def test_whether_the_connection_stays(visiting, request_, stays):
    async with visiting() as site:
        peer = await site.peer()
        peer.write(request_ + GET)
        assert await peer.response() == (200, ANSWERS[GET])
        if stays:
            assert await peer.response() == (200, ANSWERS[GET])
        else:
            with pytest.raises(EOFError):
                await peer.read_some()


async def test_one_empty_line_before_a_request_is_passed_over(visiting):
    async with visiting() as site:
        peer = await site.peer()
        for point in range(2, len(GET) + 2):
            data = b"\r\n" + GET
            await site.in_pieces(peer, data[:point], data[point:])
            assert await peer.response() == (200, ANSWERS[GET]), point


async def test_an_empty_line_in_two_pieces_is_passed_over(visiting):
    async with visiting() as site:
        peer = await site.peer()
        await site.in_pieces(peer, b"\r", b"\n" + GET)
        assert await peer.response() == (200, ANSWERS[GET])


@pytest.mark.parametrize("pieces", [1, 2])
async def test_what_follows_the_last_request_is_read_and_dropped(visiting, pieces):
    """A peer that sends on before it looks at the answer must not be held back, nor lose it by a reset."""
    last = b"GET /missing HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    data = last + GET * 100     # more than a head may have
    async with visiting() as site:
        peer = await site.peer()
        await site.in_pieces(peer, *([data] if pieces == 1 else [data[:10], data[10:]]))
        await site.has_read()
        assert await peer.flood(GET * 1000, 500)
        assert (await peer.response())[0] == 404


async def test_requests_in_a_row_before_the_end_of_input_are_all_answered(visiting):
    async with visiting() as site:
        peer = await site.peer()
        peer.write(GET + GET)
        peer.socket.shutdown(socket.SHUT_WR)
        assert [await peer.response() for _ in range(2)] == [(200, ANSWERS[GET])] * 2
