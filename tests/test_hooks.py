"""Middleware, and the hooks of WebSockets, errors, start and stop."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import re
import socket
import struct

import aiohttp
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from hyperws import BadRequest, ConfigurationError, Server, UsageError

from .core.peer import HANDSHAKE, frame_of
from .test_bodies import soon
from .test_http import get

OVER_TLS = True


def make_server(**options):
    server = Server(**options)

    @server.route("/")
    async def handler(ctx):
        if ctx.is_websocket:
            async for message in ctx:
                await ctx.send(message)
        else:
            await ctx.text(f"page, {dict(ctx.state)}")

    server.route("/callback", on_message=lambda ctx, message: ctx.send(message))
    return server


async def fetch(running, path="/", *lines, **options):
    """(status, {header: value}, body)"""
    answer = (await soon(running.exchange(get(path, *lines, "Connection: close", **options)))).decode()
    head, _, body = answer.partition("\r\n\r\n")
    status, *fields = head.split("\r\n")
    return int(status.split()[1]), dict(field.split(": ", 1) for field in fields), body


def open_websocket(running, path="/", **options):
    return connect(running.ws(path), ssl=running.ssl, compression=None, **options)


# ------------------------------------------------------------------------------------ middleware


async def test_middleware_runs_in_order_before_the_handler(serving):
    server, calls = make_server(), []

    @server.request_middleware
    async def first(ctx):
        await asyncio.sleep(0)
        calls.append("first")
        ctx.state["user"] = "ada"

    @server.request_middleware
    def second(ctx):
        calls.append("second")
        ctx.set_response_header("x-middleware", "yes")

    async with serving(server) as running:
        assert await fetch(running) == (200, {
            "x-middleware": "yes", "content-type": "text/plain; charset=utf-8", "content-length": "21",
            "date": (await fetch(running))[1]["date"], "connection": "close",
        }, "page, {'user': 'ada'}")  # fmt: skip
        for path, status in (("/missing", 404), ("/callback", 426)):
            assert (await fetch(running, path))[0::2][0] == status
            assert (await fetch(running, path))[1]["x-middleware"] == "yes"
        async with open_websocket(running) as websocket:
            await websocket.send("echo")
            assert await websocket.recv() == "echo"
            assert websocket.response.headers["x-middleware"] == "yes"
    assert calls == ["first", "second"] * 7


async def test_abort_stops_the_chain(serving):
    server, called = make_server(), []

    @server.request_middleware
    def refuse(ctx):
        if ctx.path != "/callback":
            ctx.set_response_status_code(403).set_response_body("not you").abort()

    server.request_middleware(lambda ctx: called.append("second"))
    server.pre_ws_upgrade(lambda ctx: called.append("upgrade"))
    async with serving(server) as running:
        assert (await fetch(running))[::2] == (403, "not you")
        assert (await fetch(running, "/missing"))[::2] == (403, "not you")
        with pytest.raises(InvalidStatus) as refused:
            async with open_websocket(running):
                pass
        assert (refused.value.response.status_code, refused.value.response.body) == (403, b"not you")
        assert called == []
        async with open_websocket(running, "/callback"):
            assert called == ["second", "upgrade"]


@pytest.mark.parametrize("register", ["request_middleware", "pre_ws_upgrade"])
@pytest.mark.parametrize("how", ["abort", "answer", "bad request", "error handler"])
async def test_what_follows_a_handshake_that_was_refused_is_no_request(serving, caplog, register, how):
    server, paths = make_server(), []
    if how == "error handler":
        server.error_handler(lambda ctx, error: ctx.set_response_status_code(403))

    async def refuse(ctx):
        paths.append(ctx.path)
        if how == "answer":
            await ctx.text("no", status=403)
        elif how == "bad request":
            raise BadRequest(403, "no")
        elif how == "error handler":
            raise RuntimeError("broken on purpose")
        else:
            ctx.set_response_status_code(403).abort()

    getattr(server, register)(refuse)
    hidden = get("/secret")
    bodies = [b"", f"Content-Length: {len(hidden)}\r\n".encode(), b"Transfer-Encoding: chunked\r\n"]
    async with serving(server) as running:
        for lines in bodies if register == "request_middleware" else bodies[:1]:
            answer = await soon(running.exchange(HANDSHAKE[:-2] + lines + b"\r\n" + hidden))
            assert answer.startswith(b"HTTP/1.1 403 ")
            assert answer.count(b"HTTP/1.1") == 1
            assert b"\r\nconnection: close\r\n" in answer
    assert set(paths) == {"/"}
    caplog.clear()


async def test_middleware_may_answer_itself(serving):
    server = make_server()

    @server.request_middleware
    async def answer(ctx):
        await ctx.text("from middleware")

    async with serving(server) as running:
        assert (await fetch(running))[::2] == (200, "from middleware")


async def test_middleware_that_raises(serving, caplog):
    server = make_server()

    @server.request_middleware
    async def broken(ctx):
        raise RuntimeError("broken on purpose")

    async with serving(server) as running:
        assert (await fetch(running))[::2] == (500, "The server failed to answer.\n")
        with pytest.raises(InvalidStatus, match="500"):
            async with open_websocket(running):
                pass
    assert caplog.text.count("RuntimeError: broken on purpose") == 2
    caplog.clear()


async def test_response_middleware_changes_every_response(serving):
    server = make_server(gzip=True)
    variable = contextvars.ContextVar("variable", default=None)

    @server.route("/stream")
    async def stream(ctx):
        await ctx.set_response_body("piece").send_body()

    @server.route("/events")
    async def events(ctx):
        await ctx.send_event("x")

    @server.response_middleware
    def status(ctx):
        ctx.set_response_header("x-path", ctx.path).set_response_header("x-status", str(ctx.response.status))

    @server.response_middleware
    async def last(ctx):
        ctx.set_response_header("x-var", str(variable.get()))
        if ctx.path == "/changed":
            ctx.set_response_status_code(418).set_response_body("changed").abort()

    @server.response_middleware
    def after_abort(ctx):
        ctx.set_response_header("x-last", "yes")

    async with serving(server) as running:
        for path, expected in (("/", 200), ("/stream", 200), ("/events", 200), ("/missing", 404)):
            status, headers, _ = await fetch(running, path)
            assert (status, headers["x-path"], headers["x-status"]) == (expected, path, str(expected))
            assert headers["x-last"] == "yes"
        status, headers, body = await fetch(running, "/changed")
        assert (status, headers["x-status"], body) == (418, "404", "changed")
        assert "x-last" not in headers


@pytest.mark.parametrize("wrong", ["waits", "sends", "raises"])
async def test_response_middleware_that_is_wrong(serving, caplog, wrong):
    server = make_server()

    @server.response_middleware
    async def broken(ctx):
        if wrong == "waits":
            await asyncio.sleep(0)
        elif wrong == "sends":
            await ctx.send("x")
        else:
            raise RuntimeError("broken on purpose")

    async with serving(server) as running:
        for path in ("/", "/missing"):
            assert (await fetch(running, path))[::2] == (500, "The server failed to answer.\n")
    told = {"waits": "can't", "sends": "response middleware can't send", "raises": "broken on purpose"}[wrong]
    assert told in caplog.text
    caplog.clear()


async def test_response_middleware_in_one_line(serving):
    server = make_server()
    server.response_middleware(lambda ctx: ctx.set_response_header("x-short", "yes"))
    async with serving(server) as running:
        assert (await fetch(running))[1]["x-short"] == "yes"


async def test_each_request_of_a_connection_starts_afresh(serving):
    """Neither state, headers, aborts nor context variables of one request are seen in the next."""
    server, seen = Server(), []
    variable = contextvars.ContextVar("variable", default="unset")

    @server.request_middleware
    def note(ctx):
        seen.append((dict(ctx.state), dict(ctx.response.headers), variable.get(), ctx.aborted))
        ctx.state["leak"] = variable.set("leaked")
        ctx.set_response_header("x-leak", "leaked")
        if ctx.path == "/abort":
            ctx.abort()

    @server.route("/{rest:path}")
    async def handler(ctx):
        variable.set("leaked")
        await ctx.text(variable.get())

    async with serving(server) as running:
        requests = [get(path) for path in ("/", "/abort", "/missing")] + [get("/", "Connection: close")]
        answer = await soon(running.exchange(b"".join(requests)))
    assert answer.count(b"HTTP/1.1 200 ") == 4
    assert seen == [({}, {}, "unset", False)] * 4


# ------------------------------------------------------------------------------------- WebSockets


@pytest.mark.parametrize("path", ["/", "/callback"])
async def test_the_life_of_a_websocket(serving, path):
    server, calls, closed = make_server(subprotocols=["a", "b"]), [], asyncio.Event()

    @server.pre_ws_upgrade
    async def before(ctx):
        await asyncio.sleep(0)
        calls.append(("before", ctx.is_websocket, ctx.wants_websocket, ctx.subprotocol))
        ctx.subprotocol = "b"
        ctx.set_response_header("x-hook", "yes").set_cookie("a", "b")

    @server.on_ws_connected
    async def connected(ctx):
        calls.append(("connected", ctx.is_websocket, ctx.subprotocol))
        await ctx.send("welcome")
        await asyncio.sleep(0)

    @server.on_ws_closed
    async def after(ctx):
        await asyncio.sleep(0)
        calls.append(("closed", ctx.close_code, ctx.close_reason))
        closed.set()

    async with serving(server) as running:
        async with open_websocket(running, path, subprotocols=["a", "b"]) as websocket:
            assert websocket.response.headers["x-hook"] == "yes"
            assert websocket.response.headers["set-cookie"].startswith("a=b;")
            assert websocket.subprotocol == "b"
            await websocket.send("echo")
            assert [await websocket.recv(), await websocket.recv()] == ["welcome", "echo"]
            await websocket.close(4000, "enough")
        await soon(closed.wait())
    assert calls == [("before", False, True, "a"), ("connected", True, "b"), ("closed", 4000, "enough")]


@pytest.mark.parametrize("path", ["/", "/callback"])
async def test_messages_that_come_while_hooks_wait(serving, path):
    """They come with the handshake in one piece, before the server has even accepted it."""
    server, go_on = make_server(), asyncio.Event()

    @server.pre_ws_upgrade
    async def before(ctx):
        await go_on.wait()

    @server.on_ws_connected
    async def connected(ctx):
        await asyncio.sleep(0)
        await ctx.send("first")

    async with serving(server) as running:
        handshake = HANDSHAKE.replace(b"GET / ", f"GET {path} ".encode())
        reader, writer = await running.raw(handshake + frame_of("one") + frame_of("two"))
        writer.write(frame_of("three"))
        await writer.drain()
        go_on.set()
        await soon(reader.readuntil(b"\r\n\r\n"))
        expected = b"".join(bytes([0x81, len(text)]) + text for text in (b"first", b"one", b"two", b"three"))
        assert await soon(reader.readexactly(len(expected))) == expected
        writer.close()


async def test_a_hook_may_ping_and_receive(serving):
    server = make_server()

    @server.on_ws_connected
    async def connected(ctx):
        await ctx.ping()
        await ctx.send(f"welcome {await ctx.receive()}")

    async with serving(server) as running, open_websocket(running) as websocket:
        await websocket.send("ada")
        assert await soon(websocket.recv()) == "welcome ada"
        await websocket.send("echo")
        assert await soon(websocket.recv()) == "echo"


async def test_a_subprotocol_that_was_not_offered(serving, caplog):
    server = make_server()

    @server.pre_ws_upgrade
    def before(ctx):
        ctx.subprotocol = "other"

    async with serving(server) as running:
        with pytest.raises(InvalidStatus, match="500"):
            async with open_websocket(running, subprotocols=["a"]):
                pass
    assert "did not offer the subprotocol 'other'" in caplog.text
    caplog.clear()


async def test_a_hook_that_raises_ends_its_websocket_only(serving, caplog):
    server, closed = make_server(), asyncio.Queue()

    @server.on_ws_connected
    def connected(ctx):
        raise RuntimeError("broken on purpose")

    @server.on_ws_closed
    def broken(ctx):
        raise RuntimeError("broken on purpose too")

    server.on_ws_closed(lambda ctx: closed.put_nowait(ctx.close_code))
    async with serving(server) as running:
        async with open_websocket(running) as websocket:
            await websocket.wait_closed()
            assert websocket.close_code == 1011
        assert await soon(closed.get()) == 1011
        assert (await fetch(running))[0] == 200
    assert caplog.text.count("RuntimeError: broken on purpose too") == 1
    caplog.clear()


@pytest.mark.parametrize("register", ["request_middleware", "pre_ws_upgrade"])
async def test_a_peer_that_leaves_while_a_hook_waits(serving, register):
    server, came, go_on, left = make_server(), asyncio.Event(), asyncio.Event(), []

    async def before(ctx):
        came.set()
        await go_on.wait()

    getattr(server, register)(before)
    if register == "pre_ws_upgrade":
        server.on_ws_connected(lambda ctx: left.append("connected"))
    async with serving(server) as running:
        _, writer = await running.raw(HANDSHAKE)
        await soon(came.wait())
        linger = struct.pack("ii", 1, 0)    # a reset, after which the connection is gone
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        writer.transport.abort()
        async with asyncio.timeout(20):
            while not all(connection.session.input_ended for connection in server._driver.connections):
                await asyncio.sleep(0)
            go_on.set()
            while server._driver.connections:
                await asyncio.sleep(0)
    assert left == []


# ----------------------------------------------------------------------------------------- errors


async def test_error_handlers_say_what_the_client_gets(serving, caplog):
    server, seen = make_server(), []

    @server.request_middleware
    def mark(ctx):
        ctx.set_response_header("x-kept", "yes").set_cookie("kept", "yes")
        if ctx.path == "/raises":
            raise LookupError("broken on purpose")

    @server.route("/broken")
    async def broken(ctx):
        ctx.set_response_header("content-type", "image/png").set_response_header("etag", '"1"')
        raise LookupError("broken on purpose")

    @server.route("/half")
    async def half(ctx):
        await ctx.set_response_body("half").send_body()
        raise LookupError("broken on purpose")

    @server.route("/socket", websocket=True)
    async def socket(ctx):
        raise LookupError("broken on purpose")

    @server.error_handler
    async def report(ctx, error):
        await asyncio.sleep(0)
        seen.append((ctx.path, type(error)))
        if ctx.is_websocket:
            await ctx.send("sorry")
        elif not ctx.head_sent:
            ctx.set_response_status_code(503).set_response_body("sorry")

    async with serving(server) as running:
        status, headers, body = await fetch(running, "/broken")
        assert (status, body, headers["x-kept"]) == (503, "sorry", "yes")
        assert headers["set-cookie"].startswith("kept=yes")
        assert "etag" not in headers
        for path, status in (("/missing", 404), ("/raises", 503)):
            found, headers, _ = await fetch(running, path)
            assert (found, headers["x-kept"]) == (status, "yes")
            assert headers["set-cookie"].startswith("kept=yes")
        answer = await soon(running.exchange(get("/half")))
        assert b"half" in answer
        assert not answer.endswith(b"0\r\n\r\n")
        async with open_websocket(running, "/socket") as websocket:
            assert await websocket.recv() == "sorry"
            await websocket.wait_closed()
            assert websocket.close_code == 1011
    assert seen == [(path, LookupError) for path in ("/broken", "/raises", "/half", "/socket")]
    assert caplog.text.count("LookupError: broken on purpose") == 4
    caplog.clear()


async def test_an_error_handler_that_raises(serving, caplog):
    server = make_server()

    @server.route("/broken")
    async def broken(ctx):
        raise LookupError("broken on purpose")

    @server.error_handler
    def report(ctx, error):
        raise RuntimeError("broken too")

    async with serving(server) as running:
        assert (await fetch(running, "/broken"))[::2] == (500, "The server failed to answer.\n")
    assert "RuntimeError: broken too" in caplog.text
    caplog.clear()


# -------------------------------------------------------------------------------- registration


@pytest.mark.parametrize(
    ("register", "fix"),
    [
        (lambda server: server.request_middleware(3), r"called as function\(ctx\)"),
        (lambda server: server.response_middleware(lambda: None), r"called as function\(ctx\)"),
        (lambda server: server.error_handler(lambda ctx: None), r"called as function\(ctx, error\)"),
        (lambda server: server.on_startup(lambda ctx: None), r"called as function\(\)"),
    ],
)
def test_what_is_no_hook(register, fix):
    with pytest.raises(ConfigurationError, match=fix):
        register(Server())


async def test_hooks_are_fixed_once_the_server_has_started(serving):
    async with serving(make_server()) as running:
        with pytest.raises(UsageError, match="before the server starts"):
            running.server.request_middleware(lambda ctx: None)


# ------------------------------------------------------------------------------------- access log


async def test_the_access_log_has_a_line_for_each_request_and_socket(serving, caplog):
    server, left = make_server(access_log=True), asyncio.Event()

    @server.route("/events")
    async def events(ctx):
        await ctx.send_event("x")
        await ctx.wait_closed()
        left.set()

    @server.route("/broken")
    async def broken(ctx):
        await ctx.set_response_body("half").send_body()
        raise LookupError("broken on purpose")

    with caplog.at_level(logging.INFO, "hyperws.access"):
        async with serving(server) as running:
            await fetch(running, "/?a=b")
            await fetch(running, "/missing", method="POST")
            await fetch(running, "/broken")
            await soon(running.exchange(b"nonsense\r\n\r\n"))
            async with aiohttp.ClientSession() as client:
                async with client.get(running.http("/events"), ssl=running.ssl or True) as response:
                    await response.content.readline()
            await soon(left.wait())
            async with open_websocket(running) as websocket:
                await websocket.close(4000, "a 'reason'\n")
    lines = [record.getMessage() for record in caplog.records if record.name == "hyperws.access"]
    shapes = [line.partition(" ")[2] for line in lines]
    assert [line.partition(":")[0] for line in lines] == ["127.0.0.1"] * 6
    expected = [
        r'"GET /\?a=b HTTP/1.1" 200 [0-9]+ [0-9.]+s',
        r'"POST /missing HTTP/1.1" 404 [0-9]+ [0-9.]+s',
        r'"GET /broken HTTP/1.1" 200 [0-9]+ [0-9.]+s cut off',
        r'"-" 400: .+',
        r'"GET /events HTTP/1.1" 200 [0-9]+ [0-9.]+s client gone',
        r'WebSocket "/" 4000 "a \'reason\'\\n" [0-9.]+s',
    ]
    for line, shape in zip(shapes, expected, strict=True):
        assert re.fullmatch(shape, line), line
    caplog.clear()
