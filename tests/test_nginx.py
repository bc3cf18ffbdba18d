"""Behind a real nginx: WebSockets, event streams, bodies both ways, connections that are kept, and an end."""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
import shutil
import socket
import subprocess

import aiohttp
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed as PeerClosed

from hyperws import Limits, Server

from .test_bodies import soon

NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
pytestmark = pytest.mark.skipif(NGINX is None, reason="nginx is not installed: apt install nginx-light")

CONFIGURATION = """
{user}
daemon off;
pid {folder}/pid;
error_log stderr;
events {{ worker_connections 1000; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    client_max_body_size 0;
    map $http_upgrade $connection_upgrade {{ default upgrade; "" ""; }}
    upstream hyperws {{
        server {upstream};
        keepalive 8;
    }}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://hyperws;
            proxy_http_version 1.1;
            proxy_set_header Host $http_host;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection $connection_upgrade;
            proxy_set_header X-Forwarded-For $remote_addr;
            proxy_set_header X-Forwarded-Proto $scheme;
            proxy_next_upstream off;
        }}
        location /unbuffered/ {{
            proxy_pass http://hyperws;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_request_buffering off;
            proxy_buffering off;
        }}
    }}
}}
"""


def make_server(**options):
    server = Server(port=0, trusted_proxies=["127.0.0.1", "unix"], **options)
    server.left, server.peers, server.pieces = asyncio.Queue(), set(), asyncio.Queue()
    server.go_on = asyncio.Event()

    @server.route("/")
    async def page(ctx):
        server.peers.add(ctx.connection.client)
        await ctx.json({"client": ctx.client, "scheme": ctx.scheme, "host": ctx.host})

    @server.route("/socket")
    async def echo(ctx):
        async for message in ctx:
            if message == "close":
                await ctx.close(4001, "by the server")
            await ctx.send(message)
        server.left.put_nowait(ctx.close_code)

    @server.route("/events")
    async def events(ctx):
        ctx.subscribe("news")
        await ctx.wait_closed()
        server.left.put_nowait(None)

    @server.route("/unbuffered/upload")
    async def upload(ctx):
        size = 0
        async for piece in ctx.body():
            server.pieces.put_nowait(piece)
            size += len(piece)
        await ctx.text(str(size))

    @server.route("/download")
    async def download(ctx):
        for _ in range(100):
            await ctx.set_response_body(b"x" * 50_000).send_body()

    @server.route("/status/{status}")
    async def status(ctx):
        await ctx.set_response_header("etag", '"1"').text("x", int(ctx.params["status"]))

    @server.route("/slow")
    async def slow(ctx):
        server.pieces.put_nowait(b"slow")
        await server.go_on.wait()
        await ctx.text("done")

    return server


class Proxy:
    def __init__(self, port):
        self.port = port

    def http(self, path="/"):
        return f"http://127.0.0.1:{self.port}{path}"

    def ws(self, path="/socket"):
        return f"ws://127.0.0.1:{self.port}{path}"


@contextlib.asynccontextmanager
async def proxied(server, folder):
    """A proxy before a server that listens, at `unix_socket` or at its port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    host, upstream_port = server.address
    upstream = f"{host}:{upstream_port}" if upstream_port else f"unix:{host}"
    path = folder / "nginx.conf"
    user = "user root;" if os.geteuid() == 0 else ""    # else its workers can't open the folder of the test
    path.write_text(CONFIGURATION.format(user=user, folder=folder, port=port, upstream=upstream))
    with subprocess.Popen([NGINX, "-p", folder, "-c", path], stderr=subprocess.PIPE, text=True) as process:
        try:
            await soon(is_listening(process, port))
            yield Proxy(port)
        finally:
            process.terminate()
            process.communicate(timeout=20)


async def is_listening(process, port):
    while True:
        assert process.poll() is None, process.stderr.read()
        with contextlib.suppress(OSError):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.close()
            return


@pytest.fixture(params=["tcp", "unix"])
def listening(request, tmp_path):
    """Lets a server listen on a port, or on a Unix socket."""
    return lambda server: server.unix_socket(tmp_path / "socket") if request.param == "unix" else server


async def test_websockets(under, tmp_path, listening):
    async with listening(make_server()) as server, proxied(server, tmp_path) as proxy:
        async with connect(proxy.ws()) as websocket:
            for message in ("text \u20ac", b"\0\xff", "", b"x" * 700_000):
                await websocket.send(message)
                assert await soon(websocket.recv()) == message
            await websocket.close(4000, "by the client")
        assert await soon(server.left.get()) == 4000
        async with connect(proxy.ws()) as websocket:
            await websocket.send("close")
            with pytest.raises(PeerClosed):
                await soon(websocket.recv())
            assert (websocket.close_code, websocket.close_reason) == (4001, "by the server")
        origin = proxy.http("").rstrip("/")
        many = await asyncio.gather(*(connect(proxy.ws(), origin=origin) for _ in range(50)))
        for number, websocket in enumerate(many):
            await websocket.send(str(number))
        assert [await soon(websocket.recv()) for websocket in many] == [str(number) for number in range(50)]
        await asyncio.gather(*(websocket.close() for websocket in many))


async def test_event_streams(under, tmp_path, listening):
    """Each event comes at once, though nginx buffers what it passes on; and so does the client's leaving."""
    async with listening(make_server()) as server, proxied(server, tmp_path) as proxy:
        async with aiohttp.ClientSession() as client:
            async with client.get(proxy.http("/events")) as stream:
                assert stream.status == 200
                for number in range(20):
                    assert server.publish("news", f"event {number}") == 1
                    assert await soon(stream.content.readline()) == f"data: event {number}\n".encode()
                    assert await soon(stream.content.readline()) == b"\n"
        await soon(server.left.get())
        assert server.publish("news", "to nobody") == 0


async def test_connections_are_kept(under, tmp_path):
    async with make_server() as server, proxied(server, tmp_path) as proxy, aiohttp.ClientSession() as client:
        for _ in range(30):
            answer = await (await client.get(proxy.http())).json()
            assert answer == {"client": "127.0.0.1", "scheme": "http", "host": f"127.0.0.1:{proxy.port}"}
        assert len(server.peers) == 1
        for path, status in [("/status/204", 204), ("/status/304", 304), ("/status/404", 404), ("/", 200)]:
            for method in ("GET", "HEAD"):
                answer = await client.request(method, proxy.http(path))
                body = await answer.read()
                assert answer.status == status
                assert bool(body) == (method == "GET" and status not in (204, 304))
        assert len(server.peers) == 1


async def test_bodies_both_ways(under, tmp_path, listening):
    server = listening(make_server(limits=Limits(max_body_size=None)))
    async with server, proxied(server, tmp_path) as proxy, aiohttp.ClientSession() as client:
        go_on = asyncio.Event()

        async def stream():
            yield b"first"
            await go_on.wait()
            yield b"x" * 3_000_000

        sending = asyncio.create_task(client.post(proxy.http("/unbuffered/upload"), data=stream()))
        assert await soon(server.pieces.get()) == b"first"
        go_on.set()
        assert await (await soon(sending)).text() == "3000005"
        answer = await client.post(proxy.http("/unbuffered/upload"), data=io.BytesIO(b"y" * 3_000_000))
        assert await answer.text() == "3000000"
        answer = await client.get(proxy.http("/download"))
        assert await answer.read() == b"x" * 5_000_000


async def test_no_request_is_lost_when_the_server_stops(under, tmp_path, listening):
    async with listening(make_server()) as server, proxied(server, tmp_path) as proxy:
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as client:
            asked = [asyncio.create_task(client.get(proxy.http("/slow"))) for _ in range(50)]
            for _ in asked:
                await soon(server.pieces.get())
            stopping = asyncio.create_task(server.stop())
            await asyncio.sleep(0)
            server.go_on.set()
            for answer in await soon(asyncio.gather(*asked)):
                assert (answer.status, await answer.text()) == (200, "done")
            await soon(stopping)
            answer = await client.get(proxy.http())
            assert answer.status == 502     # nobody is there any more
