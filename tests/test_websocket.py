"""WebSockets as handlers and peers see them: messages, lifetimes, closing, limits."""

import asyncio
import contextvars
import socket
import struct

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed as PeerClosed

from hyperws import ConnectionClosed, Limits, Server, UsageError
from hyperws._core.websocket import encode_frame

from .core.peer import HANDSHAKE, Peer

KEY = b"\x01\x02\x03\x04"
UPGRADE = (
    b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


def one_route(handler, **options):
    server = Server(**options)
    server.route("/", handler)
    return server


async def until_closed(websocket):
    """The messages that a client gets until the end, and the close code and reason it got."""
    messages = [message async for message in websocket]
    return messages, websocket.close_code, websocket.close_reason


async def raw_websocket(running, upgrade=UPGRADE):
    """A connection after the handshake, without a client library that behaves."""
    reader, writer = await running.raw(upgrade)
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
    return reader, writer


# ------------------------------------------------------------------------------- the handler's life


async def test_closes_with_1000_when_the_handler_returns(serving):
    async def handler(ctx):
        await ctx.send("bye")

    async with serving(one_route(handler)) as running, connect(running.ws()) as websocket:
        assert await until_closed(websocket) == (["bye"], 1000, "")


async def test_closes_with_1011_and_logs_once_when_the_handler_raises(serving, caplog):
    async def handler(ctx):
        await ctx.send("first")
        raise RuntimeError("broken on purpose")

    async with serving(one_route(handler)) as running, connect(running.ws()) as websocket:
        messages = []
        with pytest.raises(PeerClosed):
            while True:
                messages.append(await websocket.recv())
        assert (messages, websocket.close_code) == (["first"], 1011)
    errors = [record for record in caplog.records if record.levelname == "ERROR"]
    assert len(errors) == 1
    assert errors[0].exc_info[1].args == ("broken on purpose",)
    caplog.clear()


async def test_a_callback_that_raises_closes_with_1011(serving, caplog):
    def on_message(ctx, message):
        raise RuntimeError("broken on purpose")

    server = Server().route("/", on_message=on_message)
    async with serving(server) as running, connect(running.ws()) as websocket:
        await websocket.send("x")
        with pytest.raises(PeerClosed):
            await websocket.recv()
        assert websocket.close_code == 1011
    assert len([record for record in caplog.records if record.levelname == "ERROR"]) == 1
    caplog.clear()


async def test_connection_closed_is_a_normal_end(serving):
    ended = asyncio.Event()

    async def handler(ctx):
        try:
            while True:
                await ctx.receive()
        finally:
            ended.set()

    async with serving(one_route(handler)) as running:
        async with connect(running.ws()) as websocket:
            await websocket.send("x")
        await asyncio.wait_for(ended.wait(), 20)


async def test_the_handler_runs_as_a_task_with_its_own_context(serving):
    name = contextvars.ContextVar("name")

    async def handler(ctx):
        name.set(ctx.params["name"])
        async with asyncio.timeout(20):
            async for message in ctx:
                await ctx.send(f"{name.get()} {message} {asyncio.current_task() is not None}")

    server = Server().route("/{name}", handler)
    async with (
        serving(server) as running,
        connect(running.ws("/a")) as one,
        connect(running.ws("/b")) as two,
    ):
        for websocket in (one, two, one, two):
            await websocket.send("is")
        assert [await one.recv(), await one.recv()] == ["a is True"] * 2
        assert [await two.recv(), await two.recv()] == ["b is True"] * 2


# ---------------------------------------------------------------------------------------- closing


async def test_the_peers_code_and_reason_reach_the_handler(serving):
    seen = asyncio.get_running_loop().create_future()

    async def handler(ctx):
        try:
            await ctx.receive()
        except ConnectionClosed as error:
            seen.set_result((error.code, error.reason, ctx.close_code, ctx.close_reason, ctx.closed))

    async with serving(one_route(handler)) as running:
        async with connect(running.ws()) as websocket:
            await websocket.close(3001, "enough")
        assert await asyncio.wait_for(seen, 20) == (3001, "enough", 3001, "enough", True)
    assert websocket.close_code == 3001


async def test_the_handlers_code_and_reason_reach_the_peer_after_what_was_sent_before(serving):
    seen = []

    async def handler(ctx):
        for number in range(100):
            ctx.send(str(number))
        await ctx.close(4000, "grüße")
        seen.append((ctx.closed, ctx.close_code, ctx.close_reason))
        with pytest.raises(ConnectionClosed) as caught:
            ctx.send("late")
        seen.append(str(caught.value))

    async with serving(one_route(handler)) as running, connect(running.ws()) as websocket:
        messages = []
        with pytest.raises(PeerClosed):
            while True:
                messages.append(await websocket.recv())
        assert messages == [str(number) for number in range(100)]
        assert (websocket.close_code, websocket.close_reason) == (4000, "grüße")
    assert seen == [(True, 4000, "grüße"), "the connection is closed (4000: grüße)"]


async def test_messages_that_came_before_the_close_are_still_received(serving):
    received = []
    go_on, done = asyncio.Event(), asyncio.Event()

    async def handler(ctx):
        await go_on.wait()
        async for message in ctx:
            received.append(message)
        done.set()

    async with serving(one_route(handler)) as running:
        async with connect(running.ws()) as websocket:
            for number in range(10):
                await websocket.send(str(number))
        go_on.set()
        await asyncio.wait_for(done.wait(), 20)
    assert received == [str(number) for number in range(10)]


async def test_a_lost_connection_is_1006(serving):
    seen = asyncio.get_running_loop().create_future()

    async def handler(ctx):
        try:
            await ctx.receive()
        except ConnectionClosed as error:
            seen.set_result(error.code)

    async with serving(one_route(handler)) as running:
        _, writer = await raw_websocket(running)
        writer.transport.abort()
        assert await asyncio.wait_for(seen, 20) == 1006


@pytest.mark.parametrize(
    ("code", "reason", "told"),
    [(999, "", "must not be sent"), (1005, "", "must not be sent"), (1006, "", "must not be sent"),
     (1015, "", "must not be sent"), (5000, "", "must not be sent"), (1000, "é" * 62, "123 bytes")],
)  # fmt: skip
async def test_a_close_that_must_not_be_sent_raises(serving, code, reason, told):
    async def handler(ctx):
        with pytest.raises(UsageError, match=told):
            ctx.close(code, reason)

    async with serving(one_route(handler)) as running, connect(running.ws()) as websocket:
        assert await until_closed(websocket) == ([], 1000, "")


@pytest.mark.parametrize(
    ("frames", "code"),
    [
        (encode_frame(1, b"not masked"), 1002),
        (encode_frame(3, b"", key=KEY), 1002),
        (encode_frame(1, b"", key=KEY, rsv=4), 1002),
        (encode_frame(9, b"x" * 126, key=KEY), 1002),
        (encode_frame(0, b"", key=KEY), 1002),
        (encode_frame(1, b"\xff", key=KEY), 1007),
        (b"\x82\xff\x7f" + b"\xff" * 7 + KEY, 1009),
        (b"\x82\xff" + b"\xff" * 8 + KEY, 1002),
        (encode_frame(2, b"x" * 1001, key=KEY), 1009),
        (encode_frame(2, b"x" * 900, key=KEY, fin=False) + encode_frame(0, b"x" * 101, key=KEY), 1009),
        (encode_frame(2, b"", key=KEY, fin=False) + encode_frame(0, b"", key=KEY, fin=False) * 10, 1008),
        (encode_frame(8, b"\x03", key=KEY), 1002),
        (encode_frame(8, struct.pack(">H", 1005), key=KEY), 1002),
    ],
)
async def test_a_peer_that_breaks_the_rules_is_told_and_closed(serving, frames, code):
    answered = []

    async def handler(ctx):
        async for message in ctx:
            answered.append(message)
            await ctx.send(message)

    limits = Limits(max_message_size=1000, max_message_frames=10)
    async with serving(one_route(handler, limits=limits)) as running:
        reader, writer = await raw_websocket(running)
        # what came before is still answered, what comes behind is not looked at
        writer.write(encode_frame(1, b"good", key=KEY) + frames + encode_frame(1, b"late", key=KEY) * 1000)
        writer.write_eof()
        answer = await asyncio.wait_for(reader.read(), 20)
        writer.close()
    assert answer.startswith(encode_frame(1, b"good") + b"\x88")
    assert struct.unpack(">H", answer[8:10]) == (code,)
    assert answered == ["good"]


# ----------------------------------------------------------------------------------------- pings


async def test_pings_are_answered(serving):
    async def handler(ctx):
        await ctx.receive()

    async with serving(one_route(handler)) as running, connect(running.ws()) as websocket:
        await asyncio.wait_for(await websocket.ping(b"payload"), 20)


async def test_ping_gives_the_round_trip_time(serving):
    seen = []

    async def handler(ctx):
        seen.append(ctx.latency)
        seen.append(await ctx.ping())
        seen.append(ctx.latency)

    async with serving(one_route(handler)) as running, connect(running.ws()) as websocket:
        await until_closed(websocket)
    before, latency, kept = seen
    assert before is None
    assert latency == kept
    assert 0 <= latency < 20


async def test_any_byte_is_a_sign_of_life(serving):
    """A peer in the middle of a long frame can't answer a ping, and must not be given up."""

    async def handler(ctx):
        await ctx.send(await ctx.receive())

    limits = Limits(ping_interval=0.1, ping_timeout=0.3, close_timeout=0.1)
    async with serving(one_route(handler, limits=limits)) as running:
        reader, writer = await raw_websocket(running)
        pings = b""
        for byte in encode_frame(2, b"x" * 8, key=KEY):
            while b"\x89" not in pings:     # a ping for every byte
                pings += await asyncio.wait_for(reader.read(1), 20)
            pings = b""
            writer.write(bytes([byte]))
        answer = await asyncio.wait_for(reader.read(), 20)
        writer.close()
    assert encode_frame(2, b"x" * 8) in answer


# ----------------------------------------------------------------------------------- flow control


async def test_a_peer_that_sends_too_fast_is_held_back_and_nothing_is_lost(serving):
    go_on = asyncio.Event()
    received = []

    async def handler(ctx):
        await go_on.wait()
        async for message in ctx:
            received.append(message)
            if len(received) == 3000:
                await ctx.send("all")

    async with serving(one_route(handler, limits=Limits(receive_queue=10000))) as running:
        async with connect(running.ws()) as websocket:

            async def flood():
                for number in range(3000):
                    await websocket.send(str(number) + "x" * 10000)

            flooding = asyncio.create_task(flood())
            held, _ = await asyncio.wait([flooding], timeout=0.5)
            assert not held     # 30 MB do not fit into the sockets' buffers, and nobody takes them
            go_on.set()
            assert await asyncio.wait_for(websocket.recv(), 60) == "all"
            await flooding
    assert [int(message.rstrip("x")) for message in received] == list(range(3000))


async def test_send_waits_for_a_slow_peer(serving):
    sent = []
    waits = asyncio.Event()

    async def handler(ctx):
        for number in range(2000):
            sending = ctx.send(struct.pack(">I", number) + b"x" * 10000)
            task = asyncio.ensure_future(sending)
            done, _ = await asyncio.wait([task], timeout=0.5)
            if not done:
                waits.set()
                await task
            sent.append(number)

    async with serving(one_route(handler)) as running:
        reader, writer = await raw_websocket(running)
        await asyncio.wait_for(waits.wait(), 60)
        assert len(sent) < 2000
        messages = []
        while len(messages) < 2000:
            frame = await asyncio.wait_for(reader.readexactly(4 + 10004), 20)
            messages.append(struct.unpack(">I", frame[4:8])[0])
        assert messages == list(range(2000))
        writer.close()


async def test_waiting_for_a_slow_peer_ends_when_it_is_gone(serving):
    ended = asyncio.get_running_loop().create_future()
    waits = asyncio.Event()

    async def handler(ctx):
        try:
            while True:
                sending = ctx.send(b"x" * 10000)
                asyncio.get_running_loop().call_later(0.5, waits.set)
                await sending
        except ConnectionClosed as error:
            ended.set_result(error.code)

    async with serving(one_route(handler)) as running:
        _, writer = await raw_websocket(running)
        await asyncio.wait_for(waits.wait(), 60)
        writer.transport.abort()
        assert await asyncio.wait_for(ended, 20) == 1006


async def test_a_ping_flood_of_a_peer_that_never_reads_stays_bounded(serving):
    async def handler(ctx):
        async for _ in ctx:
            pass

    async with serving(one_route(handler)) as running:
        sock = socket.create_connection(running.server.address)
        sock.sendall(UPGRADE)
        sock.settimeout(5)
        flood = encode_frame(9, b"x" * 125, key=KEY) * 500
        for _ in range(400):    # 26 MB; the last of their pongs is due when the peer reads at last
            await asyncio.to_thread(sock.sendall, flood)
        await asyncio.to_thread(sock.sendall, encode_frame(9, b"the last", key=KEY))
        received = b""
        while not received.endswith(encode_frame(10, b"the last")):
            received += await asyncio.to_thread(sock.recv, 1 << 20)
        assert len(received) < 26_000_000
        sock.close()


# ----------------------------------------------------------------------------------- wrong uses


async def test_wrong_use_raises_at_once_and_names_the_fix(serving):
    async def handler(ctx):
        for unfit in ({"a": 1}, 5, object()):
            with pytest.raises(UsageError, match="serialise it first"):
                ctx.send(unfit)
        with pytest.raises(UsageError, match="await it first"):
            ctx.send(ctx.receive())
        with pytest.raises(UsageError, match=r"send_body\(\) sends the body"):
            ctx.set_response_body("x").send()
        for arguments in (("bye",), (1000, b"x"), (1000.5,)):
            with pytest.raises(UsageError, match="a number and a str"):
                ctx.close(*arguments)
        with pytest.raises(UsageError, match="must not be sent"):
            ctx.close(1 << 40)
        with pytest.raises(UsageError, match="a topic is a str"):
            ctx.subscribe(None)
        with pytest.raises(TypeError, match="not iterable"):
            for _ in ctx.receive():     # `async` forgotten
                pass
        with pytest.raises(UsageError, match="a WebSocket's head has gone out"):
            ctx.set_response_status_code(200)
        with pytest.raises(UsageError, match="a WebSocket's head has gone out"):
            ctx.set_response_header("a", "b")
        for good in (b"a", bytearray(b"b"), memoryview(b"c"), "d"):
            await ctx.send(good)

    async with serving(one_route(handler)) as running, connect(running.ws()) as websocket:
        assert await until_closed(websocket) == ([b"a", b"b", b"c", "d"], 1000, "")


async def test_receive_beside_a_callback_is_told(serving):
    told = asyncio.get_running_loop().create_future()

    def on_message(ctx, message):
        try:
            ctx.receive()
        except UsageError as error:
            told.set_result(str(error))

    async with serving(Server().route("/", on_message=on_message)) as running:
        async with connect(running.ws()) as websocket:
            await websocket.send("x")
            assert "coroutine handler" in await asyncio.wait_for(told, 20)


async def test_a_text_that_can_not_be_utf8_is_told(serving):
    async def handler(ctx):
        with pytest.raises(UsageError, match="surrogate"):
            ctx.send("\ud800")
        await ctx.send("fine")

    async with serving(one_route(handler)) as running, connect(running.ws()) as websocket:
        assert await until_closed(websocket) == (["fine"], 1000, "")


class Odd(str):
    """A str that encodes itself to something else."""

    __slots__ = ("encoded",)

    def encode(self, *_):
        return self.encoded


@pytest.mark.parametrize("encoded", [bytearray(b"odd"), "odd", b"\xff"])
async def test_a_str_that_encodes_itself_oddly_leaves_no_half_message(serving, encoded):
    async def handler(ctx):
        odd = Odd("second")
        odd.encoded = encoded
        ctx.send(["first ", odd])
        await ctx.send("next")

    async with serving(Server().route("/", handler)) as running:
        peer = await Peer.connect(running.host, running.port)
        peer.write(HANDSHAKE)
        await peer.read_head()
        assert await peer.take(16) == b"\x01\x06first \x80\x06second"
        assert await peer.event() == ("message", "next")
        peer.close()


async def test_more_pings_are_no_reprieve(serving):
    async def handler(ctx):
        async def keep_pinging():
            while not ctx.closed:
                ctx.ping()
                await asyncio.sleep(0.05)

        pinging = asyncio.create_task(keep_pinging())
        try:
            async for _ in ctx:
                pass
        finally:
            pinging.cancel()

    limits = Limits(ping_timeout=0.4, idle_timeout=None)
    async with serving(Server(limits=limits).route("/", handler)) as running:
        peer = await Peer.connect(running.host, running.port)
        peer.write(HANDSHAKE)
        await peer.read_head()
        async with asyncio.timeout(20):
            while (event := await peer.event())[0] == "ping":
                pass
        assert event[:2] == ("close", 1011)
        peer.close()
