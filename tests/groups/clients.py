"""A server with rooms, clients of it, and two such servers on one backplane."""

from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack

from websockets.asyncio.client import connect

from hyperws import Server


def wrap(topic, message, epoch, offset):
    return json.dumps([message, epoch, offset])


def room_server(**options):
    """A server whose clients tell it what to do: ["subscribe", topic, …], ["publish", topic, message]."""
    server = Server(**options)
    server.contexts = []

    @server.route("/")
    async def serve(ctx):
        server.contexts.append(ctx)
        async for message in ctx:
            verb, topic, *rest = json.loads(message)
            if verb == "subscribe":
                since, member = (*rest, None, None)[:2]
                since = tuple(since) if isinstance(since, list) else since
                got = await ctx.subscribe(topic, since, member=member)
                await ctx.send(json.dumps({"recovered": got.recovered, "at": [got.epoch, got.offset]}))
            elif verb == "unsubscribe":
                await ctx.unsubscribe(topic)
                await ctx.send("unsubscribed")
            elif verb == "publish":
                server.publish(topic, rest[0])
            elif verb == "others":
                ctx.publish(topic, rest[0])
            elif verb == "members":
                await ctx.send(json.dumps([member.data for member in await server.members(topic)]))

    return server


class Client:
    def __init__(self, websocket):
        self.websocket = websocket

    @classmethod
    async def connect(cls, running):
        return cls(await connect(running.ws()))

    async def __aenter__(self):
        return self

    async def __aexit__(self, *error):
        await self.websocket.close()

    async def say(self, *words):
        await self.websocket.send(json.dumps(words))

    async def subscribe(self, topic, since=None, member=None):
        """(what was delivered before the answer, the answer)"""
        await self.say("subscribe", topic, since, member)
        past = []
        while not isinstance(got := json.loads(await self.websocket.recv()), dict):
            past.append(got)
        return past, got

    async def members(self, topic):
        await self.say("members", topic)
        return json.loads(await self.websocket.recv())

    async def get(self):
        return json.loads(await self.websocket.recv())

    async def get_several(self, count):
        return [await self.get() for _ in range(count)]


class Pair:
    """Two servers on one broker, each with a client; `gaps` are the topics of which each has reported one."""

    def __init__(self, serving, backplane):
        self.servers = [room_server(backplane=backplane) for _ in range(2)]
        for server in self.servers:
            server.history("kept*", messages=1000, wrap=wrap)
        self.gaps = [[], []]
        self.stack = AsyncExitStack()
        self.serving = serving
        for server, gaps in zip(self.servers, self.gaps, strict=True):
            server.on_gap(gaps.append)

    async def __aenter__(self):
        self.running = [await self.stack.enter_async_context(self.serving(each)) for each in self.servers]
        self.one, self.two = [
            await self.stack.enter_async_context(await Client.connect(each)) for each in self.running
        ]
        return self

    async def __aexit__(self, *error):
        await self.stack.aclose()

    async def until(self, condition):
        while not condition():
            await asyncio.sleep(0.005)

    async def healthy(self):
        await self.until(lambda: all(server.healthy for server in self.servers))
