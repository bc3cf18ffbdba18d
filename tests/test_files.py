"""Files: what is told of one, what is sent of it, and what can't be had."""

import asyncio
import gzip
import os
import random
import socket
import tracemalloc
from contextlib import suppress
from email.utils import parsedate_to_datetime

import aiohttp
import pytest

from hyperws import ConfigurationError, ConnectionClosed, Limits, RouteError, Server, UsageError
from hyperws.files import content_type_of
from hyperws.folders import is_plain

from .core.peer import Peer

OVER_TLS = True

BIG = random.Random(1).randbytes(8 << 20)
LONG_AGO = 1_000_000_000    # 9 September 2001, 01:46:40 GMT
SECRET = b"nobody may read this"

needs_proc = pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="needs /proc")


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "root"
    files = {
        "a.txt": b"0123456789",
        "empty.css": b"",
        "page.html": b"<h1>a page</h1>",
        "big.bin": BIG,
        "with space & \u00e9.txt": b"named",
        "sub/index.html": b"<h1>a folder</h1>",
        "sub/deep/b.txt": b"deep",
        ".env": SECRET,
        ".git/config": SECRET,
        ".well-known/security.txt": b"Contact: us",
        "../outside.txt": SECRET,
        "../root-too/outside.txt": SECRET,
    }
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        os.utime(path, (LONG_AGO, LONG_AGO))
    return root


def request(path, *lines, method="GET", version="1.1"):
    return "\r\n".join([f"{method} {path} HTTP/{version}", "Host: a", *lines, "", ""]).encode()


async def ask(running, path, method="GET", **headers):
    """(status, headers, body) of one request; underscores in the names of `headers` stand for hyphens."""
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    headers.setdefault("accept-encoding", "identity")
    async with aiohttp.ClientSession(auto_decompress=False) as client:
        url = running.http(path)
        options = {"allow_redirects": False, "ssl": running.ssl or True}
        async with client.request(method, url, headers=headers, **options) as response:
            return response.status, response.headers, await response.read()


def open_in(folder):
    """The files of a folder that this process has open."""
    found = []
    for descriptor in os.listdir("/proc/self/fd"):
        with suppress(OSError):     # the one that lists them
            found.append(os.readlink(f"/proc/self/fd/{descriptor}"))
    return [path for path in found if path.startswith(str(folder))]


async def nothing_is_open_in(folder):
    async with asyncio.timeout(20):
        while open_in(folder):
            await asyncio.sleep(0)


async def descriptors_are(expected):
    async with asyncio.timeout(20):
        while len(os.listdir("/proc/self/fd")) != expected:
            await asyncio.sleep(0)


async def connections_are_over(server):
    async with asyncio.timeout(20):
        while server._driver.connections:
            await asyncio.sleep(0)


# --------------------------------------------------------------------------- what is told and sent


async def test_a_file_and_what_is_told_of_it(serving, folder):
    async with serving(Server().static("/assets", folder)) as running:
        status, headers, body = await ask(running, "/assets/a.txt")
        assert (status, body) == (200, b"0123456789")
        assert headers["content-type"] == "text/plain; charset=utf-8"
        assert headers["content-length"] == "10"
        assert headers["last-modified"] == "Sun, 09 Sep 2001 01:46:40 GMT"
        assert headers["accept-ranges"] == "bytes"
        assert headers["cache-control"] == "no-cache"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["etag"][0] == headers["etag"][-1] == '"'
        status, headers, body = await ask(running, "/assets/empty.css")
        assert (status, headers["content-length"], body) == (200, "0", b"")
        assert (await ask(running, "/assets/with%20space%20%26%20%C3%A9.txt"))[2] == b"named"
        assert (await ask(running, "/assets/.well-known/security.txt"))[2] == b"Contact: us"
        assert (await ask(running, "/assets/big.bin"))[2] == BIG


async def test_max_age(serving, folder):
    async with serving(Server().static("/", folder, max_age=3600)) as running:
        assert (await ask(running, "/a.txt"))[1]["cache-control"] == "public, max-age=3600"
        assert "cache-control" not in (await ask(running, "/b.txt"))[1]
        assert "cache-control" not in (await ask(running, "/a.txt", range="bytes=10-"))[1]


async def test_a_file_from_the_future_was_modified_now(serving, folder):
    os.utime(folder / "a.txt", (2 * LONG_AGO + 10**9,) * 2)
    async with serving(Server().static("/", folder)) as running:
        _, headers, _ = await ask(running, "/a.txt")
    assert parsedate_to_datetime(headers["last-modified"]) <= parsedate_to_datetime(headers["date"])


async def test_conditional_requests(serving, folder):
    async with serving(Server().static("/assets", folder)) as running:
        _, known, _ = await ask(running, "/assets/a.txt")
        for condition in ({"if_none_match": known["etag"]}, {"if_modified_since": known["last-modified"]}):
            for method in ("GET", "HEAD"):
                status, headers, body = await ask(running, "/assets/a.txt", method, **condition)
                assert (status, body) == (304, b"")
                assert headers["etag"] == known["etag"]
                assert headers["cache-control"] == "no-cache"
                assert not {"content-type", "content-length", "last-modified"} & {n.lower() for n in headers}
        status, headers, body = await ask(running, "/assets/a.txt", if_match='"other"')
        assert (status, headers["content-type"]) == (412, "text/plain; charset=utf-8")
        assert b"conditions" in body
        assert "etag" not in headers
        (folder / "a.txt").write_bytes(b"abcdefghij")
        status, headers, body = await ask(running, "/assets/a.txt", if_none_match=known["etag"])
        assert (status, body) == (200, b"abcdefghij")
        assert headers["etag"] != known["etag"]


async def test_ranges(serving, folder):
    async with serving(Server().static("/assets", folder)) as running:
        _, known, _ = await ask(running, "/assets/a.txt")
        for value, told, expected in (
            ("bytes=2-4", "bytes 2-4/10", b"234"),
            ("bytes=-3", "bytes 7-9/10", b"789"),
            ("bytes=5-", "bytes 5-9/10", b"56789"),
            ("bytes=0-99", "bytes 0-9/10", b"0123456789"),
        ):
            status, headers, body = await ask(running, "/assets/a.txt", range=value)
            assert (status, headers["content-range"], body) == (206, told, expected)
            assert headers["content-length"] == str(len(expected))
            assert headers["etag"] == known["etag"]
        for value in ("bytes=1-2, 4-5", "bytes=4-1", "pages=1-2", "bytes=x"):
            status, headers, body = await ask(running, "/assets/a.txt", range=value)
            assert (status, body) == (200, b"0123456789")
            assert "content-range" not in headers
        status, headers, body = await ask(running, "/assets/a.txt", range="bytes=10-")
        assert (status, headers["content-range"]) == (416, "bytes */10")
        assert body == b"The file ends before the range that is asked for.\n"
        for unless, expected in ((known["etag"], 206), (known["last-modified"], 206), ('"other"', 200)):
            status, _, _ = await ask(running, "/assets/a.txt", range="bytes=1-2", if_range=unless)
            assert status == expected
        status, headers, body = await ask(running, "/assets/big.bin", range=f"bytes=5000001-{len(BIG)}")
        assert body == BIG[5000001:]


async def test_head_and_other_methods(serving, folder):
    async with serving(Server().static("/assets", folder)) as running:
        _, known, _ = await ask(running, "/assets/big.bin")
        status, headers, body = await ask(running, "/assets/big.bin", "HEAD", range="bytes=0-0")
        assert (status, body) == (200, b"")
        assert headers["content-length"] == str(len(BIG))
        assert headers["etag"] == known["etag"]
        status, headers, _ = await ask(running, "/assets/a.txt", "POST")
        assert (status, headers["allow"]) == (405, "GET, HEAD")


async def test_folders(serving, folder):
    async with serving(Server().static("/assets/", folder)) as running:
        assert (await ask(running, "/assets/sub/"))[2] == b"<h1>a folder</h1>"
        for path, location in (
            ("/assets/sub", "./sub/"), ("/assets/sub?a=b&c", "./sub/?a=b&c"), ("/assets", "./assets/"),
        ):
            status, headers, _ = await ask(running, path)
            assert (status, headers["location"]) == (308, location)
        async with aiohttp.ClientSession() as client:
            url = running.http("/assets/sub?q")
            async with client.get(url, ssl=running.ssl or True) as response:
                assert await response.read() == b"<h1>a folder</h1>"
                assert response.url.path_qs == "/assets/sub/?q"
        for path in ("/assets/", "/assets/sub/deep/", "/assets/a.txt/", "/assets/sub/index.html/"):
            assert (await ask(running, path))[0] == 404
        (folder / "sub/deep/index.html").mkdir()
        assert (await ask(running, "/assets/sub/deep/"))[0] == 404


async def test_the_whole_site_may_be_a_folder(serving, folder):
    (folder / "index.html").write_bytes(b"home")
    server = Server().static("/", folder)

    @server.route("/sub/api")
    async def api(ctx):
        await ctx.send("an answer")

    async with serving(server) as running:
        assert (await ask(running, "/"))[2] == b"home"
        assert (await ask(running, "/sub/"))[2] == b"<h1>a folder</h1>"
        assert (await ask(running, "/sub/api"))[2] == b"an answer"
        assert (await ask(running, "/sub"))[1]["location"] == "./sub/"


async def test_what_is_compressed_already(serving, folder):
    plain, zipped = b"body {}" * 100, gzip.compress(b"body {}" * 100)
    (folder / "style.css").write_bytes(plain)
    (folder / "style.css.gz").write_bytes(zipped)
    async with serving(Server().static("/", folder)) as running:
        _, plain_headers, body = await ask(running, "/style.css")
        assert body == plain
        assert "content-encoding" not in plain_headers
        _, headers, body = await ask(running, "/style.css", accept_encoding="br, gzip")
        assert body == zipped
        assert headers["content-encoding"] == "gzip"
        assert headers["content-type"] == "text/css; charset=utf-8"
        assert headers["vary"] == plain_headers["vary"] == "accept-encoding"
        assert headers["etag"] != plain_headers["etag"]
        known = {"accept_encoding": "gzip", "if_none_match": headers["etag"]}
        status, told, _ = await ask(running, "/style.css", **known)
        assert (status, told["vary"]) == (304, "accept-encoding")
        assert (await ask(running, "/style.css", if_none_match=headers["etag"]))[0] == 200
        part = {"accept_encoding": "gzip", "range": "bytes=0-1"}
        assert (await ask(running, "/style.css", **part))[2] == zipped[:2]
        status, told, body = await ask(running, "/style.css", accept_encoding="gzip", range="bytes=9999-")
        assert status == 416
        assert "content-encoding" not in told
        _, headers, body = await ask(running, "/style.css.gz", accept_encoding="gzip")
        assert (headers["content-type"], body) == ("application/gzip", zipped)
        assert "content-encoding" not in headers
        os.utime(folder / "style.css.gz", (LONG_AGO, LONG_AGO))
        _, headers, body = await ask(running, "/style.css", accept_encoding="gzip")
        assert body == plain
        assert "vary" not in headers


@pytest.mark.parametrize(("name", "expected"), [
    ("a.html", "text/html; charset=utf-8"),
    ("a.CSS", "text/css; charset=utf-8"),
    ("a.js", "text/javascript; charset=utf-8"),
    ("a.json", "application/json"),
    ("a.svg", "image/svg+xml"),
    ("a.woff2", "font/woff2"),
    ("a.tar.gz", "application/gzip"),
    ("a.tar.bz2", "application/octet-stream"),
    ("a", "application/octet-stream"),
    ("a.unheard-of", "application/octet-stream"),
    ("data:text/html,a.png", "image/png"),
    ("dir.html/a", "application/octet-stream"),
])
def test_content_types(name, expected):
    assert content_type_of(name) == expected


# ----------------------------------------------------------------------------- what can't be had


@pytest.mark.parametrize("path", [
    "/assets/../outside.txt",
    "/assets/..%2foutside.txt",
    "/assets/%2e%2e/outside.txt",
    "/assets/%2e%2e%2foutside.txt",
    "/assets/sub/../../outside.txt",
    "/assets/..%5coutside.txt",
    "/assets/..\\outside.txt",
    "/assets/%2e./outside.txt",
    "/assets/../root-too/outside.txt",
    "/assets/sub/./index.html",
    "/assets/sub/../a.txt",
    "/assets//a.txt",
    "/assets//",
    "/assets/sub//index.html",
    "/assets/sub%2findex.html",
    "/assets//etc/passwd",
    "/assets/%2fetc/passwd",
    "/assets/C:/Windows/win.ini",
    "/assets/C:%5cWindows%5cwin.ini",
    "/assets/a.txt%00",
    "/assets/a.txt%00.html",
    "/assets/%00",
    "/assets/.env",
    "/assets/%2eenv",
    "/assets/.git/config",
    "/assets/..",
    "/assets/.",
    "/assets/...",
    "/assets/sub/%2e%2e",
    "/assets/sub/..;/outside.txt",
    "/assets/%252e%252e/outside.txt",
    "/assets/missing",
    "/assets/a.txt/b",
    "/assets/" + "a" * 5000,
    "/assets/" + "a/" * 3000,
    "/assets/out",
    "/assets/out/",
    "/assets/out/outside.txt",
    "/assets/link.txt",
    "/assets/beside/outside.txt",
    "/assets/dangling",
    "/assets/loop",
    "/assets/pipe",
    "/assets%2fa.txt",
])  # fmt: skip
@pytest.mark.plain
async def test_what_can_not_be_had(serving, folder, path):
    (folder / "out").symlink_to(folder.parent)
    (folder / "link.txt").symlink_to(folder.parent / "outside.txt")
    (folder / "beside").symlink_to(folder.parent / "root-too")
    (folder / "dangling").symlink_to("nowhere")
    (folder / "loop").symlink_to("loop")
    os.mkfifo(folder / "pipe")
    async with serving(Server().static("/assets", folder)) as running:
        reader, writer = await running.raw(request(path) + request("/assets/a.txt", "Connection: close"))
        answer = await asyncio.wait_for(reader.read(), 20)
        writer.close()
    assert answer.startswith(b"HTTP/1.1 404 ")
    assert answer.endswith(b"0123456789")
    assert SECRET not in answer
    assert str(folder).encode() not in answer


@pytest.mark.plain
async def test_a_name_that_is_not_utf8(serving, folder):
    async with serving(Server().static("/assets", folder)) as running:
        answer = await running.exchange(request("/assets/%ff%c0%ae"))
    assert answer.startswith(b"HTTP/1.1 400 ")


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="needs files that may not be read")
async def test_a_file_that_may_not_be_read(serving, folder):
    (folder / "a.txt").chmod(0)
    async with serving(Server().static("/assets", folder)) as running:
        assert (await ask(running, "/assets/a.txt"))[0] == 404


async def test_links_within_the_folder(serving, folder):
    (folder / "short").symlink_to("sub/deep")
    (folder / "alias.html").symlink_to("a.txt")
    async with serving(Server().static("/assets", folder)) as running:
        assert (await ask(running, "/assets/short/b.txt"))[2] == b"deep"
        _, headers, body = await ask(running, "/assets/alias.html")
        assert (headers["content-type"], body) == ("text/html; charset=utf-8", b"0123456789")


@pytest.mark.parametrize("name", [
    "C:", "c:\\x", "a.txt:stream", "a.txt::$DATA", "CON", "nul.txt", "com1", "LPT9.css", "Aux .js",
    "COM\u00b9", "conin$", "a.", "a ", "a...", "PROGRA~1", "a?", "*", "a|b", 'a"b', "a<b", "\x01",
])  # fmt: skip
def test_names_that_are_something_else_on_windows(name):
    assert not is_plain(name, on_windows=True)


@pytest.mark.parametrize("name", ["", ".", "..", ".env", "a/b", "a\\b", "a\0", "/"])
def test_names_that_are_never_plain(name):
    assert not is_plain(name, on_windows=True)
    assert not is_plain(name, on_windows=False)


@pytest.mark.parametrize("name", [
    "a", "a.b.c", "console.js", "nullable", "auxiliary.css", ".well-known", "a b", "\u00e9",
])  # fmt: skip
def test_plain_names(name):
    assert is_plain(name, on_windows=True)
    assert is_plain(name, on_windows=False)


def test_wrong_use_is_told_at_once(folder):
    with pytest.raises(ConfigurationError, match="is none: check the path"):
        Server().static("/assets", folder / "missing")
    with pytest.raises(ConfigurationError, match="is none: check the path"):
        Server().static("/assets", folder / "a.txt")
    for max_age in (-1, 1.5, True, "1"):
        with pytest.raises(ConfigurationError, match="max_age takes seconds"):
            Server().static("/assets", folder, max_age=max_age)
    for prefix in ("assets", "", "/{name}/assets", None):
        with pytest.raises(RouteError):
            Server().static(prefix, folder)
    with pytest.raises(RouteError, match="already"):
        Server().static("/assets", folder).static("/assets", folder)


# ----------------------------------------------------------------------------------- send_file


async def test_what_was_set_before_stays(serving, folder):
    server = Server()

    @server.route("/download")
    async def download(ctx):
        ctx.set_response_header("content-disposition", 'attachment; filename="a.txt"')
        ctx.set_response_header("Cache-Control", "private")
        ctx.set_response_header("ETag", '"v1"')
        await ctx.send_file(str(folder / "a.txt"), content_type="text/x-log")

    async with serving(server) as running:
        status, headers, body = await ask(running, "/download")
        assert (status, body) == (200, b"0123456789")
        assert headers["content-disposition"] == 'attachment; filename="a.txt"'
        assert headers["cache-control"] == "private"
        assert headers["content-type"] == "text/x-log"
        assert headers["etag"] == '"v1"'
        assert (await ask(running, "/download", if_none_match='"v1"'))[0] == 304
        assert (await ask(running, "/download", if_none_match='"v2"'))[0] == 200


async def test_a_status_that_was_set_is_no_matter_of_conditions(serving, folder):
    server = Server()

    @server.route("/{rest:path}")
    async def missing(ctx):
        await ctx.set_response_status_code(404).send_file(folder / "page.html")

    async with serving(server) as running:
        for headers in ({}, {"range": "bytes=0-1"}, {"if_none_match": "*"}, {"if_match": '"other"'}):
            status, told, body = await ask(running, "/nothing", **headers)
            assert (status, body) == (404, b"<h1>a page</h1>")
            assert told["content-type"] == "text/html; charset=utf-8"


async def test_a_handler_hears_of_what_is_no_file(serving, folder):
    server = Server()
    told = []

    @server.route("/{name}")
    async def handler(ctx):
        for path in (folder / "missing", folder / "sub", folder / "pipe", folder / "a.txt" / "b"):
            try:
                await ctx.send_file(path)
            except OSError as error:
                told.append(type(error))
        for path in (None, 3, b"a.txt"):
            with pytest.raises(UsageError, match="takes a path"):
                await ctx.send_file(path)
        with pytest.raises(UsageError, match="line end"):
            await ctx.send_file(folder / "a.txt", content_type="text/plain\r\nx: y")
        await ctx.send_file(folder / "a.txt")
        with pytest.raises(UsageError, match="comes too late"):
            await ctx.send_file(folder / "a.txt")
        with pytest.raises(UsageError, match="complete"):
            await ctx.set_response_body("more").send_body()

    os.mkfifo(folder / "pipe")
    async with serving(server) as running:
        assert (await ask(running, "/x"))[2] == b"0123456789"
    assert told == [FileNotFoundError, IsADirectoryError, FileNotFoundError, NotADirectoryError]


async def test_a_websocket_is_no_place_for_it(serving, folder):
    server = Server()

    @server.route("/")
    async def handler(ctx):
        with pytest.raises(UsageError, match="for HTTP responses"):
            await ctx.send_file(folder / "a.txt")
        await ctx.send("told")

    async with serving(server) as running, aiohttp.ClientSession() as client:
        async with client.ws_connect(running.http("/"), ssl=running.ssl or True) as websocket:
            assert await websocket.receive_str() == "told"


# -------------------------------------------------------------------------------- the connection


@pytest.mark.plain
async def test_other_requests_behind_a_file(serving, folder):
    """They are answered in their order, whether the file is sent at once or its peer is slow."""
    server = Server().static("/assets", folder)

    @server.route("/hello")
    async def hello(ctx):
        await ctx.send("hello")

    @server.route("/carefree")
    async def carefree(ctx):
        ctx.send_file(folder / "big.bin")   # and not awaited

    requests = ["/assets/big.bin", "/hello", "/carefree", "/missing", "/assets/a.txt", "/carefree", "/hello"]
    async with serving(server) as running:
        peer = await Peer.connect(running.host, running.port)
        for _ in range(2):
            peer.write(b"".join(map(request, requests)))
            answers = [await peer.response() for _ in requests]
            assert [status for status, _ in answers] == [200, 200, 200, 404, 200, 200, 200]
            bodies = [body for status, body in answers if status == 200]
            assert bodies == [BIG, b"hello", BIG, b"0123456789", BIG, b"hello"]
        peer.close()


async def test_a_reader_that_takes_its_time(serving, folder):
    async with serving(Server().static("/assets", folder)) as running:
        reader, writer = await running.raw(request("/assets/big.bin") + request("/assets/a.txt"))
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 20)
        assert f"content-length: {len(BIG)}".encode() in head
        pieces = [await asyncio.wait_for(reader.readexactly(8192), 20) for _ in range(len(BIG) // 8192)]
        assert b"".join(pieces) == BIG
        await reader.readuntil(b"\r\n\r\n")
        assert await reader.readexactly(10) == b"0123456789"
        writer.close()


async def test_response_middleware_has_its_say(serving, folder):
    server = Server().static("/assets", folder)

    @server.response_middleware
    def mark(ctx):
        ctx.set_response_header("x-status", str(ctx.response.status))

    async with serving(server) as running:
        for path, condition, expected in (
            ("a.txt", {}, 200),
            ("a.txt", {"range": "bytes=1-2"}, 206),
            ("a.txt", {"if_none_match": "*"}, 304),
            ("a.txt", {"range": "bytes=10-"}, 416),
            ("missing", {}, 404),
            ("sub", {}, 308),
        ):
            status, headers, _ = await ask(running, f"/assets/{path}", **condition)
            assert (status, headers["x-status"]) == (expected, str(expected))


@needs_proc
async def test_a_file_is_closed_where_response_middleware_fails(serving, folder, caplog):
    server = Server().static("/assets", folder)

    @server.response_middleware
    def fail(ctx):
        raise RuntimeError("failed on purpose")

    async with serving(server) as running:
        assert (await ask(running, "/assets/big.bin"))[0] == 500
        assert not open_in(folder)
    assert "failed on purpose" in caplog.text
    caplog.clear()


async def test_the_access_log_counts_the_bytes_of_a_file(serving, folder, caplog):
    caplog.set_level("INFO", "hyperws.access")
    async with serving(Server().access_log(True).static("/assets", folder)) as running:
        await ask(running, "/assets/big.bin", range="bytes=100-1000099")
    (line,) = [record.getMessage() for record in caplog.records if record.name == "hyperws.access"]
    status, size = line.split('" ')[1].split()[:2]
    assert status == "206"
    assert 1_000_000 < int(size) < 1_001_000


@pytest.mark.parametrize("awaited", [True, False])
@pytest.mark.parametrize("how", ["asked to close", "HTTP/1.0", "end of input"])
@pytest.mark.plain
async def test_a_file_is_whole_before_the_connection_ends(serving, folder, how, awaited):
    server = Server()

    @server.route("/")
    async def handler(ctx):
        sending = ctx.send_file(folder / "big.bin")
        if awaited:
            await sending

    async with serving(server) as running:
        peer = await Peer.connect(running.host, running.port)
        lines = ["Connection: close"] if how == "asked to close" else []
        peer.write(request("/", *lines, version="1.0" if how == "HTTP/1.0" else "1.1"))
        if how == "end of input":
            peer.socket.shutdown(socket.SHUT_WR)
        assert b"200 OK" in await peer.read_head()
        assert await peer.take(len(BIG)) == BIG
        with pytest.raises(EOFError):
            await peer.take(1)
        peer.close()


@pytest.mark.plain
async def test_a_slow_peer_costs_no_memory(serving, folder):
    async with serving(Server().static("/assets", folder)) as running:
        peers = [await Peer.connect(running.host, running.port) for _ in range(3)]
        tracemalloc.start()
        try:
            for peer in peers:
                peer.write(request("/assets/big.bin"))
            for _ in range(20):
                for peer in peers:
                    await peer.read_some()
                    peer.came.clear()
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        for peer in peers:
            peer.vanish()
    # what the peers take at a time is among it
    assert peak < len(BIG) / 2


@needs_proc
@pytest.mark.parametrize("how", ["vanishes", "closes"])
@pytest.mark.plain
async def test_a_peer_that_leaves(serving, folder, how):
    server = Server().static("/assets", folder)
    ended = asyncio.Event()

    @server.route("/file")
    async def handler(ctx):
        try:
            await ctx.send_file(folder / "big.bin")
        except ConnectionClosed:
            ended.set()
            raise

    async with serving(server) as running:
        await ask(running, "/assets/a.txt")
        await connections_are_over(server)
        before = len(os.listdir("/proc/self/fd"))
        for path in ("/assets/big.bin", "/file"):
            peer = await Peer.connect(running.host, running.port)
            peer.write(request(path))
            await peer.take(100_000)
            assert len(os.listdir("/proc/self/fd")) == before + 3   # two sockets and the file
            peer.vanish() if how == "vanishes" else peer.close()
            await descriptors_are(before)
        await asyncio.wait_for(ended.wait(), 20)
        await connections_are_over(server)


@needs_proc
@pytest.mark.plain
async def test_every_file_is_closed_once_it_is_sent(serving, folder):
    (folder / "a.txt.gz").write_bytes(b"gz")
    server = Server().static("/assets", folder)
    async with serving(server) as running:
        peer = await Peer.connect(running.host, running.port)
        for lines in (
            [], ["Range: bytes=1-2"], ["Range: bytes=99-"], ["If-None-Match: *"], ['If-Match: "x"'],
            ["Accept-Encoding: gzip"],
        ):
            for path in ("a.txt", "empty.css", "big.bin", "missing", "sub"):
                peer.write(request(f"/assets/{path}", *lines))
                status, _ = await peer.response()
                assert status in (200, 206, 304, 308, 404, 412, 416)
        await nothing_is_open_in(folder)
        peer.close()


@needs_proc
@pytest.mark.plain
async def test_a_peer_that_takes_nothing_is_given_up(serving, folder):
    server = Server(limits=Limits(idle_timeout=0.2)).static("/assets", folder)
    async with serving(server) as running:
        peer = await Peer.connect(running.host, running.port)
        peer.write(request("/assets/big.bin"))
        await peer.take(1)
        await connections_are_over(server)
        peer.close()
        await nothing_is_open_in(folder)


@needs_proc
@pytest.mark.plain
async def test_a_handler_that_is_cancelled(serving, folder):
    server = Server()

    @server.route("/")
    async def handler(ctx):
        asyncio.current_task().cancel()
        await ctx.send_file(folder / "big.bin")

    async with serving(server) as running:
        peer = await Peer.connect(running.host, running.port)
        peer.write(request("/"))
        with pytest.raises((EOFError, ConnectionResetError)):
            await peer.take(len(BIG))
        peer.close()
        await nothing_is_open_in(folder)


@pytest.mark.plain
async def test_stop_waits_for_a_file(serving, folder):
    async with serving(Server().static("/assets", folder)) as running:
        peer = await Peer.connect(running.host, running.port)
        peer.write(request("/assets/big.bin"))
        await peer.read_head()
        stopping = asyncio.create_task(running.server.stop(grace=20))
        assert await peer.take(len(BIG)) == BIG
        peer.close()
        await asyncio.wait_for(stopping, 20)


@needs_proc
@pytest.mark.plain
async def test_stop_cuts_off_a_file_at_last(serving, folder):
    async with serving(Server().static("/assets", folder)) as running:
        peer = await Peer.connect(running.host, running.port)
        peer.write(request("/assets/big.bin"))
        await peer.read_head()
        assert len(open_in(folder)) == 1
        await running.server.stop(grace=0.1)
        assert not open_in(folder)
        with pytest.raises((EOFError, ConnectionResetError)):
            await peer.take(len(BIG))
        peer.close()


@needs_proc
@pytest.mark.plain
async def test_a_file_that_becomes_shorter(serving, folder, caplog):
    """Its length was promised: the peer must not take what comes for all of it."""
    async with serving(Server().static("/assets", folder)) as running:
        peer = await Peer.connect(running.host, running.port)
        peer.write(request("/assets/big.bin"))
        await peer.take(100_000)
        os.truncate(folder / "big.bin", 100_000)
        with pytest.raises((EOFError, ConnectionResetError)):
            await peer.take(len(BIG))
        peer.close()
    assert not open_in(folder)
    assert "became shorter while it was sent" in caplog.text
    caplog.clear()


@pytest.mark.plain
async def test_a_file_that_is_replaced_while_it_is_sent(serving, folder):
    async with serving(Server().static("/assets", folder)) as running:
        peer = await Peer.connect(running.host, running.port)
        peer.write(request("/assets/big.bin"))
        await peer.read_head()
        (folder / "new").write_bytes(b"new")
        os.replace(folder / "new", folder / "big.bin")
        assert await peer.take(len(BIG)) == BIG
        peer.write(request("/assets/big.bin"))
        assert await peer.response() == (200, b"new")
        peer.close()
