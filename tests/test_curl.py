"""What curl, a client that everyone has, gets from a server: over TCP, TLS and a Unix socket."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import subprocess

import pytest

from hyperws import Limits, Server

from .conftest import FOREIGN, Serving

CURL = shutil.which("curl")
OVER_TLS = True

pytestmark = [
    pytest.mark.skipif(CURL is None, reason="needs curl: apt-get install curl"),
    pytest.mark.skipif(os.name == "nt", reason="curl is tried on Unix"),
]


@pytest.fixture
def curl(authority, tmp_path):
    """`await curl(arguments…)` gives what curl wrote to stdout; `curl.told` is what it wrote to stderr."""
    authority.cert_pem.write_to_path(tmp_path / "authority.pem")

    async def curl(*arguments, stdin=b""):
        # without the user's settings; a server that lets it wait for ever fails the test
        command = [CURL, "--disable", "--noproxy", "*", "--silent", "--show-error", "--max-time", "20"]
        command += ["--cacert", str(tmp_path / "authority.pem"), *arguments]
        options = {"input": stdin, "capture_output": True, "env": FOREIGN}
        ended = await asyncio.to_thread(subprocess.run, command, **options)
        curl.told = ended.stderr.decode()
        assert ended.returncode == 0, curl.told
        return ended.stdout

    return curl


def make_server(**options):
    server = Server(**options)

    @server.route("/hello")
    async def hello(ctx):
        await ctx.text("hello")

    @server.route("/long")
    async def long(ctx):
        await ctx.text("a long text " * 10_000)

    @server.route("/stream")
    async def stream(ctx):
        for number in range(100):
            await ctx.set_response_body(f"{number},").send_body()

    @server.route("/whole")
    async def whole(ctx):
        await ctx.send(await ctx.get_request_body())

    @server.route("/echo")
    async def echo(ctx):
        async for piece in ctx.body():
            await ctx.set_response_body(piece).send_body()

    @server.route("/request")
    async def request(ctx):
        body = (await ctx.get_request_body()).decode()
        await ctx.json({"method": ctx.method, "headers": dict(ctx.headers), "body": body})

    @server.route("/form")
    async def form(ctx):
        form = await ctx.get_request_form()
        files = [[each.name, each.filename, len(each.data)] for each in form.files]
        await ctx.json({"fields": dict(form), "files": files})

    @server.route("/moved/{status}")
    async def moved(ctx):
        await ctx.redirect("../request", int(ctx.params["status"]))

    @server.route("/login")
    async def login(ctx):
        await ctx.set_cookie("session", "s3cret", secure=ctx.scheme == "https").redirect("/cookies", 303)

    @server.route("/cookies")
    async def cookies(ctx):
        await ctx.json(ctx.cookies)

    @server.route("/logout")
    async def logout(ctx):
        await ctx.delete_cookie("session").redirect("/cookies", 303)

    return server


STREAMED = "".join(f"{number}," for number in range(100)).encode()


def headers_of(answer):
    """The headers in what `--include` or `--head` write, of one response."""
    head, _, _ = answer.decode().partition("\r\n\r\n")
    _, *lines = head.split("\r\n")
    return {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}


async def test_get_and_head(serving, curl):
    async with serving(make_server()) as running:
        assert await curl(running.http("/hello")) == b"hello"
        assert await curl(running.http("/stream")) == STREAMED
        got = headers_of(await curl("--include", running.http("/hello")))
        answer = await curl("--head", running.http("/hello"))
        assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
        assert answer.endswith(b"\r\n\r\n")
        told = headers_of(answer)
        assert told.pop("date")
        assert got.pop("date")
        assert told == got
        assert told["content-length"] == "5"
        answer = await curl("--head", running.http("/stream"), running.http("/missing"))
        assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
        assert b"\r\n\r\nHTTP/1.1 404 Not Found\r\n" in answer


async def test_several_requests_on_one_connection(serving, curl):
    """After each kind of answer, curl finds the connection fit for the next request."""
    async with serving(make_server()) as running:
        report = ("--write-out", "|%{num_connects} %{response_code}|")
        urls = [running.http(path) for path in ("/hello", "/stream", "/missing", "/hello")]
        assert await curl(*report, *urls) == (
            b"hello|1 200|" + STREAMED + b"|0 200|There is nothing at /missing: check the path.\n|0 404|"
            b"hello|0 200|"
        )
        heads = await curl("--head", *report, *urls)
        assert re.findall(rb"\|(\d) \d+\|", heads) == [b"1", b"0", b"0", b"0"]
        posts = await curl("--data", "body", *report, *urls)
        assert re.findall(rb"\|(\d) \d+\|", posts) == [b"1", b"0", b"0", b"0"]
        close = await curl("--header", "Connection: close", *report, urls[0], urls[0])
        assert close == b"hello|1 200|" * 2


@pytest.mark.parametrize("path", ["/whole", "/echo"])
async def test_a_body_that_waits_for_100_continue(serving, curl, path):
    """curl would wait longer for it than it may take altogether."""
    body = b"x" * 500_000
    async with serving(make_server()) as running:
        answer = await curl(
            "--verbose", "--expect100-timeout", "1000", "--header", "Expect: 100-continue",
            "--data-binary", "@-", running.http(path), stdin=body,
        )  # fmt: skip
        assert answer == body
        assert curl.told.count("< HTTP/1.1 100 Continue") == 1


async def test_a_body_that_nobody_wants_is_not_sent(serving, curl):
    async with serving(make_server(limits=Limits(max_body_size=1000))) as running:
        for path, size, status in (("/missing", 900, 404), ("/hello", 900, 200), ("/whole", 2000, 413)):
            answer = await curl(
                "--expect100-timeout", "1000", "--header", "Expect: 100-continue", "--data-binary", "@-",
                "--write-out", "|%{size_upload} %{response_code}", running.http(path), stdin=b"x" * size,
            )  # fmt: skip
            assert answer.decode().rpartition("|")[2] == f"0 {status}"


async def test_uploads(serving, curl, tmp_path):
    body = b"y" * 700_000
    (tmp_path / "upload").write_bytes(body)
    async with serving(make_server()) as running:
        for path in ("/whole", "/echo"):
            # from stdin, the length is not known: in chunks
            put = await curl("--verbose", "--upload-file", "-", running.http(path), stdin=body)
            assert put == body
            assert "> Transfer-Encoding: chunked" in curl.told
            chunked = ("--header", "Transfer-Encoding: chunked", "--data-binary", "@-")
            assert await curl(*chunked, running.http(path), stdin=body) == body
            assert await curl("--upload-file", str(tmp_path / "upload"), running.http(path)) == body
        told = json.loads(await curl("--upload-file", "-", running.http("/request"), stdin=b""))
        assert (told["method"], told["body"]) == ("PUT", "")


async def test_forms(serving, curl, tmp_path):
    (tmp_path / "file").write_bytes(b"z" * 100_000)
    async with serving(make_server()) as running:
        told = await curl("--data-urlencode", "name=a & b", "--data", "x=1", running.http("/form"))
        assert json.loads(told) == {"fields": {"name": "a & b", "x": "1"}, "files": []}
        told = await curl("--form", "name=ada", "--form", f"file=@{tmp_path / 'file'}", running.http("/form"))
        assert json.loads(told) == {"fields": {"name": "ada"}, "files": [["file", "file", 100_000]]}


async def test_http_1_0(serving, curl):
    """No chunks, and the connection stays open only where that is asked for."""
    async with serving(make_server()) as running:
        report = ("--http1.0", "--write-out", "|%{num_connects}|")
        urls = [running.http("/hello"), running.http("/hello")]
        answer = await curl("--include", "--http1.0", running.http("/stream"))
        assert answer.endswith(b"\r\n\r\n" + STREAMED)
        assert "transfer-encoding" not in headers_of(answer)
        assert await curl(*report, *urls) == b"hello|1|" * 2
        assert await curl("--header", "Connection: keep-alive", *report, *urls) == b"hello|1|hello|0|"
        assert await curl("--http1.0", "--data", "a body", running.http("/whole")) == b"a body"


async def test_gzip(serving, curl):
    async with serving(make_server(gzip=True)) as running:
        url = running.http("/long")
        size = ("--write-out", "|%{size_download}")
        plain, _, whole = (await curl(*size, url)).rpartition(b"|")
        text, _, less = (await curl("--compressed", *size, url)).rpartition(b"|")
        assert text == plain == b"a long text " * 10_000
        assert int(less) < int(whole) == len(plain)
        told = headers_of(await curl("--compressed", "--head", url))
        assert (told["content-encoding"], told["content-length"]) == ("gzip", less.decode())
        assert told["vary"].lower() == "accept-encoding"


async def test_redirects(serving, curl):
    """303 makes a GET of every method, 307 and 308 keep it and its body."""
    async with serving(make_server()) as running:
        for status, method, body in (
            (301, "GET", ""), (302, "GET", ""), (303, "GET", ""), (307, "POST", "x=1"), (308, "POST", "x=1"),
        ):
            url = running.http(f"/moved/{status}")
            answer = await curl("--location", "--data", "x=1", "--write-out", "|%{url_effective}", url)
            told, _, last = answer.decode().rpartition("|")
            assert last == running.http("/request")
            assert json.loads(told)["method"] == method
            assert json.loads(told)["body"] == body


async def test_cookies(serving, curl, tmp_path):
    jar = ("--cookie", str(tmp_path / "jar"), "--cookie-jar", str(tmp_path / "jar"))
    async with serving(make_server()) as running:
        assert await curl("--location", *jar, running.http("/login")) == b'{"session":"s3cret"}'
        assert await curl(*jar, running.http("/cookies")) == b'{"session":"s3cret"}'
        kept = (tmp_path / "jar").read_text()
        assert "#HttpOnly_127.0.0.1" in kept
        assert ("\tTRUE\t0\tsession" in kept) == bool(running.ssl)      # to be sent over TLS alone
        assert await curl("--location", *jar, running.http("/logout")) == b"{}"
        assert await curl("--cookie", "a=1; b=two", running.http("/cookies")) == b'{"a":"1","b":"two"}'


async def test_files(serving, curl, tmp_path):
    """Ranges, a download that is resumed, and what curl has already."""
    content = os.urandom(500_000)
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "file").write_bytes(content)
    got, etag = tmp_path / "got", str(tmp_path / "etag")
    async with serving(Server().static("/", tmp_path / "site")) as running:
        url, status = running.http("/file"), ("--write-out", "%{response_code}")
        assert await curl(url) == content
        for asked, expected in (("2-4", content[2:5]), ("-3", content[-3:]), ("499990-", content[-10:])):
            answer = await curl("--range", asked, *status, url)
            assert answer == expected + b"206"
        assert (await curl("--range", "500000-", *status, url)).endswith(b"416")
        got.write_bytes(content[:123_456])
        assert await curl("--continue-at", "-", "--output", str(got), *status, url) == b"206"
        assert got.read_bytes() == content
        assert await curl("--etag-save", etag, "--output", str(got), *status, url) == b"200"
        assert await curl("--etag-compare", etag, *status, url) == b"304"
        assert await curl("--remote-time", "--output", str(got), *status, url) == b"200"
        assert await curl("--time-cond", str(got), *status, url) == b"304"


@pytest.mark.plain
async def test_unix_socket(tmp_path, curl):
    path = str(tmp_path / "socket")
    async with make_server(unix_socket=path):
        report = ("--write-out", "|%{num_connects}|")
        url = "http://localhost/hello"
        assert await curl("--unix-socket", path, *report, url, url) == b"hello|1|hello|0|"
        body = b"x" * 700_000
        for target in ("whole", "echo"):
            url = f"http://localhost/{target}"
            assert await curl("--unix-socket", path, "--upload-file", "-", url, stdin=body) == body


@pytest.mark.plain
async def test_https_is_negotiated(curl, certificate, monkeypatch):
    monkeypatch.delenv("HYPERWS_DRIVER", raising=False)     # TLS takes the portable driver
    async with make_server(port=0).tls(*certificate) as server:
        url = Serving(server, True).http("/hello")
        report = ("--write-out", "|%{ssl_verify_result} %{http_version} %{num_connects}|")
        answer = await curl("--verbose", *report, url, url)
        assert answer == b"hello|0 1.1 1|hello|0 1.1 0|"
        # curl offers h2 as well where it can; its words for it have changed
        assert re.search(r"ALPN[:,] server accepted (to use )?http/1\.1", curl.told)
        assert "SSL certificate verify ok" in curl.told
