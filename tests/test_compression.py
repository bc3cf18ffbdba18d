"""permessage-deflate as clients and handlers see it: what is agreed on, and what is then compressed."""

import asyncio
import zlib
from types import SimpleNamespace

import aiohttp
import pytest
from isal import isal_zlib
from websockets.asyncio.client import connect
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory

from hyperws import Compression, ConfigurationError, Server

from .core.oracle_websocket import RSV1, TEXT, write
from .core.peer import HANDSHAKE, Peer

KEEPING = Compression(server_no_context_takeover=False, client_no_context_takeover=False, threshold=0)
TEXTS = ["", "hello", "naïve €\U0001f600" * 500, "hello", "x" * 300_000]
MESSAGES = [*TEXTS, *(text.encode() for text in TEXTS), "hello"]


async def echo(ctx):
    async for message in ctx:
        await ctx.send(message)


def echoing(compression=True, **options):
    return Server(compression=compression, **options).route("/", echo)


def offer(*values):
    lines = "".join(f"Sec-WebSocket-Extensions: {value}\r\n" for value in values)
    return HANDSHAKE[:-2] + lines.encode() + b"\r\n"


async def answer_to(running, handshake):
    """(status, Sec-WebSocket-Extensions or None) of a handshake's answer."""
    peer = await Peer.connect(running.host, running.port)
    try:
        peer.write(handshake)
        status, *lines = (await peer.read_head()).decode().split("\r\n")
    finally:
        peer.close()
    return int(status.split()[1]), dict(line.split(": ", 1) for line in lines).get("sec-websocket-extensions")


# ----------------------------------------------------------------------------------- the agreement


@pytest.mark.parametrize(
    ("compression", "offers", "answer"),
    [
        (KEEPING, ["permessage-deflate"], ""),
        (KEEPING, ["permessage-deflate; server_no_context_takeover"], "server_no_context_takeover"),
        (KEEPING, ["permessage-deflate; client_no_context_takeover"], "client_no_context_takeover"),
        (KEEPING, ["permessage-deflate; client_max_window_bits"], ""),
        (KEEPING, ["permessage-deflate; client_max_window_bits=8"], "client_max_window_bits=8"),
        (KEEPING, ["permessage-deflate; client_max_window_bits=10"], "client_max_window_bits=10"),
        (KEEPING, ["permessage-deflate; server_max_window_bits=9"], "server_max_window_bits=9"),
        (KEEPING, ['permessage-deflate; server_max_window_bits="1\\0"'], "server_max_window_bits=10"),
        # section 7.1.2.1: accepted by saying so
        (KEEPING, ["permessage-deflate;server_max_window_bits = 15 ;\tserver_no_context_takeover"],
         "server_no_context_takeover; server_max_window_bits=15"),
        (True, ["permessage-deflate"], "server_no_context_takeover; client_no_context_takeover"),
        (Compression(server_max_window_bits=11, client_max_window_bits=12), ["permessage-deflate"],
         "server_no_context_takeover; client_no_context_takeover; server_max_window_bits=11"),
        (Compression(server_max_window_bits=11, client_max_window_bits=12),
         ["permessage-deflate; client_max_window_bits; server_max_window_bits=13"],
         "server_no_context_takeover; client_no_context_takeover; server_max_window_bits=11; "
         "client_max_window_bits=12"),
        # the first offer that can be met
        (KEEPING, ["x-other; a=1, permessage-deflate; server_max_window_bits=8, permessage-deflate; "
                   "server_max_window_bits=12, permessage-deflate"], "server_max_window_bits=12"),
        (KEEPING, ["permessage-deflate; unknown", "permessage-deflate"], ""),
        # declined (RFC 7692, section 7.1)
        (KEEPING, ["permessage-deflate; unknown"], None),
        (KEEPING, ["permessage-deflate; server_max_window_bits"], None),
        (KEEPING, ["permessage-deflate; server_max_window_bits=8"], None),
        (KEEPING, ["permessage-deflate; server_max_window_bits=7"], None),
        (KEEPING, ["permessage-deflate; server_max_window_bits=16"], None),
        (KEEPING, ["permessage-deflate; server_max_window_bits=015"], None),
        (KEEPING, ["permessage-deflate; server_max_window_bits=15; server_max_window_bits=15"], None),
        (KEEPING, ["permessage-deflate; client_max_window_bits=7"], None),
        (KEEPING, ["permessage-deflate; client_max_window_bits=16"], None),
        (KEEPING, ["permessage-deflate; client_max_window_bits=+9"], None),
        (KEEPING, ["permessage-deflate; client_max_window_bits; client_max_window_bits=9"], None),
        (KEEPING, ["permessage-deflate; server_no_context_takeover=1"], None),
        (KEEPING, ["permessage-deflate; client_no_context_takeover=true"], None),
        (KEEPING, ["permessage-deflate; client_no_context_takeover; client_no_context_takeover"], None),
        (KEEPING, ["x-webkit-deflate-frame"], None),
        (False, ["permessage-deflate"], None),
    ],
)
async def test_what_is_agreed_on(serving, compression, offers, answer):
    async with serving(echoing(compression)) as running:
        status, agreed = await answer_to(running, offer(*offers))
    assert status == 101
    assert agreed == (None if answer is None else "; ".join(["permessage-deflate", *filter(None, [answer])]))


async def test_no_offer_no_agreement(serving):
    async with serving(echoing()) as running:
        assert await answer_to(running, HANDSHAKE) == (101, None)


@pytest.mark.parametrize(
    "value",
    ["", ",", ";", "permessage-deflate;", "permessage-deflate; =1", "permessage-deflate; a=", "a b",
     'a; b="', 'a; b="c', 'a; b="c\\"', 'a; b=""', 'a; b="c d"', 'a; b="c"d', "a; b=c d", "a=b", "a; b=c=d",
     "é"],
)
async def test_a_malformed_offer_is_refused(serving, value):
    async with serving(echoing()) as running:
        assert await answer_to(running, offer(value)) == (400, None)


# ---------------------------------------------------------------------------------- with real clients


@pytest.mark.parametrize("compression", [True, KEEPING, Compression(server_max_window_bits=9, threshold=0)])
@pytest.mark.parametrize(
    "wanted",
    [{}, {"client_max_window_bits": 9}, {"server_max_window_bits": 15},
     {"server_max_window_bits": 9, "server_no_context_takeover": True},
     {"client_no_context_takeover": True, "client_max_window_bits": True}],
)
async def test_websockets_as_client(serving, compression, wanted):
    extension = ClientPerMessageDeflateFactory(**wanted)
    async with serving(echoing(compression)) as running:
        async with connect(running.ws(), extensions=[extension], compression=None) as websocket:
            assert websocket.protocol.extensions
            for message in MESSAGES:
                await websocket.send(message)
                assert await websocket.recv() == message


@pytest.mark.parametrize("compression", [True, KEEPING])
@pytest.mark.parametrize("bits", [9, 15])
async def test_aiohttp_as_client(serving, compression, bits):
    async with serving(echoing(compression)) as running, aiohttp.ClientSession() as session:
        async with session.ws_connect(running.ws(), compress=bits) as websocket:
            assert websocket.compress
            for message in MESSAGES:
                await (websocket.send_str if isinstance(message, str) else websocket.send_bytes)(message)
                assert (await websocket.receive()).data == message


async def test_compressed_in_fragments_both_ways(serving):
    text = "again and again, " * 500
    async with serving(echoing(KEEPING, fragment_size=10)) as running:
        async with connect(running.ws()) as websocket:
            for _ in range(3):
                await websocket.send([text[:100], "", text[100:]])
                assert await websocket.recv() == text


# ----------------------------------------------------------------------------- what is compressed when


async def met(running, *offers):
    """A peer after its handshake."""
    peer = await Peer.connect(running.host, running.port)
    peer.write(offer(*offers))
    await peer.read_head()
    return peer


async def next_frame(peer):
    """(reserved bits, payload) of the next frame, which is short."""
    first, size = await peer.take(2)
    return first >> 4 & 7, await peer.take(size)


@pytest.mark.parametrize(
    ("size", "compress", "compressed"),
    [(50, None, False), (100, None, True), (50, True, True), (100, False, False)],
)
async def test_by_threshold_or_by_choice(serving, size, compress, compressed):
    server = Server(compression=Compression(threshold=100))

    @server.route("/", websocket=True)
    async def handler(ctx):
        await ctx.send("a" * size, compress=compress)
        ctx.subscribe("topic")
        server.publish("topic", "a" * size, compress=compress)

    async with serving(server) as running:
        peer = await met(running, "permessage-deflate")
        found = [await next_frame(peer) for _ in range(2)]
        peer.close()
    for rsv, payload in found:
        assert rsv == (RSV1 if compressed else 0)
        if compressed:
            payload = zlib.decompressobj(-15).decompress(payload + b"\x00\x00\xff\xff")
        assert payload == b"a" * size


async def test_asking_for_it_where_it_was_not_agreed_on_is_no_error(serving):
    server = Server(compression=True)

    @server.route("/", websocket=True)
    async def handler(ctx):
        await ctx.send("a" * 100, compress=True)

    async with serving(server) as running:
        peer = await Peer.connect(running.host, running.port)
        peer.write(HANDSHAKE)
        await peer.read_head()
        assert await next_frame(peer) == (0, b"a" * 100)
        peer.close()


class Counting:
    """A backend that counts what is made of it, and what it was given to compress."""

    error = zlib.error

    def __init__(self):
        self.compressors = self.decompressors = self.compressed = 0

    def decompressobj(self, *settings):
        self.decompressors += 1
        return zlib.decompressobj(*settings)

    def compressobj(self, *settings):
        self.compressors += 1
        compressor = zlib.compressobj(*settings)

        def compress(data):
            self.compressed += 1
            return compressor.compress(data)

        return SimpleNamespace(compress=compress, flush=compressor.flush)

    def counted(self):
        """(compressors, decompressors, messages compressed) since the last call."""
        counts = self.compressors, self.decompressors, self.compressed
        self.__init__()
        return counts


async def many(running, count, *offers):
    return [await met(running, *offers) for _ in range(count)]


async def said_by(peers):
    payloads = [(await next_frame(peer))[1] for peer in peers]
    return [zlib.decompressobj(-15).decompress(payload + b"\x00\x00\xff\xff") for payload in payloads]


@pytest.mark.parametrize(("no_takeover", "expected"), [(True, (1, 0, 1)), (False, (5, 0, 5))])
async def test_what_is_published_is_compressed_once_where_no_context_is_kept(serving, no_takeover, expected):
    backend = Counting()
    server = Server(compression=Compression(server_no_context_takeover=no_takeover, backend=backend))

    @server.route("/", websocket=True)
    async def handler(ctx):
        ctx.subscribe("topic")
        async for message in ctx:
            server.publish("topic", message)

    async with serving(server) as running:
        backend.counted()
        peers = await many(running, 5, "permessage-deflate")
        assert backend.counted() == (0, 0, 0)   # nothing is made before it is needed
        peers[0].send("a" * 256)
        assert await said_by(peers) == [b"a" * 256] * 5
        assert backend.counted() == expected
        for peer in peers:
            peer.close()


async def test_a_connection_at_rest_keeps_nothing(serving):
    """One compressor serves all connections, and what inflated a message is gone after it."""
    backend = Counting()
    async with serving(echoing(Compression(backend=backend))) as running:
        backend.counted()
        peers = await many(running, 5, "permessage-deflate")
        content = b"a" * 256
        compressor = zlib.compressobj(wbits=-15)
        payload = (compressor.compress(content) + compressor.flush(zlib.Z_SYNC_FLUSH))[:-4]
        for turn in range(2):
            for peer in peers:
                peer.write(write(TEXT, payload, rsv=RSV1, key=b"abcd"))
            assert await said_by(peers) == [content] * 5
            assert backend.counted() == (1 - turn, 5, 5)
        for peer in peers:
            peer.close()


# --------------------------------------------------------------------------------------- the settings


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"server_max_window_bits": 8}, "9 to 15"),
        ({"client_max_window_bits": 16}, "9 to 15"),
        ({"client_max_window_bits": True}, "9 to 15"),
        ({"server_no_context_takeover": 1}, "True or False"),
        ({"memory_level": 0}, "1 to 9"),
        ({"level": 10}, "-1 to 9"),
        ({"level": -2}, "-1 to 9"),
        ({"threshold": -1}, "0 or more"),
        ({"backend": asyncio}, "can't work with these settings"),
        ({"backend": "zlib"}, "can't work with these settings"),
        ({"backend": isal_zlib, "level": 6}, "can't work with these settings"),
    ],
)
def test_settings_that_make_no_sense_are_told(settings, told):
    with pytest.raises(ConfigurationError, match=told):
        Compression(**settings)
