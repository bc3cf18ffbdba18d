"""What `send()`, `ping()` and `close()` return: it may be awaited, given to a task, or ignored."""

from __future__ import annotations

import asyncio
from itertools import count

import pytest

from hyperws import ConnectionClosed, Limits, Server

from .oracle_websocket import CLOSE, PING, PONG, write
from .peer import HANDSHAKE, KEY, Peer

CHUNK = 65536


async def fill(ctx):
    """Send until sending has to wait. Returns the task that waits, and how many messages were sent."""
    for number in count(1):
        task = asyncio.create_task(ctx.send(chunk(number)))
        for _ in range(3):
            await asyncio.sleep(0)
        if not task.done():
            return task, number
        task.result()


def chunk(number):
    return number.to_bytes(4) * (CHUNK // 4)


async def numbers(peer, total):
    """The numbers of the next `total` chunks."""
    return [int.from_bytes(message[:4]) for message in await peer.messages(total)]


async def test_a_send_awaited_ignored_or_given_away(meeting):
    async with meeting() as (ctx, peer):
        assert await ctx.send("awaited") is None
        ctx.send("ignored")
        task = asyncio.create_task(ctx.send("given to a task"))
        ctx.send("after it")    # a message stands in line from the call on
        await task
        await asyncio.gather(ctx.send("one"), ctx.send("of two"))
        async with asyncio.timeout(20):
            await ctx.send("timed")
        await asyncio.wait_for(ctx.send("waited for"), 20)
        assert await peer.messages(8) == [
            "awaited", "ignored", "given to a task", "after it", "one", "of two", "timed", "waited for",
        ]


async def test_another_task_sends_while_one_receives(meeting):
    async with meeting() as (ctx, peer):
        receiving = asyncio.create_task(ctx.receive())

        async def send():
            for number in range(3):
                await ctx.send(f"{number}")

        await asyncio.create_task(send())
        assert await peer.messages(3) == ["0", "1", "2"]
        assert not receiving.done()
        peer.send("hello")
        assert await receiving == "hello"


async def test_a_slow_peer_is_waited_for_and_misses_nothing(meeting):
    async with meeting() as (ctx, peer):
        task, total = await fill(ctx)
        assert await numbers(peer, total) == list(range(1, total + 1))
        await task
        await ctx.send("more")
        assert await peer.messages(1) == ["more"]


async def test_a_slow_peer_that_goes_on_sending_misses_nothing(serving):
    """What is sent in answer to a read waits too where the socket takes nothing."""
    came = asyncio.Queue()

    def echo(ctx, message):
        ctx.send(message)
        came.put_nowait(message)

    server = Server(limits=Limits(send_queue=None)).route("/", on_message=echo)
    async with serving(server) as running:
        peer = await Peer.connect(running.host, running.port)
        peer.write(HANDSHAKE)
        await peer.read_head()
        messages = [bytes([number]) * 40000 for number in range(200)]
        for message in messages:
            await peer.send_all([message])
            await asyncio.wait_for(came.get(), 20)
        assert await peer.messages(len(messages)) == messages
        peer.close()


async def test_every_waiting_sender_goes_on(meeting):
    async with meeting() as (ctx, peer):
        task, total = await fill(ctx)
        others = [asyncio.create_task(ctx.send(chunk(total + i))) for i in (1, 2, 3)]
        await asyncio.sleep(0)
        assert not any(other.done() for other in others)
        assert await numbers(peer, total + 3) == list(range(1, total + 4))
        await asyncio.gather(task, *others)


async def test_a_waiting_send_that_is_cancelled_was_sent_all_the_same(meeting):
    async with meeting() as (ctx, peer):
        task, total = await fill(ctx)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(ctx.send(chunk(total + 1)), 0.001)
        assert await numbers(peer, total + 1) == list(range(1, total + 2))
        await ctx.send("more")
        assert await peer.messages(1) == ["more"]


async def test_a_waiting_send_is_told_that_the_peer_has_vanished(meeting):
    async with meeting() as (ctx, peer):
        task, _ = await fill(ctx)
        peer.vanish()
        with pytest.raises(ConnectionClosed) as caught:
            await task
        assert caught.value.code == 1006
        with pytest.raises(ConnectionClosed):
            ctx.send("hello")


async def test_receiving_goes_on_while_a_send_waits(meeting):
    async with meeting() as (ctx, peer):
        task, _ = await fill(ctx)
        peer.send("hello")
        assert await ctx.receive() == "hello"
        assert not task.done()
        task.cancel()


async def test_a_ping_is_answered(meeting):
    async with meeting() as (ctx, peer):
        ctx.ping()      # ignored
        first = asyncio.create_task(ctx.ping())
        ((_, _), (kind, payload)) = await peer.events(2)
        assert kind == "ping"
        peer.write(write(PONG, b"something else", key=KEY))
        peer.write(write(PING, b"x", key=KEY))
        assert await peer.events(1) == [("pong", b"x")]
        assert not first.done()
        peer.write(write(PONG, payload, key=KEY))
        assert await first >= 0
        assert ctx.latency == await first


async def test_a_ping_that_is_cancelled_or_never_answered(meeting):
    async with meeting() as (ctx, peer):
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(ctx.ping(), 0.001)
        task = asyncio.create_task(ctx.ping())
        await peer.events(2)
        peer.vanish()
        with pytest.raises(ConnectionClosed):
            await task


async def test_close_is_awaited_to_its_end(meeting):
    async with meeting() as (ctx, peer):
        ctx.send("last words")
        closing = asyncio.create_task(ctx.close(3000, "bye"))
        assert await peer.events(2) == [("message", "last words"), ("close", 3000, "bye")]
        assert ctx.closed
        assert not closing.done()
        peer.write(write(CLOSE, (3000).to_bytes(2), key=KEY))
        await closing
        await ctx.close()
        with pytest.raises(ConnectionClosed) as caught:
            ctx.send("too late")
        assert caught.value.code == 3000


async def test_close_ignored(meeting):
    async with meeting() as (ctx, peer):
        ctx.close()
        assert await peer.events(1) == [("close", 1000, "")]
        peer.vanish()
        with pytest.raises(ConnectionClosed):
            await ctx.receive()
