"""Every field of `Limits`: what fits it, what goes beyond it, and what happens without it."""

import asyncio
import socket
import struct
import sys
from contextlib import suppress
from dataclasses import fields

import pytest
from websockets.asyncio.client import connect

from hyperws import ConnectionClosed, Limits, Server
from hyperws._core.websocket import encode_frame

from .core.oracle_websocket import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT
from .core.peer import HANDSHAKE, KEY, Peer, frame_of

TIMES = [field.name for field in fields(Limits) if field.type == "float | None"]
PATIENCE = 20   # seconds for what must come in the end
A_WHILE = 0.4   # seconds in which what must not come would have come


def request(*lines, method="GET", path="/", body=b""):
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: a", *lines, "", ""]).encode() + body


UPGRADE = request(
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version: 13",
    path="/echo",
)


def frame(opcode, payload=b"", *, fin=True):
    """A frame as clients send it."""
    return encode_frame(opcode, payload, fin=fin, key=KEY)


def close_frame(code, reason=""):
    """A frame as the server sends it."""
    return encode_frame(CLOSE, struct.pack(">H", code) + reason.encode())


def serve(handler=None, **limits):
    """A server with these limits: a page at /, an echo at /echo, and `handler` at /handler."""
    server = Server(limits=Limits(**limits))

    @server.route("/", methods=["GET", "POST"])
    async def page(ctx):
        await ctx.send(f"{len(ctx.headers)} headers and {len(await ctx.get_request_body())} bytes")

    @server.route("/echo")
    async def echo(ctx):
        async for message in ctx:
            await ctx.send(message)

    if handler is not None:
        server.route("/handler", handler)
    return server


async def websocket(running, path="/echo"):
    """A connection after the handshake, without a client library that behaves."""
    reader, writer = await running.raw(UPGRADE.replace(b"/echo", path.encode()))
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
    return reader, writer


async def answered(running, *frames, path="/echo"):
    """What a WebSocket answers to these frames and a close frame."""
    reader, writer = await websocket(running, path)
    writer.writelines([*frames, frame(CLOSE)])
    answer = await asyncio.wait_for(reader.read(), PATIENCE)
    writer.close()
    return answer


async def status(running, head, body=b""):
    answer = await running.exchange(head + body)
    return int(answer.split()[1])


async def nothing_comes(reader):
    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(reader.readexactly(1), A_WHILE)


async def expect(reader, data):
    assert await asyncio.wait_for(reader.readexactly(len(data)), PATIENCE) == data


def test_every_limit_has_a_test():
    for field in fields(Limits):
        assert any(name.startswith(f"test_{field.name}_") for name in globals()), field.name


# --------------------------------------------------------------------------------------- messages


@pytest.mark.parametrize("opcode", [TEXT, BINARY])
async def test_max_message_size_is_of_whole_messages(serving, opcode):
    async with serving(serve(max_message_size=1000)) as running:
        fits = encode_frame(opcode, b"x" * 1000)
        for frames in (
            [frame(opcode, b"x" * 1000)],
            [frame(opcode, b"x" * 999, fin=False), frame(CONTINUATION, b"x")],
            [frame(opcode, b"x" * 600, fin=False), frame(PING), frame(CONTINUATION, b"x" * 400)],
        ):
            assert (await answered(running, *frames)).endswith(fits + encode_frame(CLOSE, b""))
            assert fits in await answered(running, *frames, *frames)     # each message by itself
        too_long = close_frame(1009, "message longer than 1000 bytes")
        for frames in (
            [frame(opcode, b"x" * 1001)],
            [frame(opcode, b"x" * 1000, fin=False), frame(CONTINUATION, b"x")],
            [frame(opcode, b"x", fin=False), frame(CONTINUATION, b"x" * 1000, fin=False)],
        ):
            assert await answered(running, *frames) == too_long


async def test_max_message_size_may_be_none(serving):
    async with serving(serve(max_message_size=None)) as running:
        many = b"x" * (2 * Limits().max_message_size)
        answer = await answered(running, frame(BINARY, many))
        assert answer == encode_frame(BINARY, many) + encode_frame(CLOSE, b"")


async def test_max_message_frames_counts_empty_ones_too(serving):
    async with serving(serve(max_message_frames=10)) as running:
        nine = frame(TEXT, b"x", fin=False) + frame(CONTINUATION, fin=False) * 8
        fits = encode_frame(TEXT, b"xx") + encode_frame(CLOSE, b"")
        assert await answered(running, nine, frame(CONTINUATION, b"x")) == fits
        too_many = close_frame(1008, "message of more than 10 frames")
        assert await answered(running, nine, frame(CONTINUATION, fin=False), frame(CONTINUATION)) == too_many
        assert await answered(running, nine, frame(CONTINUATION, fin=False) * 1000) == too_many


async def test_max_message_frames_may_be_none(serving):
    async with serving(serve(max_message_frames=None)) as running:
        many = frame(CONTINUATION, fin=False) * Limits().max_message_frames
        answer = await answered(running, frame(TEXT, b"a", fin=False), many, frame(CONTINUATION, b"z"))
        assert answer == encode_frame(TEXT, b"az") + encode_frame(CLOSE, b"")


# --------------------------------------------------------------------------------------- requests


async def test_max_head_size_is_of_the_whole_head(serving):
    def head(size):
        start = request("Connection: close", "X: ")
        return start.replace(b"X: ", b"X: " + b"x" * (size - len(start)))

    async with serving(serve(max_head_size=1000)) as running:
        assert await status(running, head(1000)) == 200
        assert await status(running, head(1001)) == 431
        assert await status(running, head(5000)[:1001]) == 431      # it need not have ended
        pipelined = await running.exchange(request() + head(1000))
        assert pipelined.count(b"HTTP/1.1 200 OK") == 2


async def test_max_head_size_may_be_none(serving):
    async with serving(serve(max_head_size=None)) as running:
        size = 10 * Limits().max_head_size
        assert await status(running, request("Connection: close", "X: " + "x" * size)) == 200


async def test_max_headers_counts_each_line(serving):
    async with serving(serve(max_headers=5)) as running:
        lines = ["Connection: close", "X: 1", "X: 2", "Y: 3"]     # and the Host header
        assert await status(running, request(*lines)) == 200
        assert await status(running, request(*lines, "Z: 4")) == 431


async def test_max_headers_may_be_none(serving):
    async with serving(serve(max_headers=None, max_head_size=None)) as running:
        lines = [f"X-{number}: x" for number in range(10 * Limits().max_headers)]
        answer = await running.exchange(request("Connection: close", *lines))
        assert answer.endswith(b"1002 headers and 0 bytes")


async def test_max_body_size_is_judged_by_the_length_that_is_declared(serving):
    def post(size):
        return request("Connection: close", f"Content-Length: {size}", method="POST")

    async with serving(serve(max_body_size=1000)) as running:
        assert await status(running, post(1000), b"x" * 1000) == 200
        assert await status(running, post(1001)) == 413
        assert await status(running, post(1001), b"x" * 1001) == 413


async def test_max_body_size_may_be_none(serving):
    async with serving(serve(max_body_size=None)) as running:
        size = 2 * Limits().max_body_size
        head = request("Connection: close", f"Content-Length: {size}", method="POST")
        assert (await running.exchange(head + b"x" * size)).endswith(f"and {size} bytes".encode())


# ------------------------------------------------------------------------------------ connections


async def assert_no_room(running):
    answer = await running.exchange(b"")
    assert answer == b"HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"


async def room(running):
    """A WebSocket, as soon as it is noticed that somebody has left."""
    async with asyncio.timeout(PATIENCE):
        while True:
            reader, writer = await running.raw(UPGRADE)
            with suppress(ConnectionResetError, asyncio.IncompleteReadError):
                if (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 "):
                    return reader, writer
            writer.close()


@pytest.mark.parametrize("limit", ["max_connections", "max_connections_per_address"])
async def test_max_connections_refuses_further_ones_with_503(serving, limit):
    async with serving(serve(**{limit: 2})) as running:
        one, two = await connect(running.ws("/echo")), await connect(running.ws("/echo"))
        await assert_no_room(running)
        await assert_no_room(running)
        await one.close()
        _, writer = await room(running)
        await assert_no_room(running)
        await two.send("unharmed")
        assert await two.recv() == "unharmed"
        writer.close()
        await two.close()


async def test_max_connections_counts_until_the_handler_has_ended(serving):
    release, started = asyncio.Event(), asyncio.Semaphore(0)

    async def handler(ctx):
        started.release()
        await release.wait()

    async with serving(serve(handler, max_connections=2)) as running:
        for _ in range(2):
            peer = socket.create_connection((running.host, running.port))
            peer.sendall(request(path="/handler"))
            await started.acquire()
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            peer.close()
        await assert_no_room(running)       # though both peers are gone
        release.set()
        _, writer = await room(running)
        writer.close()


@pytest.mark.skipif(sys.platform == "darwin", reason="macOS has one loopback address")
async def test_max_connections_per_address_is_of_each_address(serving):
    async with serving(serve(max_connections_per_address=1)) as running:
        async with connect(running.ws("/echo")):
            await assert_no_room(running)
            async with connect(running.ws("/echo"), local_addr=("127.0.0.2", 0)) as websocket:
                await websocket.send("room for another")
                assert await websocket.recv() == "room for another"


async def test_max_connections_per_address_and_in_all_may_be_none(serving):
    async with serving(serve(max_connections=None, max_connections_per_address=None)) as running:
        websockets = [await connect(running.ws("/echo")) for _ in range(50)]
        for each in websockets:
            await each.send("x")
            assert await each.recv() == "x"
            await each.close()


# ----------------------------------------------------------------------------------------- queues


@pytest.mark.parametrize(("size", "is_read"), [(1000, True), (1001, False)])
async def test_receive_queue_counts_64_bytes_more_for_each_message(serving, size, is_read):
    """A peer whose queue is full is not read, as a ping shows, until half of it has been taken."""
    go_on = asyncio.Event()

    async def handler(ctx):
        await go_on.wait()
        async for message in ctx:
            await ctx.send(str(len(message)))

    async with serving(serve(handler, receive_queue=10 * (64 + 1000))) as running:
        reader, writer = await websocket(running, "/handler")
        writer.write(frame(BINARY, b"x" * 1000) * 9 + frame(BINARY, b"x" * size))
        await running.exchange(request("Connection: close"))    # now they have been read
        writer.write(frame(PING))
        if is_read:
            await expect(reader, encode_frame(PONG, b""))
        else:
            await nothing_comes(reader)
        go_on.set()
        answers = encode_frame(TEXT, b"1000") * 9 + encode_frame(TEXT, str(size).encode())
        rest = await asyncio.wait_for(reader.readexactly(len(answers) + (0 if is_read else 2)), PATIENCE)
        assert rest.replace(encode_frame(PONG, b""), b"") == answers
        writer.close()


async def test_receive_queue_bounds_what_comes_in_one_read(serving):
    """What is behind a full queue waits for its turn: a ping shows it, and no message is lost."""
    go_on, taken = asyncio.Event(), []

    async def handler(ctx):
        await go_on.wait()
        async for message in ctx:
            await asyncio.sleep(0)      # the queue is never taken at one go
            taken.append(message)

    async with serving(serve(handler, receive_queue=100)) as running:
        reader, writer = await websocket(running, "/handler")
        messages = [str(number) for number in range(500)]
        writer.write(b"".join(frame(TEXT, message.encode()) for message in messages) + frame(PING))
        await nothing_comes(reader)
        go_on.set()
        await expect(reader, encode_frame(PONG, b""))
        writer.write(frame(CLOSE))
        assert await asyncio.wait_for(reader.read(), PATIENCE) == encode_frame(CLOSE, b"")
        writer.close()
    assert taken == messages


async def test_receive_queue_may_be_none(serving):
    go_on = asyncio.Event()

    async def handler(ctx):
        await go_on.wait()

    async with serving(serve(handler, receive_queue=None)) as running:
        reader, writer = await websocket(running, "/handler")
        writer.write(frame(BINARY, b"x" * 1000) * 10_000 + frame(PING))
        await expect(reader, encode_frame(PONG, b""))
        go_on.set()
        writer.close()


async def test_send_queue_cuts_off_a_peer_that_is_given_more_while_all_of_it_waits(serving):
    ended = asyncio.get_running_loop().create_future()

    async def handler(ctx):
        ctx.send(b"x" * 4996)       # nothing leaves before the handler waits for something
        ctx.send(b"x" * 4996)       # with the frames' headers 10,000 bytes
        ctx.send(b"x")
        try:
            ctx.send(b"x")
        except ConnectionClosed as error:
            ended.set_result((error.code, error.reason, ctx.close_code))

    async with serving(serve(handler, send_queue=10_000)) as running:
        reader, writer = await websocket(running, "/handler")
        assert await asyncio.wait_for(ended, PATIENCE) == (1013, "too slow", 1013)
        with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
            await reader.readexactly(20_000)
        writer.close()


async def test_send_queue_cuts_off_a_peer_that_takes_nothing(serving):
    ended = asyncio.get_running_loop().create_future()

    async def handler(ctx):
        try:
            while True:
                ctx.send(b"x" * 10_000)     # never waits
        except ConnectionClosed as error:
            ended.set_result((error.code, error.reason, ctx.close_code))

    async with serving(serve(handler, send_queue=100_000)) as running:
        _, writer = await websocket(running, "/handler")
        assert await asyncio.wait_for(ended, PATIENCE) == (1013, "too slow", 1013)
        writer.close()


async def test_send_queue_makes_await_wait_above_a_quarter(serving):
    waited = []

    async def handler(ctx):
        for size in (2496, 2497):       # with the frame's header a quarter, and one byte more
            turn = asyncio.Event()
            asyncio.get_running_loop().call_soon(turn.set)
            await ctx.send(b"x" * size)
            waited.append(turn.is_set())
            await turn.wait()
            await ctx.ping()        # everything has been taken

    async with serving(serve(handler, send_queue=10_000)) as running:
        async with connect(running.ws("/handler")) as websocket:
            assert [len(message) async for message in websocket] == [2496, 2497]
    assert waited == [False, True]


async def test_send_queue_may_be_none(serving):
    async def handler(ctx):
        for _ in range(100):
            ctx.send(b"x" * 100_000)

    async with serving(serve(handler, send_queue=None)) as running:
        async with connect(running.ws("/handler")) as websocket:
            assert [len(message) async for message in websocket] == [100_000] * 100


# ------------------------------------------------------------------------------------------ times


async def test_handshake_timeout_ends_a_request_that_is_too_slow(serving):
    async with serving(serve(handshake_timeout=0.1)) as running:
        assert await running.exchange(b"") == b""
        assert (await running.exchange(b"GET / HTT")).startswith(b"HTTP/1.1 408 ")
        unfinished = await running.exchange(request() + request("Content-Length: 5", method="POST"))
        assert unfinished.startswith(b"HTTP/1.1 200 ")
        assert b"HTTP/1.1 408 " in unfinished
        async with connect(running.ws("/echo")) as websocket:       # has done with it
            await asyncio.sleep(A_WHILE)
            await websocket.send("x")
            assert await websocket.recv() == "x"


async def test_idle_timeout_closes_between_requests(serving):
    async with serving(serve(idle_timeout=0.1)) as running:
        assert (await running.exchange(request())).endswith(b"1 headers and 0 bytes")


async def test_idle_timeout_ends_a_websocket_that_neither_side_reads(serving):
    """The handler waits for the peer to take what it echoes, and the peer takes nothing."""
    ended = asyncio.get_running_loop().create_future()

    async def echo(ctx):
        try:
            while True:
                await ctx.send(await ctx.receive())
        except ConnectionClosed as error:
            ended.set_result(error.code)

    limits = Limits(idle_timeout=0.5, ping_interval=0.1, receive_queue=10_000)
    async with serving(Server(limits=limits).route("/", echo)) as running:
        peer = await Peer.connect(running.host, running.port)
        peer.write(HANDSHAKE)
        await peer.read_head()
        assert not await peer.flood(frame_of(b"x" * 10_000), 5_000)
        assert await asyncio.wait_for(ended, 20) == 1013
        peer.close()


async def test_idle_timeout_ends_a_websocket_whose_peer_sends_and_never_reads(serving):
    ended = asyncio.get_running_loop().create_future()

    async def handler(ctx):
        try:
            while True:
                await ctx.send(b"x" * 10_000)
        except ConnectionClosed as error:
            ended.set_result(error.code)

    async with serving(serve(handler, idle_timeout=0.3)) as running:
        peer = await Peer.connect(running.host, running.port)
        peer.write(HANDSHAKE.replace(b"/", b"/handler", 1))
        await peer.read_head()
        async with asyncio.timeout(PATIENCE):
            while not ended.done():
                await asyncio.sleep(0.05)
                with suppress(OSError):
                    peer.write(frame(PONG))
        assert ended.result() == 1013
        peer.close()


async def test_idle_timeout_leaves_a_slow_reader_its_time(serving):
    """It takes something now and then, and its socket is writable long after."""
    server = Server(limits=Limits(idle_timeout=0.5))

    @server.route("/")
    async def handler(ctx):
        await ctx.send(b"x" * 8_000_000)

    async with serving(server) as running:
        peer = await Peer.connect(running.host, running.port)
        peer.write(request("Connection: close"))
        await peer.read_head()
        size = 0
        for _ in range(20):     # five times as long as one that takes nothing is given, and more
            size += len(await peer.take(20_000))
            await asyncio.sleep(0.15)
        size += len(peer.came)
        with suppress(EOFError):
            while True:
                peer.came.clear()
                await peer.read_some()
                size += len(peer.came)
        peer.close()
    assert size == 8_000_000


async def test_idle_timeout_closes_a_silent_websocket_with_1001(serving):
    async with serving(serve(idle_timeout=0.3, ping_interval=None, close_timeout=0.1)) as running:
        reader, writer = await websocket(running)
        for _ in range(10):     # as long as bytes come it stays
            await asyncio.sleep(0.1)
            writer.write(frame(PONG))
        writer.write(frame(PING))
        await expect(reader, encode_frame(PONG, b""))
        assert await asyncio.wait_for(reader.read(), PATIENCE) == close_frame(1001, "idle for too long")
        writer.close()


async def test_idle_timeout_of_a_websocket_begins_with_its_handshake(serving):
    """Which had to wait for the answer to another request, while no byte came."""
    async def slow(ctx):
        await asyncio.sleep(1.5)

    async with serving(serve(slow, idle_timeout=1, ping_interval=None)) as running:
        reader, writer = await running.raw(request(path="/handler") + UPGRADE)
        await reader.readuntil(b"HTTP/1.1 101 ")
        await reader.readuntil(b"\r\n\r\n")
        await nothing_comes(reader)
        writer.write(frame(TEXT, b"x"))
        await expect(reader, encode_frame(TEXT, b"x"))
        writer.close()


async def test_ping_interval_is_from_the_last_byte_to_a_ping(serving):
    async with serving(serve(ping_interval=0.1, ping_timeout=None)) as running:
        reader, writer = await websocket(running)
        for number in (b"1", b"2", b"3"):
            await expect(reader, encode_frame(PING, number))
            writer.write(frame(PONG, number))
        writer.close()


async def test_ping_timeout_closes_a_silent_peer_with_1011(serving):
    async def handler(ctx):
        with pytest.raises(ConnectionClosed, match="1011: no answer to a ping"):
            await ctx.receive()

    async with serving(serve(handler, ping_interval=0.1, ping_timeout=0.1, close_timeout=0.1)) as running:
        reader, writer = await websocket(running, "/handler")
        answer = await asyncio.wait_for(reader.read(), PATIENCE)
        assert answer == encode_frame(PING, b"1") + close_frame(1011, "no answer to a ping")
        writer.close()


@pytest.mark.parametrize("register", ["request_middleware", "pre_ws_upgrade", "on_ws_connected"])
async def test_a_silent_peer_is_found_also_where_its_handshake_took_a_task(serving, register):
    async def hook(ctx):
        await asyncio.sleep(0)

    server = serve(ping_interval=0.1, ping_timeout=0.1, close_timeout=0.1)
    getattr(server, register)(hook)
    async with serving(server) as running:
        reader, writer = await websocket(running)
        answer = await asyncio.wait_for(reader.read(), PATIENCE)
        assert answer == encode_frame(PING, b"1") + close_frame(1011, "no answer to a ping")
        writer.close()


async def test_ping_timeout_may_be_none(serving):
    async with serving(serve(ping_interval=0.1, ping_timeout=None)) as running:
        reader, writer = await websocket(running)
        await expect(reader, encode_frame(PING, b"1"))
        await nothing_comes(reader)
        writer.write(frame(TEXT, b"x"))
        await expect(reader, encode_frame(TEXT, b"x"))
        writer.close()


@pytest.mark.parametrize("limit", [0.1, None])
async def test_close_timeout_cuts_off_a_peer_that_does_not_answer_the_close(serving, limit):
    async def handler(ctx):
        await ctx.close()

    async with serving(serve(handler, close_timeout=limit)) as running:
        reader, writer = await websocket(running, "/handler")
        await expect(reader, close_frame(1000))
        if limit is None:
            await nothing_comes(reader)
            writer.write(frame(CLOSE))
        assert await asyncio.wait_for(reader.read(), PATIENCE) == b""
        writer.close()


async def test_handler_grace_cancels_a_handler_whose_peer_is_gone(serving):
    told, cancelled, busy = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def handler(ctx):
        busy.set()
        while not ctx.closed:
            await asyncio.sleep(0)
        try:
            ctx.send("too late")
        except ConnectionClosed as error:
            assert error.code == 1006
            told.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise

    async with serving(serve(handler, handler_grace=0.1)) as running:
        _, writer = await websocket(running, "/handler")
        await busy.wait()
        writer.transport.abort()
        await asyncio.wait_for(told.wait(), PATIENCE)
        await asyncio.wait_for(cancelled.wait(), PATIENCE)


async def test_handler_grace_may_be_none(serving):
    ended = asyncio.get_running_loop().create_future()

    async def handler(ctx):
        while not ctx.closed:
            await asyncio.sleep(0)
        await asyncio.sleep(A_WHILE)
        ended.set_result("by itself")

    async with serving(serve(handler, handler_grace=None)) as running:
        _, writer = await websocket(running, "/handler")
        writer.transport.abort()
        assert await asyncio.wait_for(ended, PATIENCE) == "by itself"


@pytest.mark.parametrize(("limit", "how"), [(0.2, "cancelled"), (30, "by itself"), (None, "by itself")])
async def test_shutdown_grace_cuts_off_what_goes_on(serving, limit, how):
    started, ended = asyncio.Event(), asyncio.get_running_loop().create_future()

    async def handler(ctx):
        started.set()
        try:
            await asyncio.sleep(60 if how == "cancelled" else A_WHILE)
            ended.set_result("by itself")
        except asyncio.CancelledError:
            ended.set_result("cancelled")
            raise

    async with serving(serve(handler, shutdown_grace=limit)) as running:
        reader, writer = await running.raw(request(path="/handler"))
        await started.wait()
        stopping = asyncio.create_task(running.server.stop())
        assert await asyncio.wait_for(ended, PATIENCE) == how
        with suppress(ConnectionResetError):
            await reader.read()
        writer.close()
        await asyncio.wait_for(stopping, PATIENCE)


async def test_times_may_be_none(serving):
    """Nobody who waits is given up, whether in a request, between two or on a WebSocket."""
    async with serving(serve(**dict.fromkeys(TIMES))) as running:
        slow = await running.raw(request()[:-1])
        idle = await running.raw(request())
        await idle[0].readuntil(b"bytes")
        silent = await websocket(running)
        await asyncio.sleep(A_WHILE)
        for reader, _ in (slow, idle, silent):
            await nothing_comes(reader)
        slow[1].write(b"\n")
        idle[1].write(request())
        silent[1].write(frame(TEXT, b"x"))
        for reader, writer in (slow, idle):
            assert (await asyncio.wait_for(reader.readline(), PATIENCE)) == b"HTTP/1.1 200 OK\r\n"
            writer.close()
        await expect(silent[0], encode_frame(TEXT, b"x"))
        silent[1].close()
