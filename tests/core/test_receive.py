"""`receive()`: no message is lost, whatever becomes of those who wait for it."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextvars import ContextVar

import pytest

from hyperws import ConnectionClosed, UsageError

from .peer import frame_of

TURNS = range(6)    # more than any message or cancellation needs to get through


async def turns(count):
    for _ in range(count):
        await asyncio.sleep(0)


async def waiting(ctx):
    """A task that waits in receive()."""
    task = asyncio.create_task(ctx.receive())
    await turns(1)
    assert not task.done()
    return task


async def cancelled(task):
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def its_message(task, ctx):
    """The message that a cancelled task got, or else left behind."""
    try:
        return await task
    except asyncio.CancelledError:
        return await ctx.receive()


async def test_messages_in_their_order(meeting):
    async with meeting() as (ctx, peer):
        messages = ["one", b"two", "", b"", "drei", "€" * 100]
        peer.send(*messages)
        for message in messages:
            assert await ctx.receive() == message


async def test_cancelled_before_a_message(meeting):
    async with meeting() as (ctx, peer):
        await cancelled(await waiting(ctx))
        peer.send("one", "two")
        assert await ctx.receive() == "one"
        await cancelled(asyncio.create_task(ctx.receive()))     # before it took its first step
        assert await ctx.receive() == "two"


async def test_cancelled_any_number_of_turns_after_the_message(meeting):
    async with meeting() as (ctx, peer):
        for count in TURNS:
            task = await waiting(ctx)
            peer.send(f"{count}")
            await turns(count)
            task.cancel()
            assert await its_message(task, ctx) == f"{count}"


async def test_cancelled_any_number_of_turns_before_the_message(meeting):
    async with meeting() as (ctx, peer):
        for count in TURNS:
            task = await waiting(ctx)
            task.cancel()
            await turns(count)
            peer.send(f"{count}")
            with pytest.raises(asyncio.CancelledError):
                await task
            assert await ctx.receive() == f"{count}"


async def test_cancelled_from_the_turn_in_which_the_message_comes(meeting):
    async with meeting() as (ctx, peer):
        task = await waiting(ctx)
        peer.send("hello")
        asyncio.get_running_loop().call_soon(task.cancel)   # just before the driver reads, or just after
        assert await its_message(task, ctx) == "hello"


async def test_messages_keep_their_order_when_the_first_is_not_taken(meeting):
    async with meeting() as (ctx, peer):
        task = await waiting(ctx)
        task.cancel()
        peer.send("one", "two")
        await cancelled(task)
        assert [await ctx.receive(), await ctx.receive()] == ["one", "two"]


async def test_a_reason_to_cancel_is_kept(meeting):
    async with meeting() as (ctx, _):
        task = await waiting(ctx)
        task.cancel("enough")
        with pytest.raises(asyncio.CancelledError, match="enough"):
            await task


async def test_wait_for(meeting):
    async with meeting() as (ctx, peer):
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(ctx.receive(), 0.001)
        peer.send("hello")
        assert await asyncio.wait_for(ctx.receive(), 20) == "hello"
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(ctx.receive(), 0)


async def test_timeout(meeting):
    async with meeting() as (ctx, peer):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.001):
                await ctx.receive()
        peer.send("hello")
        async with asyncio.timeout(20):
            assert await ctx.receive() == "hello"


async def test_a_task_group_that_fails(meeting):
    async def beside_a_failure(operation):
        async with asyncio.TaskGroup() as group:
            group.create_task(operation)
            await asyncio.sleep(0)
            raise LookupError

    async with meeting() as (ctx, peer):
        with pytest.raises(ExceptionGroup):
            await beside_a_failure(ctx.receive())
        peer.send("hello")
        async with asyncio.TaskGroup() as group:
            task = group.create_task(ctx.receive())
        assert task.result() == "hello"


async def test_gather(meeting):
    async with meeting() as (ctx, peer):
        peer.send("hello")
        gathered = await asyncio.gather(asyncio.sleep(0, 1), ctx.receive(), asyncio.sleep(0, 3))
        assert gathered == [1, "hello", 3]


async def test_whichever_comes_first(meeting):
    async with meeting() as (ctx, peer):
        event = asyncio.Event()
        tasks = [asyncio.create_task(ctx.receive()), asyncio.create_task(event.wait())]
        event.set()
        done, (receiving,) = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        assert done == {tasks[1]}
        await cancelled(receiving)
        peer.send("hello")
        assert await ctx.receive() == "hello"


async def test_received_again_at_once_after_cancelling(meeting):
    async with meeting() as (ctx, peer):
        task = await waiting(ctx)
        task.cancel()
        peer.send("hello")
        assert await ctx.receive() == "hello"


async def test_context_variables_and_the_current_task_are_kept(meeting):
    variable = ContextVar("variable", default="none")

    async def receiver(ctx):
        variable.set("mine")
        seen = []
        for _ in range(3):
            message = await ctx.receive()
            seen.append((message, variable.get(), asyncio.current_task()))
            variable.set(variable.get() + "+")
            ctx.send(message)
        return seen

    async with meeting() as (ctx, peer):
        task = asyncio.create_task(receiver(ctx))
        for message in ("one", "two", "three"):
            peer.send(message)
            assert await peer.messages(1) == [message]
        assert await task == [("one", "mine", task), ("two", "mine+", task), ("three", "mine++", task)]
        assert variable.get() == "none"
        assert asyncio.current_task() is not task


async def test_a_second_receiver_is_told(meeting):
    async with meeting() as (ctx, peer):
        first = await waiting(ctx)
        with pytest.raises(UsageError, match="another task"):
            await ctx.receive()
        peer.send("hello")
        assert await first == "hello"
        peer.send("again")
        assert await ctx.receive() == "again"


async def test_awaited_twice(meeting):
    async with meeting() as (ctx, peer):
        peer.send("one", "two")
        receiving = ctx.receive()
        assert await receiving == "one"
        with pytest.raises(UsageError, match="awaited already"):
            await receiving
        assert await ctx.receive() == "two"


async def test_never_awaited(meeting):
    async with meeting() as (ctx, peer):
        peer.send("hello")
        unused = ctx.receive()
        assert isinstance(unused, Coroutine)
        unused.close()
        ctx.receive()
        assert await ctx.receive() == "hello"


async def test_the_end_comes_after_the_messages(meeting):
    async with meeting() as (ctx, peer):
        peer.send("one", "two")
        peer.send_close(3001, "bye")
        assert [await ctx.receive(), await ctx.receive()] == ["one", "two"]
        for _ in range(2):
            with pytest.raises(ConnectionClosed) as caught:
                await ctx.receive()
            assert (caught.value.code, caught.value.reason) == (3001, "bye")
        assert [message async for message in ctx] == []


async def test_the_end_while_waiting(meeting):
    async with meeting() as (ctx, peer):
        task = await waiting(ctx)
        peer.send_close(1000)
        with pytest.raises(ConnectionClosed) as caught:
            await task
        assert caught.value.code == 1000


async def test_a_peer_that_vanishes_while_it_is_waited_for(meeting):
    async with meeting() as (ctx, peer):
        task = await waiting(ctx)
        peer.vanish()
        with pytest.raises(ConnectionClosed) as caught:
            await task
        assert caught.value.code == 1006


async def test_iteration(meeting):
    async with meeting() as (ctx, peer):
        peer.send("one", b"two")
        peer.send_close(1000)
        assert [message async for message in ctx] == ["one", b"two"]


async def test_a_full_queue_loses_nothing(meeting):
    async with meeting(receive_queue=1000) as (ctx, peer):
        messages = [f"{number}" * 50 for number in range(2000)]
        sending = asyncio.create_task(peer.send_all(messages))
        await turns(20)
        for message in messages:
            assert await ctx.receive() == message
        await sending


async def test_a_full_queue_holds_the_peer_back(meeting):
    async with meeting() as (_, peer):
        assert not await peer.flood(frame_of(bytes(65536)), 1000)
