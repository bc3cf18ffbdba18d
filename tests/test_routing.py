"""Patterns, their order, and what is told about bad ones."""

import pytest

from hyperws import BadRequest, RouteError, Server
from hyperws.routing import Router


def router(*patterns):
    made = Router()
    for pattern in patterns:
        made.route_at(pattern)
    return made


def found(made, path):
    route, params = made.find(path)
    return (route and route.pattern), params


@pytest.mark.parametrize(
    ("pattern", "path", "params"),
    [
        ("/", "/", {}),
        ("/a/b", "/a/b", {}),
        ("/chat/{room}", "/chat/blue", {"room": "blue"}),
        ("/{a}/{b}", "/1/2", {"a": "1", "b": "2"}),
        ("/users/{id:[0-9]+}", "/users/42", {"id": "42"}),
        ("/years/{year:[0-9]{4}}/x", "/years/2026/x", {"year": "2026"}),
        ("/files/{rest:path}", "/files/a/b/c.txt", {"rest": "a/b/c.txt"}),
        ("/files/{rest:path}", "/files/", {"rest": ""}),
        ("/chat/{room}", "/chat/caf%C3%A9%2Fbar", {"room": "café/bar"}),
        ("/café", "/caf%C3%A9", {}),
    ],
)
def test_path_matches(pattern, path, params):
    assert found(router(pattern), path) == (pattern, params)


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("/", "/a"),
        ("/a", "/a/"),
        ("/a", "/A"),
        ("/chat/{room}", "/chat/"),
        ("/chat/{room}", "/chat"),
        ("/chat/{room}", "/chat/a/b"),
        ("/users/{id:[0-9]+}", "/users/42x"),
        ("/users/{id:[0-9]+}", "/users/"),
        ("/files/{rest:path}", "/file"),
    ],
)
def test_path_does_not_match(pattern, path):
    assert found(router(pattern), path) == (None, {})


def test_static_wins_over_dynamic_over_regex_over_rest():
    made = router("/x/{rest:path}", "/x/{id:[0-9]+}", "/x/{name}/end", "/x/1")
    assert found(made, "/x/1") == ("/x/1", {})
    assert found(made, "/x/1/end") == ("/x/{name}/end", {"name": "1"})
    assert found(made, "/x/2") == ("/x/{id:[0-9]+}", {"id": "2"})
    assert found(made, "/x/two") == ("/x/{rest:path}", {"rest": "two"})
    made.route_at("/x/{name}")
    assert found(made, "/x/2") == ("/x/{name}", {"name": "2"})


def test_many_alternatives_are_tried_once_each():
    made = router("/" + "/".join([f"{{a{i}}}" for i in range(40)]), "/" + "/".join(["b"] * 39 + ["c"]))
    assert found(made, "/" + "/".join(["b"] * 39 + ["c", "d"])) == (None, {})


def test_escape_that_is_not_utf8_is_a_bad_request():
    with pytest.raises(BadRequest) as caught:
        router("/{a}").find("/%ff")
    assert caught.value.status == 400


async def handler(ctx):
    pass


@pytest.mark.parametrize(
    ("pattern", "told"),
    [
        ("", "must start with '/'"),
        ("a", "must start with '/'"),
        (None, "must start with '/'"),
        ("/{", "brace without its partner"),
        ("/a}", "brace"),
        ("/a{b}", "enclose a whole part"),
        ("/{a}{b}", "enclose a whole part"),
        ("/{}", "is no name"),
        ("/{1a}", "is no name"),
        ("/{a b}", "is no name"),
        ("/{a}/{a}", "a name twice"),
        ("/{a:[}", "no regular expression"),
        ("/{a:}", "is empty"),
        ("/{rest:path}/a", "must be the last"),
        ("/{id:int}", "write a regex"),
        ("/a?b=c", "a path alone"),
        ("/a#b", "a path alone"),
        ("/<id>", "in braces"),
        ("/:id", "in braces"),
    ],
)
def test_bad_pattern_is_told_at_once(pattern, told):
    with pytest.raises(RouteError, match=told):
        Server().route(pattern, handler)
    with pytest.raises(RouteError, match=told):
        Server().route(pattern)


@pytest.mark.parametrize(("again", "told"), [("/a/{x}", "already"), ("/a/{y}", "the same names")])
def test_duplicate_is_told_at_once(again, told):
    server = Server().route("/a/{x}", handler)
    with pytest.raises(RouteError, match=told):
        server.route(again, handler)


def test_a_route_for_tunnels_is_told_at_once():
    with pytest.raises(RouteError, match="CONNECT is for proxies"):
        Server().route("/a", handler, methods=["GET", "connect"])


def test_a_duplicate_changes_nothing():
    server = Server().route("/a", handler, methods=["GET"])
    with pytest.raises(RouteError, match="GET already"):
        server.route("/a", handler, methods=["POST", "GET"])
    server.route("/a", handler, methods=["POST"])


def test_one_path_may_have_a_handler_for_each_use():
    server = Server()
    server.route("/a", handler, websocket=True)
    server.route("/a", handler, methods=["GET"])
    server.route("/a", handler, methods=["POST"])
    with pytest.raises(RouteError, match="POST already"):
        server.route("/a", handler, methods=["post"])
    with pytest.raises(RouteError, match="WebSocket handler already"):
        server.route("/a", on_message=print)


def plain_function(ctx):
    pass


async def two_arguments(ctx, message):
    pass


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"handler": plain_function}, "async def"),
        ({"handler": "nothing"}, "async def"),
        ({"handler": handler, "methods": "GET"}, "a list of names"),
        ({"handler": handler, "methods": []}, "a list of names"),
        ({"handler": handler, "methods": [5]}, "a list of names"),
        ({"handler": handler, "methods": ["G T"]}, "a list of names"),
        ({"handler": handler, "websocket": "yes"}, "True, False or None"),
        ({"handler": two_arguments}, "takes one argument"),
        ({"on_message": plain_function}, "def on_message"),
        ({"handler": handler, "on_message": print}, "by itself"),
        ({"on_message": handler}, "def on_message"),
        ({"on_message": "nothing"}, "def on_message"),
    ],
)
def test_bad_handler_is_told_at_once(arguments, told):
    with pytest.raises(RouteError, match=told):
        Server().route("/", **arguments)


def test_a_decorator_without_a_path_is_told():
    with pytest.raises(RouteError, match=r"write @server.route\('/path'\)"):
        Server().route(handler)


def test_decorator_gives_the_function_back():
    server = Server()
    assert server.route("/a")(handler) is handler
