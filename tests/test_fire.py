"""Ownership under fire: whatever a handler does, and whenever its peer ends, nothing is left of them.

One test is one place in a handler (a hook) and one thing that it does there (a reaction). Dozens of peers
come to it at once, each with a conversation that is cut at another byte and ended there by a reset, by half
a close, or by a close; one in four of them is a bystander, with a handler of its own. None of it is random.
"""

from __future__ import annotations

import asyncio
import gc
import inspect
import logging
import os
import socket
from contextlib import suppress
from dataclasses import replace
from itertools import accumulate, product

import pytest

from hyperws import ConnectionClosed, Context, Limits, Server, UsageError
from hyperws._core.connection import Connection, Session
from hyperws._core.inbox import Inbox
from hyperws._core.waiter import Operation, Waiter

from .core.oracle_websocket import BINARY, CLOSE, CONTINUATION, PING, PONG, write
from .core.peer import HANDSHAKE, KEY, Peer, frame_of

LIMITS = Limits(
    send_queue=262144,
    receive_queue=32768,
    ping_interval=0.05,
    ping_timeout=0.05,
    close_timeout=0.01,
)
PIECE = b"x" * 60_000


class OnPurpose(Exception):
    pass


class Fire:
    """What a reaction reaches besides its own connection."""

    def __init__(self, server):
        self.server = server
        self.contexts = {}      # that are open, in the order of their coming
        self.tasks = {}
        self.stopping = []
        self.reached = 0        # how often the reaction came

    def enter(self, ctx):
        self.contexts[ctx] = None
        self.tasks[asyncio.current_task()] = None

    def leave(self, ctx):
        self.contexts.pop(ctx, None)
        del self.tasks[asyncio.current_task()]


# ------------------------------------------------------------------------------------------ reactions

def nothing(ctx, fire):
    pass


def close(ctx, fire):
    ctx.close(3000, "fire")


def close_all(ctx, fire):
    for other in list(fire.contexts):
        if other.is_websocket:
            other.close(3001, "all")


def fail(ctx, fire):
    raise OnPurpose


def claim_closed(ctx, fire):
    raise ConnectionClosed(4000)


def claim_cancelled(ctx, fire):
    raise asyncio.CancelledError


def cancel_all(ctx, fire):
    """Its own task too, where it has one."""
    for task in fire.tasks:
        task.cancel()


def cancel_others(ctx, fire):
    for task in fire.tasks:
        if task is not asyncio.current_task():
            task.cancel()


def send(ctx, fire):
    ctx.set_response_body("fire").send_body()


def send_and_close(ctx, fire):
    ctx.send(PIECE)
    ctx.close()
    ctx.send(PIECE)     # raises


def flood(ctx, fire):
    """A WebSocket's send queue overflows: that cuts it off."""
    for _ in range(100 if ctx.is_websocket else 10):
        ctx.set_response_body(PIECE).send_body()


def ping(ctx, fire):
    ctx.ping()


def join(ctx, fire):
    ctx.subscribe("all")
    ctx.publish("all", "fire")


def join_and_leave(ctx, fire):
    ctx.subscribe("all")
    ctx.subscribe("some")
    ctx.unsubscribe("all")
    fire.server.publish("some", "fire")


def overwhelm(ctx, fire):
    """Publish until every subscriber is cut off; a WebSocket is one itself."""
    if ctx.is_websocket and not ctx.closed:
        ctx.subscribe("all")
    while fire.server.publish("all", PIECE):
        pass


def cut_all(ctx, fire):
    """What stopping comes to in the end; here in the midst of events for those that are cut off."""
    fire.server._driver.abort_all()


def stop(ctx, fire):
    fire.stopping.append(asyncio.create_task(fire.server.stop(grace=0.05)))


async def cancel_itself(ctx, fire):
    asyncio.current_task().cancel()
    await asyncio.sleep(0)


async def survive_cancelling(ctx, fire):
    asyncio.current_task().cancel()
    with suppress(asyncio.CancelledError):
        await asyncio.sleep(0)


async def pause(ctx, fire):
    for _ in range(3):
        await asyncio.sleep(0)


async def linger(ctx, fire):
    """For longer than a handler gets here whose peer is gone."""
    await asyncio.sleep(0.12)


async def send_patiently(ctx, fire):
    for _ in range(10):
        await ctx.set_response_body(PIECE).send_body()


async def ping_patiently(ctx, fire):
    await ctx.ping()


async def close_patiently(ctx, fire):
    await ctx.close()


async def receive(ctx, fire):
    with suppress(UsageError):      # another task receives already
        await ctx.receive()


async def receive_and_give_up(ctx, fire):
    with suppress(UsageError, asyncio.TimeoutError):
        await asyncio.wait_for(ctx.receive(), 0)


async def stop_patiently(ctx, fire):
    await fire.server.stop(grace=0.05)


ANYWHERE = [
    nothing, fail, claim_closed, claim_cancelled, cancel_all, cancel_others, close_all, cut_all, send, flood,
    overwhelm, stop,
]
ON_WEBSOCKETS = [close, send_and_close, ping, join, join_and_leave]
IN_TASKS = [cancel_itself, survive_cancelling, pause, linger, send_patiently, stop_patiently]
IN_WEBSOCKET_TASKS = [ping_patiently, close_patiently, receive, receive_and_give_up]


# ---------------------------------------------------------------------------------------------- hooks

async def at_start(ctx, react):
    await react(ctx)
    async for _ in ctx:
        pass


async def at_each_message(ctx, react):
    async for _ in ctx:
        await react(ctx)


async def beside_a_receive(ctx, react):
    beside = asyncio.create_task(react(ctx))
    try:
        while True:
            with suppress(UsageError):      # where the other one receives
                await ctx.receive()
            await asyncio.sleep(0)
    finally:
        beside.cancel()
        with suppress(asyncio.CancelledError):
            await beside


async def beside_a_send_that_waits(ctx, react):
    waiting = asyncio.create_task(ctx.send(b""))
    try:
        while waiting.done():
            waiting.result()
            waiting = asyncio.create_task(ctx.send(PIECE))
            await asyncio.sleep(0)
        await react(ctx)
        await waiting
    finally:
        waiting.cancel()
        await asyncio.wait([waiting])
        if not waiting.cancelled():
            waiting.exception()


async def after_the_end(ctx, react):
    with suppress(ConnectionClosed):
        while True:
            await ctx.receive()
    await react(ctx)


async def in_finally(ctx, react):
    try:
        async for _ in ctx:
            pass
    finally:
        await react(ctx)


async def before_the_head(ctx, react):
    await react(ctx)


async def after_the_head(ctx, react):
    await ctx.set_response_body("first").send_body()
    await react(ctx)
    await ctx.set_response_body("last").send_body()


async def after_the_response(ctx, react):
    await ctx.send("page")
    with suppress(UsageError):
        await react(ctx)


async def in_on_message(ctx, react):
    """Stands for a plain function, see `serve`."""
    raise NotImplementedError


WEBSOCKET_HOOKS = [
    at_start, at_each_message, beside_a_receive, beside_a_send_that_waits, after_the_end, in_finally
]
HTTP_HOOKS = [before_the_head, after_the_head, after_the_response]

CASES = [
    *product(WEBSOCKET_HOOKS, ANYWHERE + ON_WEBSOCKETS + IN_TASKS + IN_WEBSOCKET_TASKS),
    *product([in_on_message], ANYWHERE + ON_WEBSOCKETS),
    *product(HTTP_HOOKS, ANYWHERE + IN_TASKS),
]


def serve(hook, reaction):
    """A server with a page and a WebSocket at "/", one of them under fire, and with bystanders."""
    server = Server(limits=replace(LIMITS, handler_grace=0.05) if reaction is linger else LIMITS)
    fire = Fire(server)

    async def react(ctx):
        fire.reached += 1
        if inspect.isawaitable(result := reaction(ctx, fire)):
            await result

    def entered(hook):
        async def handler(ctx):
            fire.enter(ctx)
            try:
                await hook(ctx, react)
            finally:
                fire.leave(ctx)

        return handler

    async def page(ctx, react):
        await ctx.send("page")

    async def bystand(ctx, react):
        ctx.subscribe("all")
        async for message in ctx:
            await ctx.send(message)

    def on_message(ctx, message):
        fire.contexts[ctx] = None
        fire.reached += 1
        try:
            reaction(ctx, fire)
        finally:
            # what has ended is the server's alone to keep
            fire.contexts = {ctx: None for ctx in fire.contexts if not ctx.closed}

    server.route("/", entered(hook if hook in HTTP_HOOKS else page), websocket=False)
    server.route("/bystander", entered(page), websocket=False)
    server.route("/bystander", entered(bystand), websocket=True)
    if hook is in_on_message:
        server.route("/", on_message=on_message)
    else:
        server.route("/", entered(hook if hook in WEBSOCKET_HOOKS else bystand), websocket=True)
    return server, fire


# ---------------------------------------------------------------------------------------------- peers

CONVERSATION = [
    b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    HANDSHAKE,
    frame_of("text"),
    write(BINARY, b"frag", fin=False, key=KEY),
    write(PING, b"ping", key=KEY),
    write(CONTINUATION, b"ment", key=KEY),
    write(PONG, b"1", key=KEY),
    frame_of(bytes(70_000)),    # more than one read, more than a receive queue
    write(CLOSE, b"\x03\xe8bye", key=KEY),
]
OF_A_BYSTANDER = [piece.replace(b"GET / ", b"GET /bystander ") for piece in CONVERSATION]


def cuts(pieces, shift, step=128):
    """Where to cut: where pieces meet, and of the bytes between every so many, shifted from case to case."""
    ends = list(accumulate(map(len, pieces), initial=0))
    *_, large, close, end = ends
    dense = [*range(large + 16), *range(close - 2, end + 1)]
    return sorted({*ends, *dense[shift % step :: step], large + 65536})


async def converse(host, port, pieces, cut, turns, ending):
    """Say what stands before the `cut`, so many turns of the loop between the pieces, and end."""
    try:
        peer = await Peer.connect(host, port)
    except ConnectionError:     # another one's handler has stopped the server
        return
    with suppress(OSError):     # the server may have ended the connection
        for piece in pieces:
            peer.socket.send(piece[:cut])
            cut -= min(cut, len(piece))
            if not cut:
                break
            for _ in range(turns):
                await asyncio.sleep(0)
        if ending == "reset":
            peer.vanish()
        elif ending == "half":
            peer.socket.shutdown(socket.SHUT_WR)
            for _ in range(100):    # then it is gone, whether the server has ended or does not read it
                with suppress(BlockingIOError):
                    if not peer.socket.recv(65536):
                        break
                await asyncio.sleep(0)
    peer.close()


async def until(settled):
    async with asyncio.timeout(20):
        while not settled():
            await asyncio.sleep(0)


def descriptors():
    return os.listdir("/proc/self/fd") if os.path.isdir("/proc/self/fd") else []


def survivors():
    kinds = (Context, Connection, Session, Inbox, Operation, Waiter)
    return [each for each in gc.get_objects() if issubclass(type(each), kinds)]


@pytest.fixture
def few_objects():
    """Only what the test makes is looked through."""
    gc.freeze()
    yield
    gc.unfreeze()


def peers_of(case, running, turns):
    for count, cut in enumerate(cuts(CONVERSATION, case)):
        for kind, ending in enumerate(("reset", "half", "close")):
            pieces = OF_A_BYSTANDER if (case + count + kind) % 4 == 0 else CONVERSATION
            yield converse(running.host, running.port, pieces, cut, turns, ending)


async def under_fire(serving, server, fire, case, turns):
    """All peers at once and in step; then everything has ended by itself."""
    async with serving(server) as running:
        driver = server._driver
        await asyncio.gather(*peers_of(case, running, turns))
        await until(lambda: not driver.connections)
        await asyncio.gather(*fire.stopping)
        await until(lambda: asyncio.all_tasks() == {asyncio.current_task()})


@pytest.mark.usefixtures("few_objects")
@pytest.mark.parametrize(("hook", "reaction"), CASES, ids=lambda function: function.__name__)
async def test_nothing_is_left(serving, caplog, hook, reaction):
    server, fire = serve(hook, reaction)
    async with serving(server) as running:      # a loop opens something of its own for its first connections
        await running.exchange(b"GET /nothing HTTP/1.0\r\n\r\n")
    before = descriptors()
    for turns in (0, 8):    # all of it in one read; or each piece when what came before it has been served
        await under_fire(serving, server, fire, CASES.index((hook, reaction)), turns)
    assert fire.reached
    await until(lambda: len(descriptors()) == len(before))

    errors = [record for record in caplog.records if record.levelno >= logging.ERROR]
    on_purpose = (OnPurpose, asyncio.CancelledError)
    assert [record for record in errors if not isinstance(record.exc_info[1], on_purpose)] == []
    assert bool(errors) == (reaction is fail) or reaction is claim_cancelled
    for record in errors:
        record.exc_info = None      # pytest keeps the record, and this the handler
    caplog.clear()
    fire.contexts.clear()
    assert not fire.tasks
    gc.collect()    # an exception and the frames that it came through hold each other
    assert survivors() == []
