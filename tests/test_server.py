"""A server's options, its start and its stop."""

import asyncio
import gc
import inspect
import os
import re
import signal
import socket
import stat
import struct
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from websockets.asyncio.client import connect, unix_connect
from websockets.exceptions import ConnectionClosed as PeerClosed

from hyperws import ConfigurationError, Context, Limits, ListenError, Server, UsageError
from hyperws._core.connection import Connection, Session


async def echo(ctx):
    async for message in ctx:
        await ctx.send(message)


async def test_echo_keeps_type_and_content(serving):
    server = Server().route("/", echo).route("/callback", on_message=lambda ctx, message: ctx.send(message))
    async with serving(server) as running:
        for path in ("/", "/callback"):
            async with connect(running.ws(path)) as websocket:
                for message in ("hi", b"bytes", "", b"", "ü" * 50000, b"x" * 1000000):
                    await websocket.send(message)
                    assert await websocket.recv() == message
            assert websocket.close_code == 1000


# ---------------------------------------------------------------------------------------- options


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
        ("ttl", 256, "1 to 255"),
        ("enable_linger", -1, "0 to 32767"),
        ("ws_buffer_size", 10, "from 1024"),
        ("http_buffer_size", 1 << 40, "to 16777216"),
        ("limits", {"max_headers": 1}, r"Limits\(...\)"),
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


async def test_connections_are_bounded(serving):
    server = Server(limits=Limits(max_connections=2)).route("/", echo)
    async with serving(server) as running:
        one, two = await connect(running.ws()), await connect(running.ws())
        assert await running.exchange(b"") == b""
        await one.close()
        await two.close()
        async with connect(running.ws()) as websocket:
            await websocket.send("room again")
            assert await websocket.recv() == "room again"
    server = Server(limits=Limits(max_connections_per_address=1)).route("/", echo)
    async with serving(server) as running, connect(running.ws()):
        assert await running.exchange(b"") == b""


# ------------------------------------------------------------------------------------- listening


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


# ------------------------------------------------------------------------------------------ stopping


async def test_stop_closes_with_1001_and_lets_a_request_end():
    server = Server(port=0).route("/", echo)
    started, go_on = asyncio.Event(), asyncio.Event()

    @server.route("/slow")
    async def slow(ctx):
        started.set()
        await go_on.wait()
        await ctx.send("done")

    await server.start()
    host, port = server.address
    websocket = await connect(f"ws://{host}:{port}/")
    await websocket.send("x")
    assert await websocket.recv() == "x"
    idle = await asyncio.open_connection(host, port)
    reader, writer = await asyncio.open_connection(host, port)
    writer.write(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
    await started.wait()
    stopping = asyncio.create_task(server.stop())
    with pytest.raises(PeerClosed):
        await websocket.recv()
    assert (websocket.close_code, websocket.close_reason) == (1001, "the server is going away")
    assert await idle[0].read() == b""
    assert not stopping.done()
    go_on.set()
    answer = await reader.read()
    assert answer.endswith(b"done")
    assert b"connection: close" in answer
    writer.close()
    idle[1].close()
    await asyncio.wait_for(stopping, 20)


async def test_stop_cuts_off_a_handler_that_never_returns():
    cancelled = asyncio.Event()

    async def stuck(ctx):
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise

    server = Server(port=0).route("/", stuck)
    await server.start()
    websocket = await connect("ws://{}:{}".format(*server.address))
    await server.stop(grace=0.1)
    assert cancelled.is_set()
    await websocket.wait_closed()


async def test_stop_names_a_handler_that_ignores_its_cancellation(caplog):
    release = asyncio.Event()

    async def stubborn(ctx):
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                pass

    server = Server(port=0).route("/", stubborn)
    await server.start()
    websocket = await connect("ws://{}:{}".format(*server.address))
    await server.stop(grace=0.1)
    assert [record.getMessage() for record in caplog.records if "left behind" in record.getMessage()]
    assert "stubborn" in caplog.text
    caplog.clear()
    release.set()
    await websocket.wait_closed()


SCRIPT = """
import asyncio, logging, sys
from hyperws import Limits, Server

logging.basicConfig(level=logging.INFO)
server = Server(port=0, limits=Limits(shutdown_grace=5))

@server.route("/")
async def acknowledge(ctx):
    async for message in ctx:
        await ctx.send(message)

@server.route("/stuck")
async def stuck(ctx):
    print("stuck", flush=True)
    while True:
        pass

server.run(on_listening=lambda: print(server.address[1], flush=True))
print("stopped", flush=True)
"""


class Process:
    """The script above as a process, and the port it listens on."""

    def __enter__(self):
        command = [sys.executable, "-c", textwrap.dedent(SCRIPT)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.port = int(self.process.stdout.readline())
        return self

    def __exit__(self, *error):
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()

    async def wait(self):
        return await asyncio.to_thread(self.process.wait, 20)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGTERM for another process")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_drains_and_ends_with_status_0(number):
    """Whatever was acknowledged has been delivered, and nothing was delivered twice."""

    async def talk(port, sent, received):
        async with connect(f"ws://127.0.0.1:{port}/") as websocket:

            async def send():
                while True:
                    await websocket.send(str(len(sent)))
                    sent.append(len(sent))
                    await asyncio.sleep(0)      # send() alone may never let the others go on

            sending = asyncio.create_task(send())
            try:
                while True:
                    received.append(int(await websocket.recv()))
                    if len(received) == 200:
                        busy.set()
            except PeerClosed:
                sending.cancel()
                await asyncio.wait([sending])
            return websocket.close_code

    with Process() as process:
        busy = asyncio.Event()
        traffic = [([], []) for _ in range(5)]
        talks = [asyncio.create_task(talk(process.port, *lists)) for lists in traffic]
        await busy.wait()
        process.process.send_signal(number)
        assert await asyncio.gather(*talks) == [1001] * 5
        assert await process.wait() == 0
        assert process.process.stdout.read() == "stopped\n"
    for sent, received in traffic:
        assert received == list(range(len(received)))
        assert len(received) <= len(sent) + 1


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGTERM for another process")
async def test_a_second_signal_ends_at_once_even_a_loop_that_is_stuck():
    with Process() as process:
        request = b"GET /stuck HTTP/1.1\r\nHost: a\r\n\r\n"
        _, writer = await asyncio.open_connection("127.0.0.1", process.port)
        writer.write(request)
        assert await asyncio.to_thread(process.process.stdout.readline) == "stuck\n"
        process.process.send_signal(signal.SIGTERM)
        with pytest.raises(subprocess.TimeoutExpired):  # it can't drain, and one signal alone kills nothing
            await asyncio.to_thread(process.process.wait, 1)
        process.process.send_signal(signal.SIGTERM)
        assert await process.wait() == -signal.SIGTERM
        writer.close()


async def test_connecting_and_leaving_leaves_nothing_behind(serving):
    """Descriptors, connections and tasks are back to where they were, also after resets."""
    if not os.path.isdir("/proc/self/fd"):
        pytest.skip("counting descriptors needs Linux' /proc")
    server = Server().route("/", echo)

    async def come_and_go():
        websockets = [await connect(running.ws()) for _ in range(20)]
        for websocket in websockets:
            await websocket.send("x")
            assert await websocket.recv() == "x"
        for number, websocket in enumerate(websockets):
            if number % 2:
                websocket.transport.abort()
            await websocket.close()

    def counts():
        return len(os.listdir("/proc/self/fd")), len(asyncio.all_tasks()), len(server._driver.connections)

    async with serving(server) as running:
        await come_and_go()     # the loop itself may open something for its first connections
        async with asyncio.timeout(20):
            while counts()[1:] != (1, 0):
                await asyncio.sleep(0)
        before = counts()
        for _ in range(10):
            await come_and_go()
        async with asyncio.timeout(20):
            while counts() != before:
                await asyncio.sleep(0)


class CountingLoop(asyncio.SelectorEventLoop):
    """Counts its turns."""

    turns = 0

    def _run_once(self):
        self.turns += 1
        super()._run_once()


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="needs Unix sockets")
def test_a_peer_that_hangs_up_while_its_request_is_served_costs_nothing(tmp_path):
    """Its socket is ready for ever, and must not be served for ever."""

    async def scenario():
        started, answer = asyncio.Event(), asyncio.Event()

        async def slow(ctx):
            started.set()
            await answer.wait()

        async with Server(unix_socket=str(tmp_path / "socket")).route("/", slow):
            _, writer = await asyncio.open_unix_connection(str(tmp_path / "socket"))
            writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            await started.wait()
            writer.close()
            await writer.wait_closed()
            before = asyncio.get_running_loop().turns
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(asyncio.Event().wait(), 0.3)
            turns = asyncio.get_running_loop().turns - before
            answer.set()
        return turns

    with asyncio.Runner(loop_factory=CountingLoop) as runner:
        assert runner.run(scenario()) < 50


async def test_a_handler_may_stop_the_server():
    server = Server(port=0, limits=Limits(shutdown_grace=0.1))
    ended = asyncio.Event()

    @server.route("/")
    async def stopper(ctx):
        try:
            await server.stop()
        finally:
            ended.set()

    await server.start()
    websocket = await connect("ws://{}:{}".format(*server.address))
    await asyncio.wait_for(ended.wait(), 20)
    await asyncio.wait_for(server.stop(), 20)
    await websocket.wait_closed()
    assert websocket.close_code == 1001


async def test_stop_goes_on_when_its_caller_is_cancelled():
    server = Server(port=0, limits=Limits(shutdown_grace=5)).route("/", echo)
    await server.start()
    websocket = await connect("ws://{}:{}".format(*server.address))
    stopping = asyncio.create_task(server.stop())
    await asyncio.sleep(0)
    stopping.cancel()
    await websocket.wait_closed()
    await server.stop()
    with pytest.raises(UsageError):
        _ = server.address


async def test_a_start_that_fails_leaves_nothing_behind(tmp_path, serving):
    async with serving(Server()) as running:
        server = Server(port=running.port)
        with pytest.raises(ListenError):
            await server.start()
    server.port(0)      # it is as if it had never started
    async with server:
        pass


async def test_what_served_a_connection_is_freed_at_once(serving):
    """Not only when the garbage collector comes by: nothing holds itself."""

    async def page(ctx):
        await ctx.send("page")

    def served():
        kinds = (Context, Connection, Session)
        return [each for each in map(type, gc.get_objects()) if issubclass(each, kinds)]

    server = Server().route("/", echo, websocket=True).route("/", page, websocket=False)
    server.route("/callback", on_message=lambda ctx, message: ctx.send(message))
    gc.collect()
    gc.disable()
    try:
        async with serving(server) as running:
            for path in ("/", "/callback"):
                async with connect(running.ws(path)) as websocket:
                    await websocket.send("x")
                    assert await websocket.recv() == "x"
            await running.exchange(b"GET / HTTP/1.0\r\n\r\n")
        async with asyncio.timeout(20):
            while served():
                await asyncio.sleep(0)
    finally:
        gc.enable()
