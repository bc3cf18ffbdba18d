"""An application whose peers tell it what to do.

A message "!abc" is three reactions, any other is echoed; the query of a request is reactions too.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

from hyperws import ConnectionClosed, Limits, Server, UsageError

SMALL, PIECE, MUCH, PUBLISHED = "small", "piece", "much " * 400, "published"

SUBPROTOCOLS = ["chat.v2", "chat.v1"]

HARMLESS = set("degnvx")  # reactions after which everything that the peer sends is still received

LIMITS = Limits(
    max_message_size=1000, max_message_frames=6, max_head_size=1000, max_headers=12, max_body_size=300,
    receive_queue=600, send_queue=4000, max_connections_per_address=2,
)


class OnPurpose(Exception):
    """What a handler raises because it was told to."""


class Leave(Exception):
    """The handler is to return."""


class Record:
    """What a WebSocket handler received and sent."""

    def __init__(self, ctx):
        self.ctx = ctx
        self.received = []
        self.sent = []
        self.undisturbed = True


def say(record, message, compress=None):
    """Send a message. Returns what may be awaited, None where the connection has ended."""
    with suppress(ConnectionClosed):
        waiting = record.ctx.send(message, compress=compress)
        record.sent.append(message if isinstance(message, str | bytes) else "".join(message))
        return waiting
    return None


def misuse(ctx):
    for wrong in (
        lambda: ctx.send(None), lambda: ctx.send(1), lambda: ctx.send("\ud800"), lambda: ctx.close(1005),
        lambda: ctx.close(1000, "x" * 124), lambda: ctx.publish(1, "x"), lambda: ctx.unsubscribe(1),
    ):
        try:
            wrong()
        except (UsageError, ConnectionClosed):
            continue
        raise AssertionError("a misuse was let through")


def fail():
    raise OnPurpose


AT_ONCE = {
    "b": lambda record: record.ctx.publish("topic", PUBLISHED),
    "B": lambda record: record.ctx.server.publish("topic", PUBLISHED * 100),
    "c": lambda record: record.ctx.close(),
    "C": lambda record: record.ctx.close(4000, "bye"),
    "d": lambda record: say(record, SMALL, compress=True),
    "D": lambda record: say(record, MUCH, compress=False),
    "e": lambda record: say(record, SMALL),
    "g": lambda record: say(record, [SMALL, PIECE, SMALL]),
    "m": lambda record: say(record, MUCH),
    "p": lambda record: record.ctx.ping(),
    "r": lambda record: fail(),
    "u": lambda record: record.ctx.subscribe("topic"),
    "v": lambda record: record.ctx.unsubscribe("topic"),
    "x": lambda record: misuse(record.ctx),
}


def reactions(record, message):
    """What a message asks for."""
    record.received.append(message)
    letters = message if isinstance(message, str) else message.decode("latin-1")
    if not letters.startswith("!"):
        say(record, message)
        return ""
    letters = letters[1:9]
    record.undisturbed = record.undisturbed and HARMLESS.issuperset(letters)
    return letters


async def react(record, letter):
    ctx = record.ctx
    match letter:
        case "f":
            task = asyncio.create_task(speak_later(record))
            ctx.state[task] = task
        case "k":
            await ctx.close(4001)
        case "n":
            await asyncio.sleep(0)
        case "P":
            await asyncio.wait_for(ctx.ping(), 5)
        case "q":
            raise Leave
        case "T":
            record.received.append(await asyncio.wait_for(ctx.receive(), 0.5))
        case "t":
            asyncio.current_task().cancel()
            await asyncio.sleep(0)
        case "w":
            if waiting := say(record, MUCH):
                await waiting
        case "z":
            await asyncio.sleep(1)
        case _ if letter in AT_ONCE:
            AT_ONCE[letter](record)


async def speak_later(record):
    await asyncio.sleep(2)
    say(record, SMALL)


async def answer(ctx):
    """A plain HTTP request."""
    for letter in ctx.request.query[:8]:
        match letter:
            case "b":
                ctx.set_response_body(await ctx.get_request_body())
            case "B":
                async for piece in ctx.body():
                    await ctx.set_response_body(piece).send_body()
            case "c":
                await ctx.set_response_body("chunk").send_body()
            case "C":
                ctx.set_response_body(MUCH).send_body()
            case "e":
                await ctx.send_event(SMALL, id="1")
            case "E":
                ctx.subscribe("topic")
            case "F":
                for _ in range(5):
                    ctx.send_event(MUCH)
            case "h":
                ctx.set_response_header("x-name", ctx.headers.get("host", ""))
            case "n":
                await asyncio.sleep(0)
            case "p":
                await ctx.poll("topic", timeout=2)
            case "r":
                await ctx.send(SMALL)
            case "R":
                ctx.send(MUCH * 5)
            case "s":
                ctx.set_response_status_code(204)
            case "t":
                asyncio.current_task().cancel()
                await asyncio.sleep(0)
            case "w":
                with suppress(TimeoutError):
                    await asyncio.wait_for(ctx.wait_closed(), 100)
            case "x":
                fail()
            case "z":
                await asyncio.sleep(1)


def build_server():
    """The server, and the dict in which each new WebSocket leaves its Record, by client."""
    server = Server(limits=LIMITS, allowed_origins="*", subprotocols=SUBPROTOCOLS)
    records = {}

    async def handler(ctx):
        if not ctx.is_websocket:
            try:
                await answer(ctx)
            except UsageError:      # a second response
                fail()
            return
        record = records[ctx.client] = Record(ctx)
        with suppress(Leave):
            async for message in ctx:
                for letter in reactions(record, message):
                    with suppress(TimeoutError):
                        await react(record, letter)

    def on_message(ctx, message):
        record = records.setdefault(ctx.client, Record(ctx))
        for letter in reactions(record, message):
            if letter in AT_ONCE:
                AT_ONCE[letter](record)

    server.route("/", handler)
    server.route("/callback", on_message=on_message)
    return server, records
