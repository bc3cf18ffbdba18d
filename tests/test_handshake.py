"""The upgrade from HTTP to WebSocket: what is let in, and what is told to the rest."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.exceptions import InvalidHeader
from websockets.headers import parse_extension, parse_subprotocol

from hyperws import BadRequest, ConfigurationError, Server
from hyperws.handshake import parse_extensions, parse_subprotocols
from hyperws.origins import checked_origins, origin_allowed

from .core.oracle_websocket import TEXT, write
from .core.pieces import examples

HEADERS = {
    "Host": "example.com",
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version": "13",
}


def handshake(method="GET", version="HTTP/1.1", path="/", body=b"", **changes):
    """A handshake's bytes; underscores stand for hyphens, None leaves a header out."""
    headers = HEADERS | {name.replace("_", "-"): value for name, value in changes.items()}
    lines = [f"{name}: {value}" for name, value in headers.items() if value is not None]
    return "\r\n".join([f"{method} {path} {version}", *lines, "", ""]).encode() + body


async def quiet(ctx):
    pass


def server(**options):
    return Server(**options).route("/", quiet).route("/page", quiet, websocket=False)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"Connection": "keep-alive, Upgrade"},
        {"Connection": "UPGRADE,foo"},
        {"Upgrade": "WebSocket"},
        {"Upgrade": "h2c, websocket"},
        {"Origin": "http://example.com"},
        {"Origin": "https://EXAMPLE.com:443", "Host": "example.com"},
        {"Origin": "http://example.com:8080", "Host": "Example.com:8080"},
    ],
)
async def test_good_handshakes(serving, changes):
    async with serving(server()) as running:
        reader, writer = await running.raw(handshake(**changes))
        answer = (await reader.readuntil(b"\r\n\r\n")).decode()
        writer.close()
    assert answer == (
        "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\n"
        "sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"    # RFC 6455, section 1.3
    )


@pytest.mark.parametrize(
    ("request_bytes", "status", "told"),
    [
        (handshake(method="POST"), 400, "GET"),
        (handshake(version="HTTP/1.0"), 400, "HTTP/1.1"),
        (handshake(Connection="keep-alive"), 400, "Connection: Upgrade"),
        (handshake(Connection=None), 400, "Connection: Upgrade"),
        (handshake(Sec_WebSocket_Version="8"), 426, "version 13"),
        (handshake(Sec_WebSocket_Version=None), 400, "Sec-WebSocket-Version: 13"),
        (handshake(Sec_WebSocket_Key=None), 400, "16 bytes"),
        (handshake(Sec_WebSocket_Key="dGhlIHNhbXBsZSBub25j"), 400, "16 bytes"),
        (handshake(Sec_WebSocket_Key="dGhlIHNhbXBsZSBub25jZQ="), 400, "16 bytes"),
        (handshake(Sec_WebSocket_Key="!!!!IHNhbXBsZSBub25jZQ=="), 400, "16 bytes"),
        (handshake(Content_Length="5", body=b"GET /"), 400, "no body"),
        (handshake(Transfer_Encoding="chunked", body=b"0\r\n\r\n"), 400, "no body"),
        (handshake(Origin="http://evil.example"), 403, "allowed_origins"),
        (handshake(Origin="null"), 403, "allowed_origins"),
        (handshake(Origin="http://example.com.evil.example"), 403, "allowed_origins"),
        (handshake(Origin="http://127.0.0.1"), 403, "allowed_origins"),
        (handshake(Origin="http://example.com:8080"), 403, "allowed_origins"),
    ],
)
async def test_bad_handshakes_are_told_and_closed(serving, request_bytes, status, told):
    async with serving(server()) as running:
        answer = (await running.exchange(request_bytes + handshake(path="/page", Upgrade=None))).decode()
    assert answer.startswith(f"HTTP/1.1 {status} ")
    assert told in answer.partition("\r\n\r\n")[2]
    assert ("\r\nsec-websocket-version: 13\r\n" in answer) == (status == 426)
    assert answer.count("\r\ndate: ") == 1      # nothing behind it was taken for a request


@pytest.mark.parametrize(
    ("supported", "offered", "chosen"),
    [
        ([], None, None),
        ([], "chat.v1", None),
        (["chat.v2", "chat.v1"], None, None),
        (["chat.v2", "chat.v1"], "chat.v1", "chat.v1"),
        (["chat.v2", "chat.v1"], "chat.v1, chat.v2", "chat.v2"),    # the server's preference
        (["chat.v2", "chat.v1"], " chat.v0 ,,\tchat.v1", "chat.v1"),
        (["chat.v2", "chat.v1"], "a\r\nSec-WebSocket-Protocol: chat.v1", "chat.v1"),
        (["chat.v2"], "CHAT.V2", None),
    ],
)
async def test_subprotocols(serving, supported, offered, chosen):
    async def handler(ctx):
        await ctx.send(str(ctx.subprotocol))

    async with serving(Server(subprotocols=supported).route("/", handler)) as running:
        reader, writer = await running.raw(handshake(Sec_WebSocket_Protocol=offered))
        head = await reader.readuntil(b"\r\n\r\n")
        assert await reader.readexactly(2 + len(str(chosen))) == write(TEXT, str(chosen).encode())
        writer.close()
    told = [line for line in head.decode().split("\r\n") if line.startswith("sec-websocket-protocol")]
    assert told == ([f"sec-websocket-protocol: {chosen}"] if chosen else [])


@pytest.mark.parametrize("offered", ["", ",", "a b", "a; b", "a, a", '"a"', "a,\xff", "a/b"])
async def test_malformed_subprotocols_are_refused(serving, offered):
    async with serving(server(subprotocols=["a"])) as running:
        answer = await running.exchange(handshake(Sec_WebSocket_Protocol=offered))
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"Sec-WebSocket-Protocol" in answer


def result(parse, value, refusal):
    try:
        return parse(value)
    except refusal:
        return "refused"


WORDS = ["a", "b2", ",", ";", "=", '"', "\\", " ", "\t", "/", "é", "\x7f"]


def agree_on_lists(value):
    value = value.strip(" \t")     # as the request's parser leaves it
    theirs = result(parse_extension, value, InvalidHeader)
    assert result(parse_extensions, value, BadRequest) == theirs
    theirs = result(parse_subprotocol, value, InvalidHeader)
    twice = theirs != "refused" and len(set(theirs)) < len(theirs)      # RFC 6455, section 4.1
    assert result(parse_subprotocols, value, BadRequest) == ("refused" if twice else theirs)


@examples(1000)
@given(st.lists(st.sampled_from(WORDS)).map("".join))
def test_lists_are_read_as_another_library_reads_them(value):
    agree_on_lists(value)


async def test_another_version_is_told_which_is_spoken(serving):
    async with serving(server()) as running:
        answer = await running.exchange(handshake(Sec_WebSocket_Version="8"))
    lines = answer.split(b"\r\n")
    for line in (b"sec-websocket-version: 13", b"upgrade: websocket", b"connection: upgrade, close"):
        assert line in lines


async def test_a_plain_page_is_served_to_one_who_asks_for_more(serving):
    async with serving(server()) as running:
        answer = await running.exchange(handshake(path="/page", Connection="Upgrade, close"))
    assert answer.startswith(b"HTTP/1.1 200 ")


async def test_frames_that_come_with_the_handshake_are_not_lost(serving):
    async def echo(ctx):
        await ctx.send(await ctx.receive())

    async with serving(Server().route("/", echo)) as running:
        for cut in (0, 10, len(handshake()) - 1):
            data = handshake() + b"\x82\x83\0\0\0\0abc"
            reader, writer = await running.raw(data[:cut])
            await writer.drain()
            writer.write(data[cut:])
            await reader.readuntil(b"\r\n\r\n")
            assert await reader.readexactly(5) == b"\x82\x03abc"
            writer.close()


@pytest.mark.parametrize(
    ("origin", "host", "allowed", "let_in"),
    [
        (None, "a", None, True),
        ("http://a", "a", None, True),
        ("http://a", "b", None, False),
        ("http://a", None, None, False),
        ("http://[::1]:8000", "[::1]:8000", None, True),
        ("http://a:99999", "a:99999", None, False),
        ("file://", "", None, False),
        ("http://a/", "a", None, False),
        ("http://good.example", "other", ["http://good.example"], True),
        ("https://good.example", "other", ["http://good.example"], False),
        ("http://good.example.evil", "other", ["http://good.example"], False),
        ("null", "other", ["http://good.example"], False),
        ("null", "other", "*", True),
        ("http://other", "other", [], False),
    ],
)
def test_origins(origin, host, allowed, let_in):
    assert origin_allowed(origin, host, None if allowed is None else checked_origins(allowed)) == let_in


@pytest.mark.parametrize("origins", ["http://a", ["a"], ["http://a/path"], [5], ["ftp://a"]])
def test_origins_that_are_none_are_told(origins):
    with pytest.raises(ConfigurationError, match=r"allowed_origins|https://example.com"):
        Server().allowed_origins(origins)
