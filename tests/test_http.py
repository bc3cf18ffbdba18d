"""Plain HTTP: pages, keep-alive, and what is told when something is wrong."""

import asyncio
import http.client
from contextlib import suppress

import pytest

from hyperws import Limits, Server, UsageError

from .core.peer import Peer

OVER_TLS = True


def get(path="/", *lines, method="GET", body=b""):
    """A request's bytes."""
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: localhost", *lines, "", ""]).encode() + body


def page_server(**options):
    server = Server(**options)

    @server.route("/hello/{name}")
    async def hello(ctx):
        response = ctx.set_response_header("content-type", "text/plain")
        await response.set_response_body(f"hi {ctx.params['name']}").send()

    @server.route("/body", methods=["POST"])
    async def body(ctx):
        await ctx.send(await ctx.get_request_body())

    @server.route("/stream")
    async def stream(ctx):
        for piece in ("one ", "two ", "three"):
            await ctx.set_response_body(piece).send_body()

    @server.route("/status/{code}")
    async def status(ctx):
        await ctx.set_response_status_code(int(ctx.params["code"])).set_response_body("told").send()

    @server.route("/silent")
    async def silent(ctx):
        pass

    @server.route("/broken")
    async def broken(ctx):
        raise RuntimeError("broken on purpose")

    @server.route("/socket", websocket=True)
    async def socket(ctx):
        pass

    return server


def fetch(running, *requests):
    """The responses to (method, path, body) requests on one connection, as (status, headers, body)."""
    if running.ssl:
        connection = http.client.HTTPSConnection(running.host, running.port, timeout=20, context=running.ssl)
    else:
        connection = http.client.HTTPConnection(running.host, running.port, timeout=20)
    found = []
    for method, path, body in requests:
        connection.request(method, path, body)
        response = connection.getresponse()
        found.append((response.status, dict(response.getheaders()), response.read()))
    connection.close()
    return found


async def test_requests_on_one_connection(serving):
    async with serving(page_server()) as running:
        found = await asyncio.to_thread(
            fetch,
            running,
            ("GET", "/hello/bob", None),
            ("POST", "/body", b"x" * 100000),
            ("GET", "/stream", None),
            ("HEAD", "/hello/bob", None),
            ("GET", "/silent", None),
            ("GET", "/status/404", None),
            ("GET", "/status/204", None),
            ("GET", "/hello/again", None),
        )
    assert [status for status, _, _ in found] == [200, 200, 200, 200, 200, 404, 204, 200]
    bodies = [body for _, _, body in found]
    assert bodies == [b"hi bob", b"x" * 100000, b"one two three", b"", b"", b"told", b"", b"hi again"]
    assert found[0][1]["content-type"] == "text/plain"
    assert found[2][1]["transfer-encoding"] == "chunked"
    assert found[3][1]["content-length"] == "6"
    assert all("date" in headers for _, headers, _ in found)


async def test_pipelined_requests_are_answered_in_order(serving):
    server = Server()
    first = asyncio.Event()

    @server.route("/{name}")
    async def slow(ctx):
        if ctx.params["name"] == "0":
            await first.wait()
        await ctx.send(f"[{ctx.params['name']}]")

    async with serving(server) as running:
        many = b"".join(get(f"/{i}") for i in range(50))
        many += get("/missing/page") + get("/last", "Connection: close")
        reader, writer = await running.raw(many)
        first.set()
        answer = await asyncio.wait_for(reader.read(), 20)
        writer.close()
    places = [answer.index(f"[{name}]".encode()) for name in [*range(50), "last"]]
    assert places == sorted(places)
    assert places[49] < answer.index(b"404 Not Found") < places[50]


@pytest.mark.parametrize(
    ("request_bytes", "status", "told"),
    [
        (get("/nothing"), 404, "nothing at /nothing"),
        (get("/socket", "Connection: close"), 426, "WebSocket only"),
        (get("/body", "Connection: close"), 405, "use one of POST"),
        (get("/hello/%ff"), 400, "not UTF-8"),
        (b"\x16\x03\x01\x02\x00\x01", 400, "method"),
        (b"GET / HTTP/1.1\n\n", 400, "LF without CR"),
        (b"GET / HTTP/1.1\r\n\r\n", 400, "Host"),
        (b"GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505, "HTTP/1.1"),
        (get("/body", "Content-Length: 3", "Transfer-Encoding: chunked", method="POST"), 400, "either"),
        (get("/body", "Content-Length: 3", "Content-Length: 3", method="POST"), 400, "more than one"),
        (get("/body", "Content-Length: +3", method="POST"), 400, "not a number"),
        (get("/body", "Content-Length: 2000000", method="POST"), 413, "1048576 bytes"),
        (get("/", "Expect: miracles"), 417, "100-continue"),
        (get("/", "X: " + "x" * 20000), 431, "16384 bytes"),
        (get("/", *["X: y"] * 101), 431, "too many"),
    ],
)
async def test_what_can_not_be_served_is_told(serving, request_bytes, status, told):
    async with serving(page_server()) as running:
        if b"close" not in request_bytes and status in (404, 426, 405):
            request_bytes = request_bytes.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
        answer = (await running.exchange(request_bytes)).decode()
    assert answer.startswith(f"HTTP/1.1 {status} ")
    assert told in answer.partition("\r\n\r\n")[2]
    assert "\r\nconnection: " in answer
    if status == 426:
        assert "\r\nupgrade: websocket\r\n" in answer
    if status == 405:
        assert "\r\nallow: POST\r\n" in answer


async def test_a_connection_goes_on_after_a_page_that_is_missing(serving):
    async with serving(page_server()) as running:
        found = await asyncio.to_thread(
            fetch, running, ("GET", "/nothing", None), ("GET", "/hello/bob", None)
        )
    assert [status for status, _, _ in found] == [404, 200]


async def test_body_is_asked_for(serving):
    async with serving(page_server()) as running:
        lines = ("Expect: 100-continue", "Content-Length: 5", "Connection: close")
        reader, writer = await running.raw(get("/body", *lines, method="POST"))
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(b"hello")
        assert (await asyncio.wait_for(reader.read(), 20)).endswith(b"\r\n\r\nhello")
        writer.close()


async def test_http_10_is_closed_after_the_answer(serving):
    async with serving(page_server()) as running:
        answer = await running.exchange(b"GET /stream HTTP/1.0\r\n\r\n")
    head, _, body = answer.partition(b"\r\n\r\n")
    assert body == b"one two three"
    assert b"connection: close" in head
    assert b"chunked" not in head


async def test_a_handler_that_raises_is_a_500_and_logged_once(serving, caplog):
    async with serving(page_server()) as running:
        answer = await running.exchange(get("/broken"))
    assert answer.startswith(b"HTTP/1.1 500 ")
    assert b"broken on purpose" not in answer
    errors = [record for record in caplog.records if record.levelname == "ERROR"]
    assert len(errors) == 1
    assert "/broken" in errors[0].getMessage()
    assert errors[0].exc_info[1].args == ("broken on purpose",)
    caplog.clear()


async def test_the_500_to_a_head_request_has_no_body(serving, caplog):
    """RFC 9110, section 9.3.2."""
    async with serving(page_server()) as running:
        answer = await running.exchange(get("/broken", method="HEAD"))
    assert answer.startswith(b"HTTP/1.1 500 ")
    assert answer.endswith(b"\r\n\r\n")
    caplog.clear()


async def test_half_a_response_is_never_taken_for_a_whole_one(serving, caplog):
    server = Server()

    @server.route("/")
    async def half(ctx):
        await ctx.set_response_body("half").send_body()
        raise RuntimeError("broken on purpose")

    async with serving(server) as running:
        try:
            answer = await running.exchange(get("/"))
        except ConnectionResetError:
            answer = b""
    assert b"half" in answer or answer == b""   # reset on the way, or cut off
    assert not answer.endswith(b"0\r\n\r\n")
    caplog.clear()


async def test_the_request_as_a_handler_sees_it(serving):
    server = Server()
    seen = {}

    @server.route("/a/{b}")
    async def look(ctx):
        seen.update(
            method=ctx.method,
            path=ctx.path,
            query=ctx.query,
            cookies=ctx.cookies,
            header=ctx.headers["X-THING"],
            several=ctx.headers.getall("x-several"),
            joined=ctx.headers["x-several"],
            missing=ctx.headers.get("x-missing"),
            verbs=(
                ctx.get_request_header("x-thing"),
                ctx.get_request_query("q"),
                ctx.get_route_param("b"),
                ctx.get_socket_addr_or_default_string() == ctx.client,
                ctx.set_attribute("kept", 1).get_attribute("kept"),
                ctx.get_attribute("none"),
            ),
            websocket=ctx.is_websocket,
            state=dict(ctx.state),
            client=ctx.client,
        )

    async with serving(server) as running:
        cookies = 'Cookie: a=b; unreadable={"x":1}; c=d'
        lines = ("X-Thing: it", "X-Several: 1", "X-Several: 2", cookies, "Connection: close")
        await running.exchange(get("/a/caf%C3%A9?q=1&r=two%20words&empty=", *lines))
    assert seen.pop("client").startswith("127.0.0.1:")
    assert seen == {
        "method": "GET",
        "path": "/a/café",
        "query": {"q": "1", "r": "two words", "empty": ""},
        "cookies": {"a": "b", "c": "d"},
        "header": "it",
        "several": ["1", "2"],
        "joined": "1, 2",
        "missing": None,
        "verbs": ("it", "1", "café", True, 1, None),
        "websocket": False,
        "state": {"kept": 1},
    }


async def test_each_request_of_a_connection_starts_fresh(serving):
    server = Server()

    @server.route("/")
    async def once(ctx):
        assert ctx.state == {}
        ctx.state["seen"] = True
        ctx.set_response_header("x-once", "1")
        await ctx.send(str(len(ctx.response.headers)))

    async with serving(server) as running:
        found = await asyncio.to_thread(fetch, running, *[("GET", "/", None)] * 3)
    assert [body for _, _, body in found] == [b"1"] * 3


async def wrong_uses(ctx, wrong):
    async def attempt(name, call):
        try:
            call()
        except UsageError as error:
            wrong[name] = str(error)

    await attempt("status", lambda: ctx.set_response_status_code(99))
    await attempt("status type", lambda: ctx.set_response_status_code("200"))
    await attempt("header line", lambda: ctx.set_response_header("x", "a\r\nb: c"))
    await attempt("header nul", lambda: ctx.set_response_header("x", "a\0"))
    await attempt("header name", lambda: ctx.set_response_header("x y", "a"))
    await attempt("header wide", lambda: ctx.set_response_header("x", "\u20ac"))
    await attempt("header number", lambda: ctx.set_response_header("x", 5))
    await attempt("framing", lambda: ctx.set_response_header("Content-Length", "5"))
    await attempt("body", lambda: ctx.set_response_body({"a": 1}))
    await attempt("receive", ctx.receive)
    await attempt("redirect", lambda: ctx.redirect("/x", 200))
    await ctx.set_response_body("good").send()
    await attempt("late status", lambda: ctx.set_response_status_code(200))
    await attempt("late header", lambda: ctx.set_response_header("a", "b"))
    await attempt("second send", ctx.send)
    await attempt("late event", lambda: ctx.send_event("x"))
    await attempt("late topic", lambda: ctx.subscribe("topic"))


async def test_wrong_use_raises_at_once_and_names_the_fix(serving):
    server = Server()
    wrong = {}

    @server.route("/")
    async def handler(ctx):
        await wrong_uses(ctx, wrong)

    async with serving(server) as running:
        answer = await running.exchange(get("/", "Connection: close"))
    assert answer.endswith(b"\r\n\r\ngood")
    assert set(wrong) == {
        "status", "status type", "header line", "header nul", "header name", "header wide", "body", "receive",
        "redirect", "late event", "late topic", "late status", "late header", "second send", "framing",
        "header number",
    }  # fmt: skip
    assert "serialise" in wrong["body"]
    assert "before the first send" in wrong["late header"]


async def test_a_peer_that_sends_far_ahead_is_served(serving):
    server = Server(limits=Limits(max_head_size=2000))
    go_on = asyncio.Event()

    @server.route("/")
    async def handler(ctx):
        await go_on.wait()
        await ctx.send("x")

    async with serving(server) as running:
        reader, writer = await running.raw()
        writer.write(get("/") * 4999 + get("/", "Connection: close"))
        go_on.set()
        answer = await asyncio.wait_for(reader.read(), 60)
        writer.close()
    assert answer.count(b"HTTP/1.1 200 OK") == 5000


@pytest.mark.plain
@pytest.mark.parametrize("path", ["/", "/missing"])
async def test_a_peer_that_asks_and_never_reads_is_held_back(serving, path):
    server = Server()

    @server.route("/")
    async def handler(ctx):
        ctx.send("x" * 100)     # does not wait for the peer

    async with serving(server) as running:
        peer = await Peer.connect(running.host, running.port)
        taken = await peer.flood(get(path) * 1000, 2000)    # 80 MB, and several times that in answers
        peer.close()
    assert not taken


@pytest.mark.plain
@pytest.mark.parametrize("path", ["/", "/missing"])
async def test_a_peer_that_reads_slowly_gets_every_answer(serving, path):
    requests = [get(f"{path}?{i}") for i in range(5000)] + [get(path, "Connection: close")]
    server = Server(limits=Limits(max_head_size=2000))

    @server.route("/")
    async def handler(ctx):
        ctx.send("".join(ctx.query) or "end")

    async with serving(server) as running:
        peer = await Peer.connect(running.host, running.port)
        loop = asyncio.get_running_loop()
        sending = asyncio.create_task(loop.sock_sendall(peer.socket, b"".join(requests)))
        came = b""
        with suppress(EOFError):
            while True:
                came += await peer.take(1)
                came += bytes(peer.came)
                peer.came.clear()
        await sending
        peer.close()
    assert came.count(b"HTTP/1.1 ") == len(requests)
    if path == "/":
        bodies = [answer.split(b"\r\n\r\n")[1] for answer in came.split(b"HTTP/1.1 ")[1:]]
        assert bodies == [str(i).encode() for i in range(5000)] + [b"end"]


@pytest.mark.plain
async def test_a_client_that_ends_its_output_still_gets_its_answer(serving):
    server = Server()
    ended = asyncio.Event()

    @server.route("/")
    async def handler(ctx):
        await ended.wait()
        await ctx.send("answer")

    async with serving(server) as running:
        reader, writer = await running.raw(get("/"))
        writer.write_eof()
        await writer.drain()
        ended.set()
        assert (await asyncio.wait_for(reader.read(), 20)).endswith(b"answer")
        writer.close()


@pytest.mark.parametrize("awaited", [True, False])
async def test_a_peer_that_takes_nothing_of_a_response_is_given_up(serving, awaited):
    server = Server(limits=Limits(idle_timeout=0.2, close_timeout=0.2))
    ended = asyncio.Event()

    @server.route("/")
    async def large(ctx):
        try:
            sending = ctx.send(b"x" * 30_000_000)
            if awaited:
                await sending
        finally:
            ended.set()

    async with serving(server) as running:
        _, writer = await running.raw()
        writer.transport.pause_reading()
        writer.write(get("/"))
        await asyncio.wait_for(ended.wait(), 20)
        async with asyncio.timeout(20):
            while server._driver.connections:
                await asyncio.sleep(0)
        writer.close()


async def test_a_handler_that_returns_something_is_told(serving, caplog):
    async def forgetful(ctx):
        return "hello"

    async with serving(Server().route("/", forgetful)) as running:
        assert (await running.exchange(get("/"))).startswith(b"HTTP/1.1 500 ")
    assert "a handler returns nothing" in caplog.text
    caplog.clear()
