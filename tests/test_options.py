"""A server's options and limits: what they do, and what is told about bad ones."""

import asyncio
import inspect
import os
import re
import socket
import stat
import struct

import pytest
from websockets.asyncio.client import connect

from hyperws import ConfigurationError, Limits, Server, UsageError


async def echo(ctx):
    async for message in ctx:
        await ctx.send(message)


@pytest.mark.parametrize(
    ("option", "value", "told"),
    [
        ("port", -1, "0 to 65535"),
        ("port", 65536, "0 to 65535"),
        ("port", "80", "0 to 65535"),
        ("port", True, "0 to 65535"),
        ("host", "", "an address or a name"),
        ("host", 5, "an address or a name"),
        ("backlog", 0, "from 1 to"),
        ("workers", 0, "from 1 to 1024"),
        ("ttl", 256, "1 to 255"),
        ("enable_linger", -1, "0 to 32767"),
        ("ws_buffer_size", 10, "from 1024"),
        ("http_buffer_size", 1 << 40, "to 16777216"),
        ("limits", {"max_headers": 1}, r"Limits\(...\)"),
        ("fragment_size", 0, "bytes from 1"),
        ("compression", "zlib", r"Compression\(...\)"),
        ("subprotocols", "chat", "a list of different names"),
        ("subprotocols", ["chat v2"], "names without spaces"),
        ("subprotocols", ["chat", "chat"], "different names"),
        ("subprotocols", ["chat\r\nset-cookie: a=b"], "names without spaces"),
        ("driver", "turbo", "'reactor' or 'portable'"),
        ("unix_socket", "", "a path"),
        ("colour", "red", "no option 'colour'"),
        ("disable_nodelay", False, "takes True"),
        ("allowed_origins", None, "a list of origins"),
    ],
)
def test_an_option_of_nonsense_is_told(option, value, told):
    with pytest.raises(ConfigurationError, match=told):
        Server(**{option: value})


@pytest.mark.parametrize(
    ("limit", "value", "told"),
    [
        ("max_message_size", 0, "above 0"),
        ("max_message_size", -5, "above 0"),
        ("max_message_size", 1.5, "a whole number"),
        ("max_headers", True, "a whole number"),
        ("ping_interval", "soon", "seconds"),
        ("ping_timeout", float("nan"), "above 0"),
        ("close_timeout", float("inf"), "None for no bound"),
        ("max_message_size", 1 << 70, "at most"),
        ("idle_timeout", 10**400, "at most"),
    ],
)
def test_a_limit_of_nonsense_is_told(limit, value, told):
    with pytest.raises(ConfigurationError, match=f"Limits.{limit} .*{told}"):
        Limits(**{limit: value})


def test_every_limit_may_be_lifted_and_is_described():
    names = list(Limits.__dataclass_fields__)
    assert all(getattr(Limits(**dict.fromkeys(names)), name) is None for name in names)
    source = inspect.getsource(Limits)
    assert all(re.search(rf'^    {name}: .*\n    """[^"]+"""$', source, re.MULTILINE) for name in names)


def test_options_have_names():
    with pytest.raises(ConfigurationError, match=r"as in Server\(port=8080\)"):
        Server(8080)


def test_options_are_methods_too():
    one = Server(port=1, host="::1", backlog=5)
    two = Server().port(1).host("::1").backlog(5)
    assert (one._port, one._host, one._backlog) == (two._port, two._host, two._backlog)
    assert Server(disable_nodelay=True)._nodelay is False


def test_driver_from_the_environment_is_checked(monkeypatch):
    monkeypatch.setenv("HYPERWS_DRIVER", "turbo")
    with pytest.raises(ConfigurationError, match="HYPERWS_DRIVER is 'reactor' or 'portable', not 'turbo'"):
        asyncio.run(Server(port=0).start())


async def test_options_are_fixed_once_it_has_started(serving):
    async with serving(Server()) as running:
        with pytest.raises(UsageError, match="before the server starts"):
            running.server.port(1)
        with pytest.raises(UsageError, match="started already"):
            await running.server.start()
        with pytest.raises(UsageError, match="await start"):
            running.server.run()


async def test_socket_options_reach_the_connections(serving, under):
    made = []

    async def look(ctx):
        # the newest socket of this process that is connected to the client
        made.extend(options_of(find_socket(ctx.client)))

    def options_of(sock):
        with sock:
            linger = struct.unpack("ii", sock.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, 8))
            yield sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0
            yield linger
            yield sock.getsockopt(socket.IPPROTO_IP, socket.IP_TTL)

    def find_socket(client):
        for fd in map(int, os.listdir("/proc/self/fd")):
            if not os.path.exists(f"/proc/self/fd/{fd}") or not stat.S_ISSOCK(os.fstat(fd).st_mode):
                continue
            sock = socket.socket(fileno=os.dup(fd))
            try:
                if "{}:{}".format(*sock.getpeername()) == client:
                    return sock
            except (OSError, IndexError):  # IndexError: a Unix socket, whose peer has no name
                pass
            sock.close()
        raise AssertionError("no socket is connected to the client")

    if not os.path.isdir("/proc/self/fd"):
        pytest.skip("finding the server's own sockets needs Linux' /proc")
    for options, expected in (
        (Server(), [True, (0, 0), 64]),
        (Server().disable_nodelay().enable_linger(3).ttl(42), [False, (1, 3), 42]),
        (Server().disable_nodelay().enable_nodelay().enable_linger(3).disable_linger(), [True, (0, 0), 64]),
    ):
        made.clear()
        async with serving(options.route("/", look)) as running, connect(running.ws()) as websocket:
            await websocket.wait_closed()
        assert made == expected


async def test_buffer_sizes_are_never_limits(serving):
    server = Server(ws_buffer_size=1024, http_buffer_size=1024).route("/", echo)
    async with serving(server) as running:
        headers = {f"X-{number}": "x" * 1000 for number in range(10)}
        async with connect(running.ws(), additional_headers=headers) as websocket:
            await websocket.send(b"x" * 500000)
            assert await websocket.recv() == b"x" * 500000
