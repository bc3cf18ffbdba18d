"""Topics: who gets what is published."""

import asyncio

import pytest
from websockets.asyncio.client import connect

from hyperws import Server, UsageError

from .core.peer import HANDSHAKE, Peer


def chat_server():
    server = Server()

    @server.route("/chat/{room}")
    async def chat(ctx):
        room = ctx.params["room"]
        ctx.subscribe(room)
        await ctx.send(f"Welcome to {room}, {ctx.client}")
        async for message in ctx:
            match message:
                case "leave":
                    await ctx.unsubscribe(room)
                    await ctx.send("left")
                case "others":
                    await ctx.send(str(ctx.publish(room, b"to others")))
                case "but me":
                    await ctx.send(str(server.publish(room, "but you", exclude=ctx)))
                case _:
                    server.publish(room, message)

    return server


async def joined(running, room="blue"):
    websocket = await connect(running.ws(f"/chat/{room}"))
    host, port = websocket.local_address[:2]
    assert await websocket.recv() == f"Welcome to {room}, {host}:{port}"
    return websocket


async def test_everyone_in_a_room_gets_what_is_published_in_order(serving):
    async with serving(chat_server()) as running:
        members = [await joined(running) for _ in range(5)]
        stranger = await joined(running, "red")
        for number in range(100):
            await members[0].send(str(number))
        for member in members:
            assert [await member.recv() for _ in range(100)] == [str(number) for number in range(100)]
        await stranger.send("alone")
        assert await stranger.recv() == "alone"
        for websocket in [*members, stranger]:
            await websocket.close()


async def test_publishing_to_the_others_and_leaving(serving):
    async with serving(chat_server()) as running:
        one, two = await joined(running), await joined(running)
        await one.send("others")
        assert await one.recv() == "1"
        assert await two.recv() == b"to others"
        await one.send("but me")
        assert await one.recv() == "1"
        assert await two.recv() == "but you"
        await two.send("leave")
        assert await two.recv() == "left"
        await one.send("others")
        assert await one.recv() == "0"
        await one.close()
        await two.close()


async def test_a_connection_that_ends_has_left(serving):
    server = chat_server()
    async with serving(server) as running:
        async with await joined(running), await joined(running):
            assert server.publish("blue", "x") == 2
        while running.server.publish("blue", "x"):
            await asyncio.sleep(0)
        assert server.publish("blue", "x") == 0


async def test_what_can_not_be_published_is_told(serving):
    server = chat_server()
    for unfit in ({"a": 1}, 5, None):
        with pytest.raises(UsageError, match="serialise it first"):
            server.publish("blue", unfit)
    for topic in (5, None, b"blue"):
        with pytest.raises(UsageError, match="a topic is a str"):
            server.publish(topic, "x")
    with pytest.raises(UsageError, match="takes a Context"):
        server.publish("blue", "x", exclude=5)


@pytest.mark.parametrize("make", [list, tuple, iter])
async def test_pieces_are_published_as_one_message(serving, make):
    async def handler(ctx):
        ctx.subscribe("news")
        await ctx.send("ready")
        async for _ in ctx:
            pass

    async with serving(Server().route("/", handler)) as running:
        peer = await Peer.connect(running.host, running.port)
        peer.write(HANDSHAKE)
        await peer.read_head()
        assert await peer.event() == ("message", "ready")
        assert running.server.publish("news", make(["one ", "message"])) == 1
        assert await peer.take(15) == b"\x01\x04one \x80\x07message"
        peer.close()
