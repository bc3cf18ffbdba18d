"""Pages of other origins: what they are told, and what a cache may keep of it."""

import httpx
import pytest
from websockets.asyncio.client import connect

from hyperws import ConfigurationError, Cors, Server

from .stand_in import StandIn, passed_through

APP = "https://app.example"
EVIL = "https://evil.example"


def simple(cors, origin, **request):
    lines = [] if origin is None else [("Origin", origin)]
    return passed_through(cors, *lines, **request)


def preflight(cors, origin, method="PUT"):
    lines = [("Origin", origin), ("Access-Control-Request-Method", method)]
    return passed_through(cors, *lines, method="OPTIONS")


def test_a_page_that_is_let_in():
    context = simple(Cors([APP]), APP)
    assert not context.aborted
    assert context.response.headers == {"access-control-allow-origin": APP, "vary": "origin"}


def test_a_page_that_is_let_in_with_all_that_there_is():
    context = simple(Cors([APP], credentials=True, expose=["ETag", "X-Total"]), APP, method="DELETE")
    assert context.response.headers == {
        "access-control-allow-origin": APP,
        "access-control-allow-credentials": "true",
        "access-control-expose-headers": "ETag, X-Total",
        "vary": "origin",
    }


@pytest.mark.parametrize("origin", [EVIL, "null", f"{APP}/path", "app.example", "", "https://[", None])
def test_others_are_served_without_being_let_in(origin):
    """The answer differs by Origin all the same: a cache must not give it to the page that is let in."""
    context = simple(Cors([APP], credentials=True, expose=["ETag"]), origin)
    assert not context.aborted
    assert context.response.status == 200
    assert context.response.headers == {"vary": "origin"}


@pytest.mark.parametrize(
    ("origin", "let_in"),
    [
        ("http://localhost:3000", True),
        ("HTTP://LOCALHOST:3000", True),
        ("http://localhost", False),
        ("http://localhost:3001", False),
        ("https://localhost:3000", False),
        ("http://app.localhost:3000", False),
        ("http://localhost.evil:3000", False),
        ("https://other.example", True),
        ("https://other.example:443", True),
        ("https://other.example:80", False),
    ],
)
def test_origins_are_compared_by_scheme_host_and_port(origin, let_in):
    headers = simple(Cors(["http://localhost:3000", "https://other.example"]), origin).response.headers
    assert headers.get("access-control-allow-origin") == (origin if let_in else None)


@pytest.mark.parametrize("origin", [EVIL, "null", None])
def test_every_page_is_let_in_by_the_same_answer(origin):
    """One that does not depend on the origin, so a cache may give it to all."""
    assert simple(Cors("*"), origin).response.headers == {"access-control-allow-origin": "*"}


@pytest.mark.parametrize(
    ("present", "vary"),
    [
        ("accept-encoding", "accept-encoding, origin"),
        ("Origin, Accept", "Origin, Accept"),
        ("*", "*"),
    ],
)
def test_a_vary_that_is_there_is_kept(present, vary):
    context = StandIn(("Origin", APP))
    context.set_response_header("Vary", present)
    Cors([APP])(context)
    assert context.response.headers["vary"] == vary


def test_a_preflight_is_answered():
    cors = Cors([APP], methods=["get", "PUT"], headers=["X-Token"], max_age=0, expose=["ETag"])
    context = preflight(cors, APP)
    assert context.aborted
    assert context.response.status == 204
    assert context.response.headers == {
        "access-control-allow-origin": APP,
        "access-control-allow-methods": "GET, PUT",
        "access-control-allow-headers": "X-Token",
        "access-control-max-age": "0",
        "vary": "origin",
    }


def test_a_preflight_with_credentials():
    headers = preflight(Cors([APP], credentials=True), APP).response.headers
    assert headers["access-control-allow-credentials"] == "true"
    assert headers["access-control-allow-origin"] == APP


def test_a_preflight_by_any_page():
    headers = preflight(Cors("*", headers=["*"]), EVIL).response.headers
    assert headers["access-control-allow-origin"] == headers["access-control-allow-headers"] == "*"


def test_by_default_a_page_may_send_json_and_a_token_by_every_common_method():
    headers = preflight(Cors([APP]), APP).response.headers
    assert headers["access-control-allow-methods"] == "DELETE, GET, HEAD, PATCH, POST, PUT"
    assert headers["access-control-allow-headers"] == "authorization, content-type"
    assert headers["access-control-max-age"] == "600"


def test_a_preflight_of_others_is_refused():
    context = preflight(Cors([APP]), EVIL)
    assert context.aborted
    assert context.response.status == 403
    assert context.response.headers == {"vary": "origin"}
    assert EVIL.encode() in context.response.body


@pytest.mark.parametrize("lines", [[("Origin", APP)], [("Access-Control-Request-Method", "PUT")], []])
def test_other_options_requests_are_the_handlers(lines):
    context = passed_through(Cors([APP]), *lines, method="OPTIONS")
    assert not context.aborted
    assert "access-control-allow-methods" not in context.response.headers


def test_a_preflight_is_an_options_request():
    lines = [("Origin", APP), ("Access-Control-Request-Method", "PUT")]
    assert not passed_through(Cors([APP]), *lines, method="GET").aborted


@pytest.mark.parametrize("origins", ["*", [APP]])
def test_handshakes_are_left_alone(origins):
    context = simple(Cors(origins), APP, wants_websocket=True)
    assert not context.aborted
    assert context.response.headers == {}


@pytest.mark.parametrize(
    ("origins", "options", "told"),
    [
        ("*", {"credentials": True}, "credentials"),
        ([APP], {"credentials": True, "headers": ["*"]}, "credentials"),
        ([APP], {"credentials": True, "methods": ["*"]}, "credentials"),
        ([APP], {"credentials": True, "expose": ["*"]}, "credentials"),
        (APP, {}, "Cors takes a list"),
        (["*"], {}, "https://example.com"),
        (["app.example"], {}, "https://example.com"),
        ([APP], {"methods": "GET"}, "methods"),
        ([APP], {"headers": ["a b"]}, "headers"),
        ([APP], {"expose": 5}, "expose"),
        ([APP], {"expose": ["a\r\nb"]}, "expose"),
        ([APP], {"max_age": -1}, "max_age"),
        ([APP], {"max_age": "600"}, "max_age"),
    ],
)
def test_what_makes_no_sense_is_told(origins, options, told):
    with pytest.raises(ConfigurationError, match=told):
        Cors(origins, **options)


# -------------------------------------------------------------------------------- on a server


def page_server(cors):
    server = Server()
    server.request_middleware(cors)

    @server.route("/page", methods=["GET", "PUT"])
    async def page(ctx):
        await ctx.send("served")

    @server.route("/socket", websocket=True)
    async def socket(ctx):
        await ctx.send("open")

    return server


async def test_pages_and_errors_of_a_server(serving):
    async with serving(page_server(Cors([APP]))) as running, httpx.AsyncClient() as client:
        for method, path, status in (("GET", "/page", 200), ("GET", "/none", 404), ("POST", "/page", 405)):
            answer = await client.request(method, running.http(path), headers={"Origin": APP})
            assert answer.status_code == status
            assert answer.headers["access-control-allow-origin"] == APP
            assert answer.headers["vary"] == "origin"
            answer = await client.request(method, running.http(path), headers={"Origin": EVIL})
            assert answer.status_code == status
            assert "access-control-allow-origin" not in answer.headers


async def test_preflights_of_a_server(serving):
    asked = {"Access-Control-Request-Method": "PUT"}
    async with serving(page_server(Cors([APP]))) as running, httpx.AsyncClient() as client:
        answer = await client.options(running.http("/page"), headers={"Origin": APP, **asked})
        assert (answer.status_code, answer.content) == (204, b"")
        assert "PUT" in answer.headers["access-control-allow-methods"]
        answer = await client.options(running.http("/page"), headers={"Origin": EVIL, **asked})
        assert answer.status_code == 403
        assert answer.text.count(".\n") == 1
        assert (await client.options(running.http("/page"))).status_code == 405


async def test_sockets_of_a_server(serving):
    server = page_server(Cors([APP])).allowed_origins([APP])
    async with serving(server) as running, connect(running.ws("/socket"), origin=APP) as websocket:
        assert await websocket.recv() == "open"
        assert "access-control-allow-origin" not in websocket.response.headers
