"""What handlers answer with: verbs, JSON, redirects, cookies, compression."""

from __future__ import annotations

import asyncio
import gzip

import httpx
import pytest

from hyperws import ConfigurationError, Gzip, Server, UsageError
from hyperws.content_coding import accepts_gzip
from hyperws.cookies import parse_cookies

from .test_bodies import soon
from .test_http import get

OVER_TLS = True
LONG = "compressible text, " * 200


def make_server(**options):
    server = Server(**options)

    @server.route("/json")
    async def json(ctx):
        await ctx.json({"\u20ac": [1, None]}, status=201)

    @server.route("/text")
    async def text(ctx):
        await ctx.text("plain \u20ac")

    @server.route("/html")
    async def html(ctx):
        await ctx.html("<p>page")

    @server.route("/redirect/{status}")
    async def redirect(ctx):
        await ctx.redirect("/text", int(ctx.params["status"]))

    @server.route("/cookies")
    async def cookies(ctx):
        ctx.set_cookie("session", "a b;\u00e9".encode().hex(), max_age=60, secure=True, same_site="Strict")
        ctx.set_cookie("plain", "x y,z")
        ctx.delete_cookie("old")
        await ctx.json(ctx.cookies)

    @server.route("/long")
    async def long(ctx):
        await ctx.set_response_header("etag", '"1"').text(LONG)

    @server.route("/image")
    async def image(ctx):
        await ctx.set_response_header("content-type", "image/png").send(LONG.encode())

    @server.route("/status/{status}")
    async def status(ctx):
        await ctx.set_response_status_code(int(ctx.params["status"])).text("body")

    @server.route("/stream/{status}")
    async def stream(ctx):
        ctx.set_response_status_code(int(ctx.params["status"]))
        for piece in ("one", "two"):
            await ctx.set_response_body(piece).send_body()

    return server


async def client_of(running, **options):
    return httpx.AsyncClient(base_url=running.http(""), verify=running.ssl or True, **options)


async def test_kinds_of_responses(serving):
    async with serving(make_server()) as running, await client_of(running) as client:
        for path, status, kind, content in [
            ("/json", 201, "application/json", '{"\u20ac":[1,null]}'),
            ("/text", 200, "text/plain; charset=utf-8", "plain \u20ac"),
            ("/html", 200, "text/html; charset=utf-8", "<p>page"),
        ]:
            answer = await client.get(path)
            assert (answer.status_code, answer.headers["content-type"]) == (status, kind)
            assert answer.text == content
            head = await client.head(path)
            assert (head.status_code, head.headers["content-type"], head.text) == (status, kind, "")
            assert head.headers["content-length"] == answer.headers["content-length"]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirects(serving, status):
    async with serving(make_server()) as running, await client_of(running) as client:
        answer = await client.get(f"/redirect/{status}")
        assert (answer.status_code, answer.headers["location"]) == (status, "/text")
        assert (await client.get(f"/redirect/{status}", follow_redirects=True)).text == "plain \u20ac"


@pytest.mark.parametrize("version", ["1.1", "1.0"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("path", ["/status/204", "/status/304", "/stream/204", "/stream/304", "/stream/200"])
async def test_what_has_no_body_has_none(serving, path, method, version):
    """Raw: a client would take a body for the next response (RFC 9112, section 6.3)."""
    async with serving(make_server()) as running:
        request = get(path, "Connection: close", method=method)
        answer = await soon(running.exchange(request.replace(b"HTTP/1.1", f"HTTP/{version}".encode())))
        head, _, body = answer.partition(b"\r\n\r\n")
        if path == "/stream/200" and method == "GET":
            assert body == (b"onetwo" if version == "1.0" else b"3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n")
        else:
            assert body == b""
        if path != "/stream/200":
            assert b"content-length" not in head
            assert b"transfer-encoding" not in head


async def test_a_reset_has_no_content(serving):
    async with serving(make_server()) as running:
        answer = await soon(running.exchange(get("/status/205", "Connection: close")))
        assert b"content-length: 0\r\n" in answer
        assert answer.endswith(b"\r\n\r\n")


async def test_a_handler_that_fails_behind_its_response(serving, caplog):
    """The response was whole: it comes, and so do the next requests."""
    server = Server()

    @server.route("/")
    async def handler(ctx):
        await ctx.text("x" * 500_000)
        raise LookupError("broken on purpose")

    async with serving(server) as running:
        answer = await soon(running.exchange(get("/") + get("/", "Connection: close")))
    assert answer.count(b"x" * 500_000) == 2
    assert caplog.text.count("LookupError: broken on purpose") == 2
    caplog.clear()


async def test_cookies(serving):
    async with serving(make_server()) as running, await client_of(running) as client:
        answer = await client.get("/cookies", headers={"cookie": "a=1; b=2"})
        assert answer.json() == {"a": "1", "b": "2"}
        first, second, third = answer.headers.get_list("set-cookie")
    assert first.startswith("session=612062")
    for attribute in ("Max-Age=60", "Path=/", "Secure", "HttpOnly", "SameSite=Strict"):
        assert attribute in first.split("; ")
    assert second.partition("; ")[2].split("; ") == ["HttpOnly", "Path=/", "SameSite=Lax"]
    assert parse_cookies(second.partition("; ")[0]) == {"plain": "x y,z"}
    assert "Max-Age=0" in third.split("; ")


async def test_what_no_response_can_have(serving):
    server = Server()
    wrong = []

    @server.route("/")
    async def handler(ctx):
        for call in (
            lambda: ctx.set_cookie("a b", "x"),
            lambda: ctx.set_cookie("a", "x", path="/;evil"),
            lambda: ctx.set_cookie("a", "x", domain="x\r\ny: z"),
            lambda: ctx.set_cookie("a", "x", same_site="Sometimes"),
            lambda: ctx.redirect("/x\r\ny: z"),
            lambda: ctx.redirect("/\u20ac"),
            lambda: ctx.json({1, 2}.__iter__()),
            lambda: ctx.text("x", status=99),
            lambda: ctx.text("\ud800"),
        ):
            with pytest.raises(UsageError):
                call()
            wrong.append(call)
        await ctx.text("good")

    async with serving(server) as running:
        assert (await soon(running.exchange(get("/", "Connection: close")))).endswith(b"\r\n\r\ngood")
    assert len(wrong) == 9


# --------------------------------------------------------------------------------------- compression


async def test_text_is_compressed_for_clients_that_take_it(serving):
    async with serving(make_server(gzip=True)) as running, await client_of(running) as client:
        answer = await client.get("/long", headers={"accept-encoding": "gzip"})
        assert (answer.headers["content-encoding"], answer.text) == ("gzip", LONG)
        assert int(answer.headers["content-length"]) < len(LONG) / 10
        assert (answer.headers["vary"], answer.headers["etag"]) == ("accept-encoding", 'W/"1"')
        assert gzip.decompress(await raw_body(running, "/long")).decode() == LONG
        answer = await client.get("/long", headers={"accept-encoding": "br, gzip;q=0"})
        assert "content-encoding" not in answer.headers
        assert (answer.headers["vary"], answer.headers["etag"]) == ("accept-encoding", '"1"')
        assert answer.text == LONG
        for path in ("/text", "/image"):    # too short, and of a kind that is compressed already
            answer = await client.get(path)
            assert "content-encoding" not in answer.headers
            assert "vary" not in answer.headers


async def raw_body(running, path):
    answer = await soon(running.exchange(get(path, "Accept-Encoding: gzip", "Connection: close")))
    return answer.partition(b"\r\n\r\n")[2]


async def test_nothing_is_compressed_unasked(serving):
    async with serving(make_server()) as running:
        assert (await raw_body(running, "/long")).decode() == LONG


@pytest.mark.parametrize(
    ("header", "accepted"),
    [
        ("gzip", True), ("GZIP", True), ("br, gzip", True), ("gzip;q=0.5", True), ("gzip ; q=0.5", True),
        ("*", True), ("x-gzip", True), ("deflate, *;q=0.1", True),
        ("", False), ("identity", False), ("gzip;q=0", False), ("gzip;q=0.000", False), ("*;q=0", False),
        ("gzip;q=0, *", False), ("gzip;q=nonsense", False), ("agzip", False), ("gzip;q=2", False),
    ],
)  # fmt: skip
def test_accept_encoding(header, accepted):
    assert accepts_gzip(header) is accepted


@pytest.mark.parametrize(
    "make",
    [lambda: Gzip(level=0), lambda: Gzip(level=10), lambda: Gzip(threshold=-1), lambda: Server(gzip=3)],
)
def test_settings_that_make_no_sense(make):
    with pytest.raises(ConfigurationError):
        make()


async def test_each_kind_of_request_on_one_connection(serving):
    """All methods in a row, as far as a client reuses its connection."""
    server = Server()
    clients = set()

    @server.route("/")
    async def handler(ctx):
        clients.add(ctx.client)
        await ctx.text(ctx.method)

    async with serving(server) as running, await client_of(running) as client:
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD", "GET"):
            answer = await client.request(method, "/")
            assert answer.text == ("" if method == "HEAD" else method)
    assert len(clients) == 1
    await asyncio.sleep(0)
