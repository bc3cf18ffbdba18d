"""A server behind nginx, which passes on to it over TCP or a Unix socket, as the guide to HTTP shows it."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import re
import shutil
import socket
import subprocess
from pathlib import Path

import aiohttp
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed as PeerClosed

from hyperws import Limits, Server

from .conftest import FOREIGN, Serving
from .test_bodies import Gate, chunked, post, soon
from .test_events import listening
from .test_events import make_server as make_event_server
from .test_http import get

NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
GUIDE = (Path(__file__).parent.parent / "docs" / "http.md").read_text()
(LOCATION,) = re.findall(r"```nginx\n(.*?)```", GUIDE, re.DOTALL)
(CONNECTION_UPGRADE,) = re.findall(r"# (map .*\})", LOCATION)

pytestmark = pytest.mark.skipif(NGINX is None, reason="needs nginx: apt-get install nginx-light")

CONFIGURATION = """
daemon off;
user {user};
worker_processes 1;
pid nginx.pid;
error_log error.log warn;
events {{}}
http {{
    access_log off;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    client_body_buffer_size 2m;     # what nginx writes to files instead, it warns of
    proxy_max_temp_file_size 0;
    proxy_buffering on;
    proxy_request_buffering {request_buffering};
    {map}
    upstream hyperws {{
        {servers}
        keepalive 8;
    }}
    server {{
        listen {host}:{port};
        {location}
    }}
}}
"""


def this_user():
    """The user and group that the tests' files belong to: nginx would be another one where root starts it."""
    import grp  # not on Windows
    import pwd

    return f"{pwd.getpwuid(os.geteuid()).pw_name} {grp.getgrgid(os.getegid()).gr_name}"


class Nginx:
    """A process of nginx, and the address that it listens on. It must have had nothing to complain of."""

    def __init__(self, folder, *upstreams, request_buffering="on", http_version="1.1"):
        self.folder = folder
        self.may_complain = False
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.setblocking(False)
        self.address = host, port = self.listener.getsockname()
        location = LOCATION.replace("127.0.0.1:60000", "hyperws")
        location = location.replace("proxy_http_version 1.1", f"proxy_http_version {http_version}")
        # a server that refused a connection is asked again the next time
        servers = " ".join(f"server {upstream} max_fails=0;" for upstream in upstreams)
        (folder / "nginx.conf").write_text(CONFIGURATION.format(
            user=this_user(), host=host, port=port, servers=servers, request_buffering=request_buffering,
            map=CONNECTION_UPGRADE, location=location,
        ))  # fmt: skip

    def __enter__(self):
        # nginx takes over sockets that listen already, by their descriptors: none of its ports can be in use
        listening = self.listener.fileno()
        self.process = subprocess.Popen(
            [NGINX, "-p", self.folder, "-c", self.folder / "nginx.conf"],
            env={**FOREIGN, "NGINX": f"{listening};"}, pass_fds=[listening],
        )  # fmt: skip
        self.listener.close()
        return self

    def __exit__(self, *error):
        self.process.terminate()
        assert self.process.wait(20) == 0
        if error == (None, None, None):
            assert self.may_complain or not (self.folder / "error.log").read_text()


@pytest.fixture(params=["tcp", "unix"])
def behind(request, tmp_path, serving):
    """`async with behind(server) as running:` starts a server, and nginx before it, with these addresses."""

    @contextlib.asynccontextmanager
    async def behind(server, **options):
        if request.param == "unix":
            server.unix_socket(str(tmp_path / "socket"))
        async with serving(server):
            with Nginx(tmp_path, upstream_of(server), **options) as nginx:
                yield Serving(nginx)

    return behind


def upstream_of(server):
    host, port = server.address
    return f"{host}:{port}" if port else f"unix:{host}"


# ----------------------------------------------------------------------------------------- WebSockets


def echo_server(**options):
    server = Server(**options)
    server.ended = asyncio.Queue()

    @server.route("/echo")
    async def echo(ctx):
        async for message in ctx:
            await ctx.send(message)
        server.ended.put_nowait((ctx.close_code, ctx.close_reason))

    @server.route("/farewell")
    async def farewell(ctx):
        await ctx.send("last words")
        await ctx.close(4002, "good bye")

    return server


async def test_messages(behind):
    """Of every kind, and each on its own as well as all at once."""
    messages = ["text \u20ac", b"\0\xff", "", b"", "x" * 125, "x" * 126, b"y" * 65536, "z" * 1_000_000]
    async with behind(echo_server()) as running:
        async with connect(running.ws("/echo"), max_size=None) as websocket:
            for message in messages:
                await websocket.send(message)
                assert await soon(websocket.recv()) == message
            sending = asyncio.create_task(send_all(websocket, messages))
            assert [await soon(websocket.recv()) for _ in messages] == messages
            await sending


async def send_all(websocket, messages):
    for message in messages:
        await websocket.send(message)


async def test_compressed_messages(behind):
    async with behind(echo_server(compression=True)) as running:
        async with connect(running.ws("/echo")) as websocket:
            assert "permessage-deflate" in websocket.response.headers["sec-websocket-extensions"]
            for message in ("x" * 100_000, os.urandom(100_000)):
                await websocket.send(message)
                assert await soon(websocket.recv()) == message


async def test_close_codes_pass_both_ways(behind):
    server = echo_server()
    async with behind(server) as running:
        async with connect(running.ws("/echo")) as websocket:
            await websocket.close(4001, "had enough")
        assert await soon(server.ended.get()) == (4001, "had enough")
        assert (websocket.close_code, websocket.close_reason) == (4001, "had enough")
        async with connect(running.ws("/farewell")) as websocket:
            assert await soon(websocket.recv()) == "last words"
            with pytest.raises(PeerClosed):
                await soon(websocket.recv())
        assert (websocket.close_code, websocket.close_reason) == (4002, "good bye")


async def test_a_client_that_is_lost(behind):
    server = echo_server()
    async with behind(server) as running:
        websocket = await connect(running.ws("/echo"))
        websocket.transport.abort()
        assert await soon(server.ended.get()) == (1006, "")


async def test_many_at_once(behind):
    async def talk(running, number):
        async with connect(running.ws("/echo")) as websocket:
            for turn in range(5):
                await websocket.send(f"{number}, {turn}")
                assert await websocket.recv() == f"{number}, {turn}"
            together.append(number)
            if len(together) == 100:
                all_here.set()
            await all_here.wait()

    server, together, all_here = echo_server(), [], asyncio.Event()
    async with behind(server) as running:
        await soon(asyncio.gather(*(talk(running, number) for number in range(100))))
        assert [await soon(server.ended.get()) for _ in range(100)] == [(1000, "")] * 100


async def test_pages_of_the_host_that_nginx_is_may_connect(behind):
    """The guide has nginx pass on the Host that Origin is compared with."""
    async with behind(echo_server()) as running:
        async with connect(running.ws("/echo"), origin=running.http().rstrip("/")) as websocket:
            await websocket.send("x")
            assert await soon(websocket.recv()) == "x"
        async with aiohttp.ClientSession(headers={"Origin": "http://elsewhere"}) as client:
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await client.ws_connect(running.ws("/echo"))
            assert refused.value.status == 403


# -------------------------------------------------------------------------------------- event streams


@pytest.mark.parametrize("http_version", ["1.1", "1.0"])
async def test_events_come_at_once(behind, http_version):
    """Each event is awaited before there is another: nginx, which buffers, must not wait for more.

    With HTTP/1.0, its default, it would, but for the response that asks it not to.
    """
    server = make_event_server()
    async with behind(server, http_version=http_version) as running, listening(running) as events:
        assert events.response.content_type == "text/event-stream"
        assert await soon(events.next()) == {"event": "hello", "id": "1", "retry": "100", "data": "welcome"}
        await soon(server.seen.get())
        for number in range(10):
            assert server.publish("news", f"number {number}") == 1
            assert await soon(events.next()) == {"data": f"number {number}"}


@pytest.mark.parametrize("path", ["/events", "/busy", "/poll"])
async def test_a_client_that_leaves_is_noticed_at_once(behind, path):
    server = make_event_server(limits=Limits(ping_interval=None, handler_grace=None))
    async with behind(server) as running:
        for leave in (lambda writer: writer.close(), lambda writer: writer.transport.abort()):
            reader, writer = await running.raw(get(path))
            if path != "/busy":
                await soon(server.seen.get())
            if path != "/poll":
                await soon(reader.readuntil(b"data: "))
            leave(writer)
            await soon(server.left.get())
        assert server.publish("news", "x") == 0


async def test_streams_and_polls_end_when_the_server_stops(behind):
    server = make_event_server()
    async with behind(server) as running, listening(running) as events, aiohttp.ClientSession() as client:
        assert (await soon(events.next()))["data"] == "welcome"
        asked = asyncio.create_task(client.get(running.http("/poll")))
        for _ in range(2):
            await soon(server.seen.get())
        await soon(server.stop(grace=3600))
        assert await soon(events.response.content.read()) == b""    # a whole stream: aiohttp raises otherwise
        assert (await soon(asked)).status == 204


# ------------------------------------------------------------------------- requests and their answers


def page_server(gate=None):
    """It counts the connections that requests come on."""
    server = Server()
    server.connections = set()      # they are kept, so that no other can have the identity of one

    @server.request_middleware
    def count(ctx):
        server.connections.add(ctx.connection)

    @server.route("/hello")
    async def hello(ctx):
        await ctx.set_response_header("etag", '"hello"').text("hello")

    @server.route("/told")
    async def told(ctx):
        await ctx.json([ctx.client, ctx.scheme, ctx.host])

    @server.route("/status/{code}")
    async def status(ctx):
        await ctx.set_response_status_code(int(ctx.params["code"])).send("told")

    @server.route("/stream/{pieces}")
    async def stream(ctx):
        for number in range(int(ctx.params["pieces"])):
            await ctx.set_response_body(b"%d," % number * 1000).send_body()

    @server.route("/whole")
    async def whole(ctx):
        await ctx.send(await ctx.get_request_body())

    @server.route("/echo")
    async def echo(ctx):
        ctx.set_response_header("x-accel-buffering", "no")
        async for piece in ctx.body():
            await ctx.set_response_body(piece).send_body()

    @server.route("/pieces")
    async def pieces(ctx):
        gate.came.put_nowait(ctx.headers.get("transfer-encoding"))
        async for piece in ctx.body():
            gate.came.put_nowait(piece)
        await ctx.send("thanks")

    @server.route("/socket", websocket=True)
    async def socket(ctx):
        await ctx.wait_closed()

    @server.route("/wait")
    async def wait(ctx):
        gate.came.put_nowait("waiting")
        await gate.go_on.wait()
        await ctx.send("waited")

    return server


async def test_connections_are_used_again(behind):
    """After every kind of response, also those that must have no body: if they had, the next would fail."""
    server = page_server()
    streamed = b"".join(b"%d," % number * 1000 for number in range(100))
    exchanges = [
        ("GET", "/hello", {}, None, 200, b"hello"),
        ("HEAD", "/hello", {}, None, 200, b""),
        ("HEAD", "/stream/100", {}, None, 200, b""),
        ("GET", "/status/204", {}, None, 204, b""),
        ("GET", "/status/304", {}, None, 304, b""),
        ("GET", "/status/404", {}, None, 404, b"told"),
        ("GET", "/stream/100", {}, None, 200, streamed),
        ("GET", "/stream/0", {}, None, 200, b""),
        ("POST", "/whole", {}, b"x" * 1_000_000, 200, b"x" * 1_000_000),
        ("PUT", "/whole", {"Expect": "100-continue"}, b"y" * 1000, 200, b"y" * 1000),
        ("POST", "/hello", {}, b"nobody reads this", 200, b"hello"),
        ("DELETE", "/hello", {}, None, 200, b"hello"),
    ]
    async with behind(server) as running, aiohttp.ClientSession() as client:
        for _ in range(3):
            for method, path, headers, data, status, body in exchanges:
                async with client.request(method, running.http(path), headers=headers, data=data) as answer:
                    assert (answer.status, await answer.read()) == (status, body), (method, path)
        assert len(server.connections) == 1
        async with client.head(running.http("/hello")) as answer:
            assert (answer.headers["content-length"], answer.headers["etag"]) == ("5", '"hello"')


async def test_a_response_that_nginx_knows_to_be_known(behind, tmp_path):
    (tmp_path / "pages").mkdir()
    (tmp_path / "pages" / "a.txt").write_bytes(b"0123456789" * 100_000)
    server = page_server().static("/pages", tmp_path / "pages")
    async with behind(server) as running, aiohttp.ClientSession() as client:
        for _ in range(3):
            async with client.get(running.http("/pages/a.txt")) as answer:
                assert await answer.read() == b"0123456789" * 100_000
                known = {"If-None-Match": answer.headers["etag"]}
            async with client.get(running.http("/pages/a.txt"), headers=known) as answer:
                assert (answer.status, await answer.read()) == (304, b"")
            part = {"Range": "bytes=999998-"}
            async with client.get(running.http("/pages/a.txt"), headers=part) as answer:
                assert (answer.status, await answer.read()) == (206, b"89")
        assert len(server.connections) == 1


async def test_many_requests_take_no_more_connections_than_nginx_keeps(behind):
    server = page_server()
    eight = aiohttp.TCPConnector(limit=8)
    async with behind(server) as running, aiohttp.ClientSession(connector=eight) as client:

        async def ask(number):
            async with client.get(running.http("/stream/3")) as answer:
                assert len(await answer.read()) == 6000

        await soon(asyncio.gather(*(ask(number) for number in range(400))))
        assert len(server.connections) <= 8


async def test_what_nginx_tells_of_the_client(behind):
    server = page_server().trusted_proxies(["127.0.0.1", "unix"])
    async with behind(server) as running, aiohttp.ClientSession() as client:
        async with client.get(running.http("/told"), headers={"X-Forwarded-For": "10.1.2.3"}) as answer:
            assert await answer.json() == ["127.0.0.1", "http", f"127.0.0.1:{running.port}"]


async def test_an_upload_comes_in_pieces_where_nginx_does_not_buffer_it(behind):
    """Each piece has come before the next is sent."""
    gate = Gate()
    async with behind(page_server(gate), request_buffering="off") as running:
        reader, writer = await running.raw(post("/pieces", "Transfer-Encoding: chunked"))
        for _ in range(2):
            for number in range(5):
                piece = b"piece %d" % number
                writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
                if number == 0:
                    assert await soon(gate.came.get()) == "chunked"
                assert await soon(gate.came.get()) == piece
            writer.write(b"0\r\n\r\n")
            assert (await soon(reader.readuntil(b"thanks"))).startswith(b"HTTP/1.1 200 ")
            writer.write(post("/pieces", "Transfer-Encoding: chunked"))
        writer.close()


async def test_both_ways_in_chunks_at_once(behind):
    """The answer is on its way while the request still is. (Both are small: where a request fills the socket
    to a server that answers already, nginx sends no more of it.)"""
    async with behind(page_server(), request_buffering="off") as running:
        reader, writer = await running.raw(post("/echo", "Transfer-Encoding: chunked", "Connection: close"))
        for piece in (b"first", b"second", b"y" * 10_000):
            writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
            await soon(reader.readuntil(piece[-5:]))
        writer.write(b"0\r\n\r\n")
        assert (await soon(reader.read())).endswith(b"0\r\n\r\n")
        writer.close()


async def test_a_chunked_upload_that_nginx_buffers(behind):
    body = chunked(*[b"x" * 1000] * 500)
    async with behind(page_server()) as running:
        request = post("/whole", "Transfer-Encoding: chunked", "Connection: close", body=body)
        answer = await soon(running.exchange(request))
        assert answer.startswith(b"HTTP/1.1 200 ")
        assert answer.endswith(b"\r\n\r\n" + b"x" * 500_000)


async def test_a_body_that_is_too_large_is_told(behind):
    server = page_server().limits(Limits(max_body_size=1000))
    async with behind(server) as running, aiohttp.ClientSession() as client:
        async with client.post(running.http("/whole"), data=b"x" * 900_000) as answer:
            assert answer.status == 413


# ---------------------------------------------------------------------------------- stop and restart


async def test_what_is_in_flight_when_the_server_stops_is_answered(behind):
    """Requests that wait, one whose body is still coming, and a WebSocket, which is told."""
    gate = Gate()
    server = page_server(gate)
    async with behind(server, request_buffering="off") as running, aiohttp.ClientSession() as client:
        asked = [asyncio.create_task(fetch(client, running.http("/wait"))) for _ in range(50)]
        assert [await soon(gate.came.get()) for _ in asked] == ["waiting"] * 50
        reader, writer = await running.raw(post("/pieces", "Content-Length: 6", body=b"abc"))
        assert [await soon(gate.came.get()) for _ in range(2)] == [None, b"abc"]
        websocket = await connect(running.ws("/socket"))
        stopping = asyncio.create_task(server.stop(grace=3600))
        await soon(websocket.wait_closed())
        assert (websocket.close_code, websocket.close_reason) == (1001, "the server is going away")
        writer.write(b"def")
        assert await soon(gate.came.get()) == b"def"
        assert (await soon(reader.readuntil(b"thanks"))).startswith(b"HTTP/1.1 200 ")
        writer.close()
        assert not stopping.done()
        gate.go_on.set()
        assert await soon(asyncio.gather(*asked)) == [(200, b"waited")] * 50
        await soon(stopping)


async def fetch(client, url):
    async with client.get(url) as answer:
        return answer.status, await answer.read()


class Clients:
    """Clients of nginx that ask all the time, each for one answer after the other, and accept no failure."""

    def __init__(self, url):
        self.url = url
        self.count = {b"one": 0, b"two": 0}     # the answers of each server
        self.answered = asyncio.Condition()

    async def ask(self, client):
        while True:
            status, name = await fetch(client, self.url)
            assert status == 200, name
            async with self.answered:
                self.count[name] += 1
                self.answered.notify_all()

    async def more_of(self, name, number):
        """Wait until a server has given so many answers more."""
        enough = self.count[name] + number
        async with asyncio.timeout(20), self.answered:
            await self.answered.wait_for(lambda: self.count[name] >= enough)


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")  # asyncio drops what it accepts at the end
@pytest.mark.parametrize("kind", ["tcp", "unix"])
async def test_two_servers_are_restarted_in_turn_and_no_client_notices(tmp_path, kind):
    """Where a connection closes as nginx is about to reuse it, nginx asks the other server."""

    def make_server(name):
        server = Server().unix_socket(str(tmp_path / name)) if kind == "unix" else Server(port=0)

        @server.route("/")
        async def handler(ctx):
            await asyncio.sleep(0)      # so that requests are in flight
            await ctx.text(name)

        return server

    async with make_server("one") as one, make_server("two") as two, aiohttp.ClientSession() as client:
        with Nginx(tmp_path, upstream_of(one), upstream_of(two)) as nginx:
            nginx.may_complain = True       # of each connection that was refused, or closed too early for it
            clients = Clients(Serving(nginx).http())
            asking = [asyncio.create_task(clients.ask(client)) for _ in range(8)]
            for _ in range(3):
                for server, name, other in [(one, b"one", b"two"), (two, b"two", b"one")]:
                    await clients.more_of(name, 20)
                    _, port = server.address
                    await soon(server.stop(grace=3600))
                    await clients.more_of(other, 50)
                    await server.port(port).start()
            for each in asking:
                each.cancel()
            ends = await asyncio.gather(*asking, return_exceptions=True)
            assert [type(end) for end in ends] == [asyncio.CancelledError] * 8
    gc.collect()    # it warns now or never
