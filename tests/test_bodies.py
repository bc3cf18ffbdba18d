"""Request bodies: whole, in pieces, in chunks, and those that don't come as they should."""

from __future__ import annotations

import asyncio
import json
import sys
from contextlib import suppress

import aiohttp
import msgspec
import pytest

from hyperws import BadRequest, ConnectionClosed, Limits, Server, UsageError, forms, jsons

from .test_http import get

OVER_TLS = True


class Gate:
    """Handlers that say what they do, and wait to be told to go on."""

    def __init__(self):
        self.came = asyncio.Queue()
        self.go_on = asyncio.Event()


def make_server(gate=None, **options):
    server = Server(**options)

    @server.route("/whole")
    async def whole(ctx):
        await ctx.send(await ctx.get_request_body())

    @server.route("/echo")
    async def echo(ctx):
        async for piece in ctx.body():
            await ctx.set_response_body(piece).send_body()

    @server.route("/ignore")
    async def ignore(ctx):
        await ctx.send("ignored")

    @server.route("/json")
    async def read_json(ctx):
        await ctx.json({"got": await ctx.get_request_json()})

    @server.route("/form")
    async def form(ctx):
        form = await ctx.get_request_form()
        files = [[each.name, each.filename, each.content_type, len(each.data)] for each in form.files]
        await ctx.json({"fields": dict(form), "all": form.getall("a"), "files": files})

    @server.route("/pieces")
    async def pieces(ctx):
        try:
            async for piece in ctx.body():
                gate.came.put_nowait(piece)
                await gate.go_on.wait()
        except (BadRequest, ConnectionClosed) as error:
            gate.came.put_nowait(error)
            raise
        gate.came.put_nowait(None)

    return server


def post(path, *lines, body=b""):
    return get(path, *lines, method="POST", body=body)


def chunked(*pieces):
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


CHUNKED = "Transfer-Encoding: chunked"


async def soon(awaitable):
    return await asyncio.wait_for(awaitable, 20)


@pytest.mark.parametrize("path", ["/whole", "/echo"])
async def test_bodies_by_a_client(serving, path):
    async def stream():
        for number in range(100):
            yield b"%d," % number * 100

    streamed = b"".join([piece async for piece in stream()])
    long = b"y" * 700_000
    bodies = [(lambda: b"", b""), (lambda: b"x", b"x"), (lambda: long, long), (stream, streamed)]
    async with serving(make_server()) as running, aiohttp.ClientSession() as client:
        for make, expected in bodies:
            for method in ("POST", "PUT", "PATCH", "DELETE"):
                sending = client.request(method, running.http(path), data=make(), ssl=running.ssl or True)
                async with sending as answer:
                    assert (answer.status, await answer.read()) == (200, expected)


async def test_pieces_come_as_they_are_sent(serving):
    gate = Gate()
    gate.go_on.set()
    async with serving(make_server(gate)) as running:
        reader, writer = await running.raw(post("/pieces", CHUNKED))
        for piece in (b"first", b"second"):
            writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
            assert await soon(gate.came.get()) == piece
        writer.write(b"0\r\nTrailer: dropped\r\n\r\n" + get("/ignore", "Connection: close"))
        assert await soon(gate.came.get()) is None
        assert (await soon(reader.read())).endswith(b"\r\n\r\nignored")
        writer.close()


async def test_requests_behind_bodies_that_nobody_read(serving):
    """A connection goes on behind a body that its handler did not take."""
    requests = [
        post("/ignore", "Content-Length: 5", body=b"GET /"),
        post("/ignore", CHUNKED, body=chunked(b"GET / HTTP/1.1\r\n", b"x" * 100)),
        post("/missing", "Content-Length: 100000", body=b"x" * 100_000),
        post("/missing", CHUNKED, body=chunked(*[b"x" * 1000] * 100)),
        get("/ignore", "Connection: close"),
    ]
    async with serving(make_server()) as running:
        answer = await soon(running.exchange(b"".join(requests)))
        statuses = [int(part[:3]) for part in answer.split(b"HTTP/1.1 ")[1:]]
        assert statuses == [200, 200, 404, 404, 200]
        for request in requests[:-1]:
            reader, writer = await running.raw()
            head, _, body = request.partition(b"\r\n\r\n")
            writer.write(head + b"\r\n\r\n")
            await soon(reader.readuntil(b"\r\n\r\n"))       # the answer comes before the body
            writer.write(body + get("/ignore", "Connection: close"))
            assert (await soon(reader.read())).endswith(b"\r\n\r\nignored")
            writer.close()


async def test_a_body_is_its_own_requests_only(serving):
    """A task that reads too late gets an error, not part of a body, nor of the next request's."""
    server, left = Server(), []

    async def take(ctx):
        return await ctx.get_request_body()

    @server.route("/early")
    async def early(ctx):
        reading = asyncio.create_task(take(ctx))
        await asyncio.sleep(0)
        await ctx.send("early")
        left.extend([reading, ctx])

    @server.route("/next")
    async def following(ctx):
        late = asyncio.create_task(take(left[1]))
        with pytest.raises(UsageError, match="before the handler returns"):
            await late
        await ctx.send(await ctx.get_request_body())

    async with serving(server) as running:
        reader, writer = await running.raw(post("/early", "Content-Length: 8", body=b"half"))
        await soon(reader.readuntil(b"early"))
        writer.write(b"half" + post("/next", "Content-Length: 6", "Connection: close"))
        with pytest.raises(UsageError, match="before the handler returns"):
            await soon(left[0])
        writer.write(b"secret")
        assert (await soon(reader.read())).endswith(b"\r\n\r\nsecret")
        writer.close()
        with pytest.raises(UsageError, match="before the handler returns"):
            await take(left[1])


async def test_a_long_body_that_nobody_wants_ends_the_connection(serving):
    server = make_server(limits=Limits(max_body_size=None, close_timeout=0.2))
    async with serving(server) as running:
        reader, writer = await running.raw(post("/ignore", "Content-Length: 100000000"))

        async def send():
            with suppress(ConnectionError):
                while True:
                    writer.write(b"x" * 65536)
                    await writer.drain()

        sending = asyncio.create_task(send())
        with suppress(ConnectionError):
            assert (await soon(reader.readuntil(b"ignored"))).startswith(b"HTTP/1.1 200 ")
        await soon(sending)
        writer.close()


@pytest.mark.plain      # over TLS, uvloop's client does not tell that it is held back
async def test_a_handler_that_takes_its_time_holds_the_peer_back(serving):
    """What it has not taken is bounded, and all of it comes in the end."""
    gate = Gate()
    size = 50_000_000
    server = make_server(gate, limits=Limits(max_body_size=None, receive_queue=10_000, handshake_timeout=0.3))
    async with serving(server) as running:
        reader, writer = await running.raw(post("/pieces", f"Content-Length: {size}", "Connection: close"))
        writer.transport.set_write_buffer_limits(0)
        writer.write(b"x" * size)
        first = await soon(gate.came.get())
        with pytest.raises(TimeoutError):       # longer than a body may take where it is the peer's to send
            await asyncio.wait_for(writer.drain(), 1)
        gate.go_on.set()
        total = len(first)
        while (piece := await soon(gate.came.get())) is not None:
            total += len(piece)
        assert total == size
        assert (await soon(reader.read())).startswith(b"HTTP/1.1 200 ")
        writer.close()


# ------------------------------------------------------------------------------------- 100-continue


async def test_continue_is_sent_when_the_body_is_asked_for(serving):
    gate = Gate()
    gate.go_on.set()
    async with serving(make_server(gate)) as running:
        expecting = post("/pieces", "Expect: 100-continue", "Content-Length: 4", "Connection: close")
        reader, writer = await running.raw(expecting)
        assert await soon(reader.readuntil(b"\r\n\r\n")) == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(b"body")
        assert await soon(gate.came.get()) == b"body"
        assert (await soon(reader.read())).startswith(b"HTTP/1.1 200 ")
        writer.close()


async def test_continue_is_not_sent_for_a_body_that_nobody_wants(serving):
    """Nor is it known then whether the body comes: the connection ends (RFC 9110, section 10.1.1)."""
    async with serving(make_server()) as running:
        answer = await soon(running.exchange(post("/ignore", "Expect: 100-continue", "Content-Length: 4")))
        assert answer.startswith(b"HTTP/1.1 200 ")
        assert b"connection: close" in answer
        too_long = post("/ignore", "Expect: 100-continue", "Content-Length: 9000000")
        answer = await soon(running.exchange(too_long))
        assert answer.startswith(b"HTTP/1.1 413 ")


async def test_continue_is_not_sent_to_a_body_that_has_come(serving):
    request = post("/whole", "Expect: 100-continue", "Content-Length: 4", "Connection: close", body=b"body")
    async with serving(make_server()) as running:
        answer = await soon(running.exchange(request))
        assert answer.startswith(b"HTTP/1.1 200 ")
        assert answer.endswith(b"\r\n\r\nbody")


# --------------------------------------------------------------------------------------- what is wrong


@pytest.mark.parametrize("in_pieces", [False, True])
@pytest.mark.parametrize(
    ("lines", "body", "status"),
    [
        ([CHUNKED], b"5\r\nhelloX", 400),
        ([CHUNKED], b"g\r\n", 400),
        ([CHUNKED], b"5\r\nhello\r\n0\r\nno field\r\n\r\n", 400),
        ([CHUNKED], b"ffffffffffffffff\r\n", 400),
        ([CHUNKED], chunked(b"x" * 600, b"y" * 600), 413),
        ([CHUNKED], b"ffff\r\n" + b"x" * 1001, 413),
        (["Content-Length: 1001"], b"x" * 1001, 413),
    ],
)
async def test_a_wrong_body_is_told_and_ends_the_connection(serving, lines, body, status, in_pieces):
    server = make_server(limits=Limits(max_body_size=1000))
    hidden = get("/ignore")
    async with serving(server) as running:
        reader, writer = await running.raw(post("/whole", *lines))
        if in_pieces:
            for at in range(len(body)):
                writer.write(body[at:at + 1])
                await writer.drain()
        else:
            writer.write(body)
        writer.write(hidden)
        answer = await soon(reader.read())
        writer.close()
    assert answer.startswith(b"HTTP/1.1 %d " % status)
    assert answer.count(b"HTTP/1.1") == 1
    assert b"connection: close" in answer


@pytest.mark.plain
async def test_a_body_that_ends_too_early(serving):
    gate = Gate()
    gate.go_on.set()
    async with serving(make_server(gate)) as running:
        reader, writer = await running.raw(post("/pieces", "Content-Length: 100", body=b"half"))
        assert await soon(gate.came.get()) == b"half"
        writer.write_eof()
        assert str(await soon(gate.came.get())) == "the request ended before its body did"
        assert (await soon(reader.read())).startswith(b"HTTP/1.1 400 ")
        writer.close()


async def test_a_peer_that_leaves_in_the_middle_of_a_body(serving):
    gate = Gate()
    gate.go_on.set()
    async with serving(make_server(gate)) as running:
        _, writer = await running.raw(post("/pieces", "Content-Length: 100", body=b"half"))
        assert await soon(gate.came.get()) == b"half"
        writer.transport.abort()
        assert isinstance(await soon(gate.came.get()), (ConnectionClosed, BadRequest))


async def test_a_body_that_does_not_come_is_given_up(serving):
    async with serving(make_server(limits=Limits(handshake_timeout=0.2))) as running:
        for line, body in (("Content-Length: 100", b"half"), (CHUNKED, b"1\r\n")):
            answer = await soon(running.exchange(post("/whole", line, body=body)))
            assert answer.startswith(b"HTTP/1.1 408 ")
            assert b"connection: close" in answer


async def test_a_body_that_keeps_coming_has_its_time(serving):
    """The deadline is for each part of a body, not for all of it."""
    gate = Gate()
    gate.go_on.set()
    server = make_server(gate, limits=Limits(handshake_timeout=0.5))
    async with serving(server) as running:
        reader, writer = await running.raw(post("/pieces", "Content-Length: 98304", "Connection: close"))
        for _ in range(5):
            writer.write(b"x" * 16384)
            part = 0
            while part < 16384:
                part += len(await soon(gate.came.get()))
            with pytest.raises(TimeoutError):       # five times this are more than the deadline
                await asyncio.wait_for(gate.came.get(), 0.2)
        writer.write(b"x" * 16384)
        assert (await soon(reader.read())).startswith(b"HTTP/1.1 200 ")
        writer.close()


# --------------------------------------------------------------------------------------- JSON and forms


class Point(msgspec.Struct):
    x: int
    y: int = 0


async def test_json(serving):
    async with serving(make_server()) as running, aiohttp.ClientSession() as client:
        async def send(data):
            async with client.post(running.http("/json"), data=data, ssl=running.ssl or True) as answer:
                return answer.status, answer.content_type, await answer.text()

        value = {"text": "\u20ac", "list": [1, 2.5, None, True]}
        status, kind, text = await send(json.dumps(value))
        assert (status, kind, json.loads(text)) == (200, "application/json", {"got": value})
        for wrong in (b"", b"{", b"[1,]", b"nonsense", b"\xff", b"[" * 100_000):
            status, _, text = await send(wrong)
            assert status == 400
            assert "JSON" in text


@pytest.mark.parametrize("library", ["msgspec", "json"])
def test_json_by_either_library(monkeypatch, library):
    if library == "json":
        monkeypatch.setattr(jsons, "installed_msgspec", lambda: None)
    assert jsons.encode({"a": [1, "\u20ac", None]}) == '{"a":[1,"\u20ac",null]}'.encode()
    assert jsons.decode(b'{"a": 1}') == {"a": 1}
    for wrong in (b"", b"nope", b"\xff", b"[" * 100_000):
        with pytest.raises(BadRequest, match="JSON"):
            jsons.decode(wrong)
    with pytest.raises(UsageError, match="a set has no JSON" if library == "json" else "object has no JSON"):
        jsons.encode({1, 2} if library == "json" else object())


def test_json_of_a_type(monkeypatch):
    assert jsons.decode(b'{"x": 3}', Point) == Point(3, 0)
    with pytest.raises(BadRequest, match="Expected `int`"):
        jsons.decode(b'{"x": "3"}', Point)
    monkeypatch.setattr(jsons, "installed_msgspec", lambda: None)
    with pytest.raises(UsageError, match=r"pip install 'hyperws\[json\]'"):
        jsons.decode(b"{}", Point)


async def test_forms(serving):
    async with serving(make_server()) as running, aiohttp.ClientSession() as client:
        async def send(data, **headers):
            options = {"data": data, "headers": headers, "ssl": running.ssl or True}
            answer = await client.post(running.http("/form"), **options)
            return answer.status, await answer.text()

        status, text = await send({"a": "1 & 2", "b": "\u20ac"})
        assert (status, json.loads(text)["fields"]) == (200, {"a": "1 & 2", "b": "\u20ac"})
        form = aiohttp.FormData(quote_fields=False)
        form.add_field("a", "first")
        form.add_field("a", "last")
        form.add_field("file", b"\0\xff" * 1000, filename="na\u00efve.bin", content_type="image/png")
        status, text = await send(form)
        assert (status, json.loads(text)) == (200, {
            "fields": {"a": "last"}, "all": ["first", "last"],
            "files": [["file", "na\u00efve.bin", "image/png", 2000]],
        })  # fmt: skip
        for kind, body, expected in [
            ("text/plain", b"x", 415),
            ("application/x-www-form-urlencoded", b"a=b&" * 1001, 413),
            ("application/x-www-form-urlencoded", b"a=\xff", 400),
            ("multipart/form-data; boundary=x", b"--x\r\nrubbish", 400),
            ("multipart/form-data", b"--x\r\nrubbish", 400),
        ]:
            assert (await send(body, **{"Content-Type": kind}))[0] == expected


def test_forms_with_files_need_a_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "multipart", None)
    with pytest.raises(UsageError, match=r"pip install 'hyperws\[forms\]'"):
        forms.parse_form("multipart/form-data; boundary=x", b"")
