"""A handler that goes on with a message is in its task, as far as it can tell.

Each scenario is run by plain asyncio too, and that is to come to the same.
"""

import asyncio
import contextvars
import gc
import sys
from contextlib import suppress

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from hyperws import Server

variable = contextvars.ContextVar("variable", default=0)
MESSAGES = ["one", "two", "three", "four"]


async def is_one_task(receive, log):
    tasks = set()
    for _ in MESSAGES:
        log(await receive())
        tasks.add(asyncio.current_task())
        variable.set(variable.get() + 1)
    log(len(tasks))
    log(variable.get())


async def sleeps_between(receive, log):
    for _ in MESSAGES:
        log(await receive())
        await asyncio.sleep(0)


async def lets_another_task_receive(receive, log):
    log(await receive())
    log(await asyncio.create_task(as_coroutine(receive)))
    log(await receive())
    log(await asyncio.wait_for(receive(), 20))


async def as_coroutine(receive):
    return await receive()


async def gives_up_at_once(receive, log):
    log(await receive())
    try:
        async with asyncio.timeout(0):
            await asyncio.Event().wait()
    except TimeoutError:
        log("timeout")
    log(asyncio.current_task().cancelling())
    log(await receive())


async def cancels_itself_before_it_receives(receive, log):
    log(await receive())
    asyncio.current_task().cancel("enough")
    try:
        await receive()
    except asyncio.CancelledError as error:
        log(error.args)
    log(asyncio.current_task().cancelling())
    log(asyncio.current_task().uncancel())
    log(await receive())


async def cancels_itself_before_it_sleeps(receive, log):
    log(await receive())
    asyncio.current_task().cancel()
    try:
        await asyncio.sleep(0)
    except asyncio.CancelledError:
        log("cancelled")
    log(asyncio.current_task().cancelling())
    log(await receive())


async def cancels_itself_before_it_waits(receive, log):
    log(await receive())
    future = asyncio.get_running_loop().create_future()
    asyncio.current_task().cancel()
    try:
        await future
    except asyncio.CancelledError:
        log(future.cancelled())
    log(asyncio.current_task().cancelling())
    log(await receive())


async def cancels_itself_and_returns(receive, log):
    log(await receive())
    asyncio.current_task().cancel()


async def cancels_itself_and_raises(receive, log):
    log(await receive())
    asyncio.current_task().cancel()
    raise ValueError("after a cancel")


async def cancels_itself_twice_and_ends(receive, log):
    log(await receive())
    asyncio.current_task().cancel()
    asyncio.current_task().cancel()
    await receive()


async def raises(receive, log):
    log(await receive())
    log(await receive())
    raise KeyError("a mistake")


async def is_in_a_group_that_fails(receive, log):
    async def fail(after):
        await after.wait()
        raise ValueError("in a group")

    try:
        async with asyncio.TaskGroup() as group:
            after = asyncio.Event()
            group.create_task(fail(after))
            log(await receive())
            after.set()
            await asyncio.Event().wait()
    except* ValueError as errors:
        log(str(errors.exceptions[0]))
    log(await receive())


async def cancels_itself_and_thinks_better_of_it(receive, log):
    log(await receive())
    asyncio.current_task().cancel()
    asyncio.current_task().uncancel()
    try:
        log(await receive())
    except asyncio.CancelledError:
        log("cancelled")    # until Python 3.13
    log(await receive())


def has_come(operation):
    """Take the first step of an awaitable by hand, and give it up."""
    try:
        operation.send(None)
    except StopIteration as result:
        return result.value
    operation.close()
    return None


async def looks_whether_there_is_a_message(receive, log):
    log(await receive())
    log(has_come(receive()))
    log(await receive())
    log(has_come(receive()))
    await asyncio.sleep(0.05)
    log("slept")


async def looks_and_is_cancelled(receive, log):
    log(await receive())
    log(has_come(receive()))
    asyncio.current_task().cancel("enough")
    try:
        await receive()
    except asyncio.CancelledError as error:
        log(error.args)
    log(await receive())


class Twice:
    def __init__(self, awaitable):
        self.awaitable = awaitable

    def __await__(self):
        waiting = next(self.awaitable.__await__())
        yield waiting
        yield waiting


async def yields_the_same_again(receive, log):
    log(await receive())
    try:
        await Twice(receive())
    except RuntimeError as error:
        log(str(error).partition(" in task")[0])


SCENARIOS = [
    is_one_task, sleeps_between, lets_another_task_receive, gives_up_at_once,
    cancels_itself_before_it_receives, cancels_itself_before_it_sleeps, cancels_itself_before_it_waits,
    cancels_itself_and_returns, cancels_itself_and_raises, cancels_itself_twice_and_ends, raises,
    is_in_a_group_that_fails, cancels_itself_and_thinks_better_of_it, looks_whether_there_is_a_message,
    looks_and_is_cancelled, yields_the_same_again,
]  # fmt: skip


def outcome(task):
    return "cancelled" if task.cancelled() else repr(task.exception() or task.result())


async def by_asyncio(scenario):
    """What it logs, and how it ends."""
    queue, logged = asyncio.Queue(), []
    task = asyncio.create_task(scenario(queue.get, logged.append))
    for message in MESSAGES:
        await asyncio.sleep(0.01)
        queue.put_nowait(message)
    await asyncio.wait([task])
    return logged, outcome(task)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
async def test_a_handler_goes_on_as_its_task_would(serving, scenario, caplog):
    server, logged = Server(), []
    ended = asyncio.get_running_loop().create_future()

    @server.route("/socket")
    async def handler(ctx):
        asyncio.current_task().add_done_callback(lambda task: ended.set_result(outcome(task)))
        await scenario(ctx.receive, logged.append)

    async with serving(server) as running, connect(running.ws("/socket")) as websocket:
        for message in MESSAGES:
            with suppress(ConnectionClosed):
                await (await websocket.ping())      # the handler waits for the message by now
                await websocket.send(message)
        async with asyncio.timeout(20):
            assert (logged, await ended) == await by_asyncio(scenario)
    caplog.clear()      # handlers that raise are logged


async def test_a_handlers_task_has_the_name_of_its_path(serving):
    server, names = Server(), []

    @server.route("/socket/{room}")
    async def handler(ctx):
        names.append(asyncio.current_task().get_name())

    async with serving(server) as running:
        async with connect(running.ws("/socket/7")) as websocket:
            await websocket.wait_closed()
    assert names == ["/socket/7"]


async def wrapped(coroutine):
    return await coroutine


def make_wrapped_task(loop, coroutine, **options):
    return asyncio.Task(wrapped(coroutine), loop=loop, **options)


async def in_another_task(coroutine):
    return await asyncio.Task(coroutine)


def make_two_tasks(loop, coroutine, **options):
    return asyncio.Task(in_another_task(coroutine), loop=loop, **options)


FACTORIES = [make_wrapped_task, make_two_tasks]
if sys.version_info >= (3, 12):
    FACTORIES.append(asyncio.eager_task_factory)


@pytest.mark.parametrize("factory", FACTORIES, ids=lambda factory: factory.__name__)
async def test_an_application_may_have_a_task_factory(serving, under, factory):
    if under[1] == "uvloop" and factory not in (make_wrapped_task, make_two_tasks):
        pytest.skip("uvloop does not start tasks eagerly: it gives a factory options that it does not take")
    server = Server()

    @server.route("/socket")
    async def handler(ctx):
        tasks = set()
        for _ in range(2):
            await ctx.send(await ctx.receive())
            await ctx.send(await asyncio.create_task(as_coroutine(ctx.receive)))
            tasks.add(asyncio.current_task())
        async with asyncio.timeout(20):
            await ctx.send(str(len(tasks)))

    async with serving(server) as running, connect(running.ws("/socket")) as first:
        asyncio.get_running_loop().set_task_factory(factory)
        async with asyncio.timeout(20), connect(running.ws("/socket")) as websocket:
            for message in MESSAGES:
                await websocket.send(message)
                assert await websocket.recv() == message
            assert await websocket.recv() == "1"
            await (await first.ping())
        asyncio.get_running_loop().set_task_factory(None)


def live_drives():
    return sum(type(each).__name__ == "Driven" for each in gc.get_objects())


async def receives_until_the_end(ctx):
    while True:
        await ctx.receive()


async def returns_after_a_message(ctx):
    await ctx.receive()


async def raises_after_a_message(ctx):
    await ctx.receive()
    raise ValueError


@pytest.mark.parametrize(
    "handle",
    [receives_until_the_end, returns_after_a_message, raises_after_a_message],
    ids=lambda handle: handle.__name__,
)
async def test_nothing_of_a_handler_is_left_for_the_garbage_collector(serving, handle, caplog):
    server = Server()
    server.route("/socket")(handle)
    async with serving(server) as running:
        gc.collect()
        gc.disable()
        try:
            for _ in range(3):
                async with connect(running.ws("/socket")) as websocket:
                    await websocket.send("message")
                    with suppress(ConnectionClosed):
                        await (await websocket.ping())
            await asyncio.sleep(0.05)
            assert live_drives() == 0
        finally:
            gc.enable()
    caplog.clear()
