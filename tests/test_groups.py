"""Topics: who gets what is published."""

import asyncio
import enum
import itertools
import random
import threading
import time

import pytest
from websockets.asyncio.client import connect

from hyperws import Limits, Server, UsageError

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


async def test_what_is_published_and_sent_in_one_turn_keeps_its_order(serving):
    server = Server()
    contexts = []

    @server.route("/{topics}")
    async def subscriber(ctx):
        for topic in ctx.params["topics"]:
            ctx.subscribe(topic)
        contexts.append(ctx)
        await ctx.wait_closed()

    chance = random.Random(7)
    async with serving(server) as running:
        websockets = [await connect(running.ws(path)) for path in ("/a", "/ab", "/ba", "/b", "/ab")]
        while len(contexts) < 5:
            await asyncio.sleep(0)
        for _ in range(50):
            expected = {ctx: [] for ctx in contexts}
            for number in range(chance.randrange(1, 12)):
                message = f"{number}{'.' * chance.choice([0, 100, 5000, 20_000, 70_000])}"
                one = chance.choice(contexts)
                if chance.random() < 0.2:
                    one.send(message)
                    expected[one].append(message)
                    continue
                topic = chance.choice("ab")
                exclude = one if chance.random() < 0.3 else None
                server.publish(topic, message, exclude=exclude)
                for ctx in contexts:
                    if topic in ctx.params["topics"] and ctx is not exclude:
                        expected[ctx].append(message)
            for websocket in websockets:
                (ctx,) = (each for each in contexts if each.client.endswith(f":{websocket.local_address[1]}"))
                assert [await websocket.recv() for _ in expected[ctx]] == expected[ctx]
        for websocket in websockets:
            await websocket.close()


class Room(enum.StrEnum):
    BLUE = "blue"


async def test_a_topic_may_be_of_a_class_of_str(serving):
    server = chat_server()

    @server.route("/enumerated")
    async def enumerated(ctx):
        await ctx.subscribe(Room.BLUE)
        await ctx.send(str(ctx.publish(Room.BLUE, "one is here")))
        assert await ctx.receive() == "leave"
        await ctx.unsubscribe(Room.BLUE)
        await ctx.send("left")

    @server.route("/poll")
    async def poll(ctx):
        await ctx.poll(Room.BLUE)

    async with serving(server) as running, await joined(running) as named:
        async with connect(running.ws("/enumerated")) as one:
            assert await one.recv() == "1"
            assert await named.recv() == "one is here"
            assert server.publish(Room.BLUE, "to both") == 2
            assert await one.recv() == await named.recv() == "to both"
            await one.send("leave")
            assert await one.recv() == "left"
            assert server.topics.count("blue") == 1
        reader, writer = await running.raw(b"GET /poll HTTP/1.1\r\nHost: x\r\n\r\n")
        while server.topics.count("blue") == 1:
            await asyncio.sleep(0)
        server.publish("blue", "polled")
        assert (await reader.readuntil(b"polled")).startswith(b"HTTP/1.1 200")
        writer.close()


# ------------------------------------------------------------------------------ slow subscribers


async def stalled_subscriber(running, policy):
    """A peer that has subscribed to "feed" and reads nothing, so that nothing more goes into its socket."""
    peer = await Peer.connect(running.host, running.port)
    peer.write(HANDSHAKE.replace(b"GET /", b"GET /" + policy.encode()))
    await peer.read_head()
    while not running.server.contexts:
        await asyncio.sleep(0)
    return peer, running.server.contexts.pop()


def feed_server(**options):
    server = Server(**options)
    server.contexts, server.subscriptions = [], []

    @server.route("/{policy}")
    async def feed(ctx):
        server.subscriptions.append(await ctx.subscribe("feed", policy=ctx.params["policy"]))
        server.contexts.append(ctx)
        async for _ in ctx:
            pass

    return server


def padded(number, size):
    return f"{number}{'.' * size}"


def number_of(message):
    return int(message.rstrip("."))


async def fill(server, size=10_000):
    """Publish so much that the sockets of those who don't read are full. Returns how many messages."""
    for number in itertools.count(1):
        server.publish("feed", padded(number, size))
        await asyncio.sleep(0)
        if number * size > 16 << 20:    # more than a socket holds
            return number


async def test_a_slow_subscriber_is_closed_by_default(serving):
    async with serving(feed_server(limits=Limits(send_queue=100_000))) as running:
        peer, ctx = await stalled_subscriber(running, "close")
        try:
            await fill(running.server)
            assert (ctx.close_code, ctx.close_reason) == (1013, "too slow")
            assert running.server.publish("feed", "x") == 0
        finally:
            peer.close()


async def test_a_slow_subscriber_may_miss_what_is_too_much(serving):
    async with serving(feed_server(limits=Limits(send_queue=100_000))) as running:
        peer, ctx = await stalled_subscriber(running, "drop")
        try:
            published = await fill(running.server)
            (subscription,) = running.server.subscriptions
            assert not ctx.closed
            assert 0 < subscription.dropped < published
            got = await peer.messages(published - subscription.dropped)
            numbers = [number_of(message) for message in got]
            assert numbers == list(range(1, len(got) + 1))      # the newest are dropped
            running.server.publish("feed", "again")
            assert await peer.messages(1) == ["again"]
        finally:
            peer.close()


async def test_a_slow_subscriber_may_want_only_the_latest_of_each_topic(serving):
    server = feed_server(limits=Limits(send_queue=100_000))
    async with serving(server) as running:
        peer, ctx = await stalled_subscriber(running, "latest")
        other = await ctx.subscribe("other", policy="latest")
        try:
            for number in range(3000):
                server.publish("other", f"other {padded(number, 5000)}")
                server.publish("feed", f"feed {padded(number, 5000)}")
                await asyncio.sleep(0)
            (feed,) = server.subscriptions
            assert not ctx.closed
            assert 0 < feed.dropped < 3000
            got = await peer.messages(6000 - feed.dropped - other.dropped)
            for topic in ("feed", "other"):
                numbers = [number_of(text) for name, text in map(str.split, got) if name == topic]
                assert numbers == sorted(set(numbers))
                assert numbers[-1] == 2999
            ctx.send("nothing more")
            assert await peer.messages(1) == ["nothing more"]
        finally:
            peer.close()


@pytest.mark.parametrize("history", [False, True])
async def test_what_a_hook_publishes_while_a_message_is_given_out_comes_behind_it(serving, history):
    number = 0
    server = Server(limits=Limits(send_queue=100_000))
    if history:
        server.history("feed", messages=5)

    @server.route("/{name}")
    async def feed(ctx):
        await ctx.subscribe("feed", member=ctx.params["name"])
        async for _ in ctx:
            pass

    @server.on_member_left
    def left(topic, member):
        server.publish("feed", bytearray(b"too much: %d" % number))

    async with serving(server) as running:
        slow = await Peer.connect(running.host, running.port)
        try:
            slow.write(HANDSHAKE.replace(b"GET /", b"GET /slow"))
            await slow.read_head()
            async with connect(running.ws("/other")) as other:
                while server.topics.count("feed") < 2:
                    await asyncio.sleep(0)
                last = None
                for number in itertools.count():
                    server.publish("feed", padded(number, 50_000))
                    message = await other.recv()
                    if isinstance(message, bytes):
                        break
                    last = number_of(message)
                assert message == b"too much: %d" % last
        finally:
            slow.close()


async def test_the_latest_of_many_topics_together_are_not_too_much(serving):
    server = Server(limits=Limits(send_queue=100_000))
    contexts = []

    @server.route("/")
    async def feeds(ctx):
        for topic in range(200):
            ctx.subscribe(str(topic), policy="latest")
        contexts.append(ctx)
        async for _ in ctx:
            pass

    async with serving(server) as running:
        peer = await Peer.connect(running.host, running.port)
        try:
            peer.write(HANDSHAKE)
            await peer.read_head()
            while not contexts:
                await asyncio.sleep(0)
            for number in range(1000):
                server.publish(str(number % 200), padded(number, 50_000))
                await asyncio.sleep(0)
            last = {}
            while len(last) < 200 or min(last.values()) < 800:
                number = number_of((await peer.messages(1))[0])
                assert last.get(number % 200, -1) < number
                last[number % 200] = number
            assert not contexts[0].closed
        finally:
            peer.close()


async def test_a_stalled_subscriber_delays_nobody(serving):
    async with serving(feed_server(limits=Limits(send_queue=100_000))) as running:
        stalled = [(await stalled_subscriber(running, policy))[0] for policy in ("close", "drop", "latest")]
        try:
            async with connect(running.ws("/close")) as healthy:
                while running.server.topics.count("feed") < 4:
                    await asyncio.sleep(0)
                for number in range(500):
                    running.server.publish("feed", padded(number, 50_000))
                    assert number_of(await healthy.recv()) == number
        finally:
            for peer in stalled:
                peer.close()


async def test_an_unsubscribed_topic_is_not_delivered_late(serving):
    server = feed_server(limits=Limits(send_queue=100_000))
    async with serving(server) as running:
        peer, ctx = await stalled_subscriber(running, "latest")
        try:
            published = await fill(server)
            ctx.unsubscribe("feed")
            (feed,) = server.subscriptions
            got = await peer.messages(published - feed.dropped - 1)     # all but what was held back
            assert number_of(got[-1]) < published
            ctx.send("nothing more")
            assert await peer.messages(1) == ["nothing more"]
        finally:
            peer.close()


async def test_a_past_that_is_too_much_for_a_subscriber(serving):
    server = Server(limits=Limits(send_queue=10_000)).history("feed", messages=1000)
    subscriptions = []

    @server.route("/")
    async def feed(ctx):
        subscriptions.append(await ctx.subscribe("feed", since="start"))

    async with serving(server) as running:
        for _ in range(400):
            server.publish("feed", bytes(50_000))
        peer = await Peer.connect(running.host, running.port)
        try:
            peer.write(HANDSHAKE)
            while not subscriptions:
                await asyncio.sleep(0)
            assert (subscriptions[0].active, subscriptions[0].recovered) == (False, False)
        finally:
            peer.close()


# --------------------------------------------------------------------------------- other threads


async def test_other_threads_may_publish(serving):
    async with serving(chat_server()) as running:
        member = await joined(running)

        def publish(name):
            for number in range(1000):
                assert running.server.publish("blue", f"{name} {number}") == 1

        await asyncio.gather(*(asyncio.to_thread(publish, name) for name in "ab"))
        came = [await member.recv() for _ in range(2000)]
        for name in "ab":
            of_one = [each for each in came if each[0] == name]
            assert of_one == [f"{name} {number}" for number in range(1000)]
        await member.close()


async def test_a_thread_waits_while_the_event_loop_is_far_behind(serving, monkeypatch):
    monkeypatch.setattr("hyperws.groups.threads.ROOM", 10)
    async with serving(chat_server()) as running:
        member = await joined(running)
        published = []

        def publish():
            for number in range(100):
                running.server.publish("blue", str(number))
                published.append(number)

        thread = threading.Thread(target=publish)
        thread.start()
        while len(published) < 10:
            time.sleep(0.001)   # the loop does nothing meanwhile
        assert len(published) == 10
        assert [await member.recv() for _ in range(100)] == [str(number) for number in range(100)]
        thread.join()
        await member.close()


async def test_what_a_thread_publishes_is_what_it_was(serving):
    async with serving(chat_server()) as running:
        member = await joined(running)
        message = bytearray(b"before")

        def publish():
            running.server.publish("blue", message)
            message[:] = b"behind"

        thread = threading.Thread(target=publish)
        thread.start()
        thread.join()
        assert await member.recv() == b"before"
        await member.close()


async def test_what_a_thread_publishes_here_alone_waits_for_the_event_loop_too(serving):
    asyncio.get_running_loop().set_debug(True)      # which raises for a call from the wrong thread
    async with serving(chat_server()) as running:
        member = await joined(running)
        assert await asyncio.to_thread(running.server.publish, "blue", "here", local=True) == 1
        assert await member.recv() == "here"
        await member.close()


async def test_a_thread_that_comes_too_late_is_told(serving):
    server = chat_server()
    async with serving(server):
        pass
    with pytest.raises(UsageError, match="the server has stopped"):
        await asyncio.to_thread(server.publish, "blue", "x")


# -------------------------------------------------------------------------------------- presence


async def test_members_of_a_topic(serving):
    server = chat_server()
    events = []

    @server.route("/member/{name}")
    async def member(ctx):
        ctx.subscribe("blue", member={"name": ctx.params["name"]})
        async for message in ctx:
            ctx.subscribe("blue", member={"name": message})

    @server.on_member_joined
    def joined(topic, member):
        events.append(("joined", topic, member.data["name"]))
        server.publish(topic, f"{member.data['name']} has come", local=True, exclude=member.context)

    @server.on_member_left
    async def left(topic, member):
        events.append(("left", topic, member.data["name"]))
        server.publish(topic, f"{member.data['name']} has gone", local=True)

    async with serving(server) as running:
        async with connect(running.ws("/member/Ann")) as ann:
            while not events:
                await asyncio.sleep(0)
            async with connect(running.ws("/member/Bob")) as bob:
                assert await ann.recv() == "Bob has come"
                first, second = await server.members("blue")
                assert [first.data, second.data] == [{"name": "Ann"}, {"name": "Bob"}]
                assert first.id != second.id
                await bob.send("Rob")
                assert await ann.recv() == "Rob has come"
                assert [member.id for member in await server.members("blue")] == [first.id, second.id]
            assert await ann.recv() == "Rob has gone"
        while len(events) < 5:
            await asyncio.sleep(0)
        assert await server.members("blue") == []
        assert [name for *_, name in events] == ["Ann", "Bob", "Rob", "Rob", "Ann"]


async def test_what_no_member_can_be(serving):
    server = feed_server()
    async with serving(server) as running:
        async with connect(running.ws("/close")):
            while not server.contexts:
                await asyncio.sleep(0)
            (ctx,) = server.contexts
            with pytest.raises(UsageError, match="has no JSON"):
                ctx.subscribe("blue", member=object())
            with pytest.raises(UsageError, match="at most 1024 bytes of JSON, not 2002"):
                ctx.subscribe("blue", member="x" * 2000)
            assert server.publish("blue", "nobody") == 0
            with pytest.raises(UsageError, match="a topic is a str"):
                await server.members(1)
