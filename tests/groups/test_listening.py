"""A server that subscribes to its topics itself."""

import asyncio
import logging

import pytest

from hyperws import Server, UsageError

from .clients import Client, room_server
from .memory import Broker, Cuttable


async def test_it_hears_what_its_clients_hear(serving):
    server = room_server()
    heard = asyncio.Queue()
    async with serving(server) as running:
        listener = server.subscribe("t", heard.put_nowait)
        async with await Client.connect(running) as client:
            await client.say("publish", "t", "one")
            assert await heard.get() == "one"
            assert server.publish("t", b"two") == 1
            assert await heard.get() == b"two"
            listener.close()
            listener.close()
            assert server.publish("t", "three") == 0
            assert heard.empty()


async def test_functions_may_be_asynchronous_and_may_fail(serving, caplog):
    server = Server()
    heard = asyncio.Queue()

    async def slow(message):
        await asyncio.sleep(0)
        await heard.put(message)

    def fails(message):
        raise ValueError(message)

    async with serving(server):
        server.subscribe("t", fails)
        server.subscribe("t", slow)
        with caplog.at_level(logging.ERROR):
            assert server.publish("t", "one") == 2
            assert await heard.get() == "one"
        [record] = caplog.records
        assert "fails" in record.message
        caplog.clear()


async def test_what_a_function_publishes_comes_after_what_it_was_called_for(serving):
    server = room_server()

    def answer(message):
        if not message.startswith("answer"):
            server.publish("t", f"answer to {message}")

    async with serving(server) as running:
        server.subscribe("t", answer)
        async with await Client.connect(running) as client:
            await client.subscribe("t")
            await client.say("publish", "t", "one")
            assert await client.websocket.recv() == "one"
            assert await client.websocket.recv() == "answer to one"


async def test_it_hears_other_processes_and_the_past(serving):
    async with Cuttable(serving, Broker()) as pair:
        heard = asyncio.Queue()
        one, two = pair.servers
        await one.subscribe("plain", heard.put_nowait).subscription
        two.publish("plain", "from two")
        assert await heard.get() == "from two"
        await pair.two.subscribe("kept")
        two.publish("kept", "1")
        first, *_ = await pair.two.get()
        assert first == "1"
        listener = one.subscribe("kept", heard.put_nowait, "start")
        assert (await listener.subscription).recovered is True
        assert "1" in await heard.get()


async def test_it_starts_anew_after_a_stop(serving):
    server = Server()
    heard = []

    @server.on_startup
    def listen():
        server.subscribe("t", heard.append)

    for turn in range(2):
        async with serving(server):
            assert server.publish("t", str(turn)) == 1
        assert server.publish("t", "nobody") == 0
    assert heard == ["0", "1"]


async def test_wrong_use_is_told(serving):
    server = Server()
    with pytest.raises(UsageError, match="on_startup"):
        server.subscribe("t", print)
    async with serving(server):
        with pytest.raises(UsageError, match=r"called as function\(message\), not 5"):
            server.subscribe("t", 5)
        with pytest.raises(UsageError, match="a topic is a str, not int"):
            server.subscribe(5, print)
        with pytest.raises(UsageError, match="has no history"):
            server.subscribe("t", print, "start")
