"""A server with rooms, and clients of it."""

from __future__ import annotations

import json

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
