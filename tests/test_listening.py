"""Where a server listens, and what is told where it can't."""

import asyncio
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from websockets.asyncio.client import connect, unix_connect

from hyperws import ListenError, Server, UsageError


async def echo(ctx):
    async for message in ctx:
        await ctx.send(message)


async def test_port_0_picks_one_and_address_tells_it():
    server = Server(port=0, host="localhost").route("/", echo)
    with pytest.raises(UsageError, match="before it has started"):
        _ = server.address
    async with server:
        _, port = server.address
        assert port > 0
        for host in {info[4][0] for info in socket.getaddrinfo("localhost", port, type=socket.SOCK_STREAM)}:
            async with connect(f"ws://localhost:{port}", host=host) as websocket:
                await websocket.send("x")
                assert await websocket.recv() == "x"
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", port)


async def test_a_server_may_start_again():
    server = Server(port=0).route("/", echo)
    for _ in range(2):
        async with server:
            async with connect("ws://{}:{}".format(*server.address)) as websocket:
                await websocket.send("x")
                assert await websocket.recv() == "x"


async def test_unix_socket(tmp_path):
    path = str(tmp_path / "socket")
    server = Server(unix_socket=path).route("/", echo)
    async with server:
        assert server.address == (path, 0)
        async with unix_connect(path) as websocket:
            await websocket.send("x")
            assert await websocket.recv() == "x"
        with pytest.raises(ListenError, match="exists already"):
            await Server(unix_socket=path).start()
    assert not os.path.exists(path)
    stale = socket.socket(socket.AF_UNIX)
    stale.bind(path)
    stale.close()
    async with server:
        async with unix_connect(path):
            pass


async def test_as_many_as_the_backlog_says_may_wait_to_be_accepted(serving):
    async with serving(Server(backlog=128)) as running:
        address = running.host, running.port    # the loop has no turn to accept anyone
        peers = [socket.create_connection(address, timeout=10) for _ in range(128)]
        for peer in peers:
            peer.close()


async def test_a_port_in_use_is_told(serving):
    async with serving(Server()) as running:
        with pytest.raises(ListenError, match=r"port \d+ of 127.0.0.1 is in use: .*another port") as caught:
            await Server(port=running.port).start()
        assert isinstance(caught.value, OSError)


@pytest.mark.parametrize("host", ["no such host", "256.1.1.1", "http://localhost", "x" * 300, "a..b"])
async def test_a_malformed_host_is_told(host):
    with pytest.raises(ListenError, match=r"no address and no known name: check host\(\.\.\.\)"):
        await Server(host=host, port=0).start()


async def test_an_address_of_another_machine_is_told():
    with pytest.raises(ListenError, match="no address of this machine"):
        await Server(host="203.0.113.1", port=0).start()


def test_a_privileged_port_is_told():
    free_from = Path("/proc/sys/net/ipv4/ip_unprivileged_port_start")
    if not free_from.exists() or int(free_from.read_text()) <= 80:
        pytest.skip("port 80 is free for all on this system")
    # the other user may not be able to read what is imported late
    script = (
        "import encodings.idna, os, hyperws\n"
        "if os.getuid() == 0: os.setuid(65534)\n"
        "hyperws.Server(port=80).run()"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=30)
    assert result.returncode == 1
    assert "port 80 needs privileges that this user lacks: choose a port from 1024 up" in result.stderr


async def test_a_start_that_fails_leaves_nothing_behind(tmp_path, serving):
    async with serving(Server()) as running:
        server = Server(port=running.port)
        with pytest.raises(ListenError):
            await server.start()
    server.port(0)      # it is as if it had never started
    async with server:
        pass
