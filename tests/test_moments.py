"""Things that happen at the wrong moment: each of these once lost, leaked, hung or crashed something."""

import asyncio
import gc
import http.client
import socket
import struct
import sys
from contextlib import suppress

import pytest
from websockets.asyncio.client import connect

from hyperws import ConnectionClosed, Limits, Server
from hyperws._core.websocket import encode_frame

KEY = b"\x01\x02\x03\x04"
UPGRADE = (
    b"GET /socket HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


def get(path="/", *lines):
    return "\r\n".join([f"GET {path} HTTP/1.1", "Host: localhost", *lines, "", ""]).encode()


def frame(message):
    return encode_frame(1, message.encode(), key=KEY)


def reset(sock):
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


async def no_connections(server):
    async with asyncio.timeout(20):
        while server._driver.connections:
            await asyncio.sleep(0)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no reactor")
def test_stopping_in_the_batch_in_which_a_connection_comes(monkeypatch):
    """The listening socket has an event in a batch whose first event makes a handler stop the server."""
    monkeypatch.setenv("HYPERWS_DRIVER", "reactor")

    async def scenario():
        server = Server(port=0, limits=Limits(shutdown_grace=0.1))

        @server.route("/socket")
        async def handler(ctx):
            async for _ in ctx:
                await server.stop()

        await server.start()
        host, port = server.address
        loop = asyncio.get_running_loop()
        talker = await loop.run_in_executor(None, socket.create_connection, (host, port))
        talker.setblocking(False)
        talker.send(UPGRADE)
        assert b"\r\n\r\n" in await loop.sock_recv(talker, 1000)
        talker.send(frame("stop"))
        comer = socket.socket()
        comer.setblocking(False)
        comer.connect_ex((host, port))
        for sock in (talker, comer):
            with suppress(ConnectionResetError):
                while await asyncio.wait_for(loop.sock_recv(sock, 1000), 20):
                    pass
            sock.close()
        await server.stop()

    asyncio.run(scenario())


async def test_a_peer_that_resets_before_its_handshake_is_answered(serving):
    """Its handler must not wait for ever on a connection that has gone already."""
    server, handlers = Server(), []

    @server.route("/socket")
    async def handler(ctx):
        handlers.append(asyncio.current_task())
        ctx.subscribe("all")
        async for _ in ctx:
            pass

    async with serving(server) as running:
        for _ in range(20):
            # the answers to the requests before it fill what is sent at once
            peer = socket.create_connection((running.host, running.port))
            peer.sendall(get("/nothing") * 300 + UPGRADE)
            reset(peer)
        await running.exchange(get("/nothing", "Connection: close"))
        await no_connections(server)
        await asyncio.wait_for(asyncio.gather(*handlers, return_exceptions=True), 20)
        assert server.publish("all", "x") == 0


async def test_a_stream_that_stopping_interrupts_keeps_its_framing():
    server = Server(port=0)
    go_on = asyncio.Event()

    @server.route("/")
    async def stream(ctx):
        for number in range(4):
            await ctx.set_response_body(f"piece {number}").send_body()
            await go_on.wait()

    await server.start()
    reader, writer = await asyncio.open_connection(*server.address)
    writer.write(get("/"))
    await reader.readuntil(b"piece 0\r\n")
    stopping = asyncio.create_task(server.stop())
    await asyncio.sleep(0)
    go_on.set()
    rest = b"".join(b"7\r\npiece %d\r\n" % number for number in (1, 2, 3)) + b"0\r\n\r\n"
    assert await reader.readuntil(b"0\r\n\r\n") == rest
    writer.close()
    await stopping


async def test_a_stream_for_http_10_ends_with_the_connection(serving):
    server = Server()

    @server.route("/")
    async def stream(ctx):
        await ctx.set_response_body("one ").send_body()
        await ctx.set_response_body("two").send_body()

    @server.route("/page")
    async def page(ctx):
        await ctx.send("page")

    async with serving(server) as running:
        kept = b"GET /page HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
        answer = await running.exchange(kept + kept.replace(b"/page", b"/"))
    assert answer.count(b"connection: keep-alive\r\n") == 1
    assert b"chunked" not in answer
    assert answer.endswith(b"connection: close\r\n\r\none two")


async def test_a_queue_that_is_never_empty_does_not_grow(serving):
    server = Server()
    count, lengths = 2000, []

    @server.route("/socket")
    async def handler(ctx):
        def queue():
            lists = [each for each in gc.get_referents(ctx.websocket.inbox) if type(each) is list]
            return lists[0] if lists else []

        for number in range(count):
            while number < count - 10 and len(queue()) - queue().count(None) < 5:
                await asyncio.sleep(0)      # until some more are here than are taken now
            assert await ctx.receive() == str(number)
            lengths.append(len(queue()))
            await ctx.send("next")

    async with serving(server) as running, connect(running.ws("/socket")) as websocket:
        for number in range(10):
            await websocket.send(str(number))
        for number in range(10, count):
            assert await websocket.recv() == "next"
            await websocket.send(str(number))
        await websocket.wait_closed()
    assert max(lengths) < 1000


async def test_a_peer_is_not_given_up_while_this_side_does_not_read_it(serving):
    server = Server(limits=Limits(receive_queue=1000, ping_interval=0.1, ping_timeout=0.1, idle_timeout=0.3))
    received = []

    @server.route("/socket")
    async def handler(ctx):
        await pause
        received.extend([message async for message in ctx])

    loop = asyncio.get_running_loop()
    pause = loop.create_future()
    async with serving(server) as running:
        async with connect(running.ws("/socket"), ping_interval=None) as websocket:
            for number in range(100):
                await websocket.send(str(number) + "x" * 1000)
            loop.call_later(1.5, pause.set_result, None)    # beyond every deadline
            await pause
            await websocket.close()
            assert websocket.close_code == 1000
    assert len(received) == 100


async def test_frames_that_come_with_a_handshake_that_waits_are_bounded_too(serving):
    """A queue that they have filled is full: nothing more is read until somebody takes from it."""
    server = Server(limits=Limits(receive_queue=1000, max_head_size=None, close_timeout=0.1))
    go_on, done = asyncio.Event(), asyncio.Event()

    @server.route("/slow")
    async def slow(ctx):
        await ctx.send("slow")
        await go_on.wait()

    @server.route("/socket")
    async def handler(ctx):
        inbox = ctx.websocket.inbox
        await done.wait()
        (messages,) = [each for each in gc.get_referents(inbox) if type(each) is list]
        lengths.append(len(messages))

    lengths = []
    async with serving(server) as running:
        reader, writer = await running.raw(get("/slow") + UPGRADE + frame("") * 1000)
        await reader.readuntil(b"slow")
        go_on.set()
        await reader.readuntil(b"\r\n\r\n")
        writer.write(frame("") * 500_000)
        for _ in range(20):
            await running.exchange(get("/nothing", "Connection: close"))
        done.set()
        with suppress(ConnectionResetError):    # much of what was sent is never read
            await reader.read()
        writer.close()
    assert lengths[0] < 50_000


async def test_a_peer_that_goes_while_it_is_not_read_is_noticed(serving):
    limits = Limits(receive_queue=1000, ping_interval=0.1, close_timeout=0.1, handler_grace=0.1)
    server = Server(limits=limits)
    cancelled = asyncio.Event()

    @server.route("/socket")
    async def handler(ctx):
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise

    async with serving(server) as running:
        reader, writer = await running.raw(UPGRADE)
        await reader.readuntil(b"\r\n\r\n")
        writer.write(frame("") * 9000)
        await writer.drain()
        writer.transport.abort()
        await asyncio.wait_for(cancelled.wait(), 20)
        await no_connections(server)


async def test_a_peer_that_reads_all_but_does_not_close_is_given_up(serving):
    server = Server(limits=Limits(idle_timeout=None, close_timeout=0.2))

    @server.route("/")
    async def large(ctx):
        ctx.set_response_body("x" * 8_000_000)

    async with serving(server) as running:
        reader, writer = await running.raw(get("/", "Connection: close"))
        assert (await reader.read()).endswith(b"x" * 1000)
        await no_connections(server)
        writer.close()


async def test_half_a_stream_is_an_error_for_its_reader(serving, caplog):
    server = Server()

    @server.route("/")
    async def broken(ctx):
        await ctx.set_response_body("piece").send_body()
        raise RuntimeError("broken on purpose")

    def read():
        connection = http.client.HTTPConnection(running.host, running.port, timeout=20)
        connection.request("GET", "/", headers={"Connection": "close"})
        try:
            return connection.getresponse().read()
        finally:
            connection.close()

    async with serving(server) as running:
        with pytest.raises((http.client.IncompleteRead, ConnectionResetError)):
            await asyncio.to_thread(read)
    caplog.clear()


async def test_a_response_that_comes_too_late_is_told(serving, caplog):
    server = Server()
    late = asyncio.get_running_loop().create_future()

    @server.route("/")
    async def broken(ctx):
        async def answer():
            await go_on.wait()
            try:
                await ctx.send("second response")
            except ConnectionClosed as error:
                late.set_result(error.code)

        background.append(asyncio.create_task(answer()))
        raise RuntimeError("broken on purpose")

    go_on, background = asyncio.Event(), []
    async with serving(server) as running:
        answer = await running.exchange(get())
        go_on.set()
        assert await asyncio.wait_for(late, 20) == 1006
    assert answer.count(b"HTTP/1.1") == 1
    caplog.clear()


@pytest.mark.parametrize("path", ["/slow", "/nothing"])
async def test_a_handshake_behind_a_request_and_the_end_of_input(serving, path):
    """The WebSocket that begins with a peer that sends nothing more must notice that."""
    server = Server(limits=Limits(ping_interval=None, idle_timeout=None))
    go_on, received = asyncio.Event(), []

    @server.route("/slow")
    async def slow(ctx):
        await go_on.wait()

    @server.route("/socket")
    async def handler(ctx):
        async for message in ctx:
            received.append(message)

    async with serving(server) as running:
        _, writer = await running.raw(get(path) + UPGRADE + frame("hello"))
        writer.write_eof()
        await writer.drain()
        go_on.set()
        await no_connections(server)
        writer.close()
    assert received == ["hello"]


async def test_reading_goes_on_after_a_peer_was_held_back_between_two_requests(serving):
    server = Server(limits=Limits(max_head_size=2000, max_body_size=None, handshake_timeout=5))

    @server.route("/quick")
    async def quick(ctx):
        await asyncio.sleep(0)

    @server.route("/length")
    async def length(ctx):
        await ctx.send(str(len(await ctx.get_request_body())))

    async with serving(server) as running:
        lines = ("Content-Length: 300000", "Connection: close")
        request = get("/quick") + get("/length", *lines) + b"x" * 300000
        for _ in range(20):
            assert (await running.exchange(request)).endswith(b"\r\n\r\n300000")


async def test_a_request_after_a_pause_has_its_time_from_its_own_beginning(serving):
    server = Server(limits=Limits(handshake_timeout=0.5, idle_timeout=5))

    @server.route("/")
    async def page(ctx):
        await ctx.send("page")

    async with serving(server) as running:
        reader, writer = await running.raw(get())
        await reader.readuntil(b"page")
        with pytest.raises(asyncio.TimeoutError):       # idle for longer than a handshake may take
            await asyncio.wait_for(reader.read(1), 1)
        writer.write(get()[:10])
        with pytest.raises(asyncio.TimeoutError):       # and a little later
            await asyncio.wait_for(reader.read(1), 0.2)
        writer.write(get()[10:])
        assert (await reader.readuntil(b"\r\n")) == b"HTTP/1.1 200 OK\r\n"
        writer.close()


async def test_a_callback_that_is_cancelled_ends_only_its_connection(serving, caplog):
    future = asyncio.get_running_loop().create_future()
    future.cancel()
    server = Server().route("/socket", on_message=lambda ctx, message: future.result())
    async with serving(server) as running, connect(running.ws("/socket")) as websocket:
        await websocket.send("x")
        await websocket.wait_closed()
        assert websocket.close_code == 1011
    caplog.clear()


async def test_a_close_that_meets_a_reset(serving):
    """Whoever waits for a pong or for the end is told, and all are told the same."""
    server = Server()
    told = asyncio.get_running_loop().create_future()

    @server.route("/socket")
    async def handler(ctx):
        pong = ctx.ping()
        await gone.wait()
        ending = ctx.close(4000, "enough")
        await ending
        results = await asyncio.gather(asyncio.create_task(pong), ctx.receive(), return_exceptions=True)
        told.set_result((ctx.close_code, [error.code for error in results]))

    gone = asyncio.Event()
    async with serving(server) as running:
        peer = socket.create_connection((running.host, running.port))
        peer.sendall(UPGRADE)
        await asyncio.to_thread(peer.recv, 1000)
        reset(peer)
        gone.set()
        code, codes = await asyncio.wait_for(told, 20)
        assert codes == [code, code]


async def test_pings_that_overlap_are_all_answered(serving):
    server = Server()

    @server.route("/socket")
    async def handler(ctx):
        latencies = await asyncio.gather(*[asyncio.create_task(ctx.ping()) for _ in range(5)])
        await ctx.send(str(all(0 <= latency < 20 for latency in latencies)))

    async with serving(server) as running, connect(running.ws("/socket")) as websocket:
        assert await websocket.recv() == "True"


if sys.version_info >= (3, 12):     # which brought eager tasks

    async def test_eager_tasks(serving):
        """A handler may have ended before its task is known."""
        server = Server()

        @server.route("/page")
        async def page(ctx):
            await ctx.send("x" * 100000)

        @server.route("/socket")
        async def handler(ctx):
            await ctx.send("hello")

        def eager(loop, coroutine, **options):
            return asyncio.Task(coroutine, loop=loop, **{**options, "eager_start": True})

        asyncio.get_running_loop().set_task_factory(eager)
        async with serving(server) as running:
            for _ in range(20):
                peer = socket.create_connection((running.host, running.port))
                peer.sendall(get("/page"))
                reset(peer)
            assert (await running.exchange(get("/page", "Connection: close"))).endswith(b"x" * 100000)
            async with connect(running.ws("/socket")) as websocket:
                assert await websocket.recv() == "hello"
            await no_connections(server)


async def test_every_attribute_may_be_looked_at_at_any_time(serving):
    server = Server()

    async def look(ctx):
        for name in dir(ctx):
            getattr(ctx, name, None)
        await ctx.send("fine")

    server.route("/socket", look)
    async with serving(server) as running, connect(running.ws("/socket")) as websocket:
        assert await websocket.recv() == "fine"
        assert (await running.exchange(get("/socket", "Connection: close"))).endswith(b"fine")
