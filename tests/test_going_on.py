"""A handler that goes on with a message is in its task, as far as it can tell.

Each scenario is run by plain asyncio too, and that is to come to the same.
"""

import asyncio
import contextvars
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


SCENARIOS = [
    is_one_task, sleeps_between, lets_another_task_receive, gives_up_at_once,
    cancels_itself_before_it_receives, cancels_itself_before_it_sleeps, cancels_itself_before_it_waits,
    cancels_itself_and_returns, cancels_itself_and_raises, cancels_itself_twice_and_ends, raises,
    is_in_a_group_that_fails,
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
