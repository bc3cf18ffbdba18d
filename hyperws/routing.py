"""Which handler serves which path.

Patterns are cut at their slashes and kept as a tree, one level per segment. At each level a literal segment
is tried first, then `{name}`, then `{name:regex}`, then a last `{name:path}` that takes all that is left.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from hyperws.errors import BadRequest, RouteError
from hyperws.response import TOKEN

if TYPE_CHECKING:
    from hyperws.context import Context

Handler = Callable[["Context"], Coroutine[Any, Any, None]]
MessageCallback = Callable[["Context", Any], Any]


@dataclass(slots=True)
class Route:
    """What is served at one pattern."""

    pattern: str
    names: tuple[str, ...]
    methods: dict[str, Handler] = field(default_factory=dict)
    """HTTP handlers by method; "*" serves every method that has none of its own."""
    websocket: Handler | None = None
    on_message: MessageCallback | None = None

    def checked(self, pattern: str, names: tuple[str, ...]) -> Route:
        """This route, for a pattern that leads to it. Raises RouteError where its names are others."""
        if names != self.names:
            raise RouteError(f"{pattern!r} is the same path as {self.pattern!r}: use the same names in both")
        return self

    @property
    def serves_websocket(self) -> bool:
        return self.websocket is not None or self.on_message is not None

    def handler_for(self, method: str) -> Handler | None:
        """The HTTP handler for a method. GET answers HEAD too (RFC 9110, section 9.3.2)."""
        found = self.methods.get(method) or self.methods.get("*")
        if found is None and method == "HEAD":
            found = self.methods.get("GET")
        return found


class Node:
    """One level of the tree."""

    __slots__ = ("dynamic", "literals", "regexes", "rest", "route")

    def __init__(self) -> None:
        self.literals: dict[str, Node] = {}
        self.dynamic: Node | None = None
        self.regexes: dict[str, tuple[re.Pattern[str], Node]] = {}
        self.rest: Route | None = None
        self.route: Route | None = None

    def find(self, segments: list[str], at: int, values: list[str]) -> Route | None:
        """The route for `segments[at:]`. `values` gets what stands for its names.

        Every node is looked at once at most, whatever the path.
        """
        if at == len(segments):
            return self.route
        segment = segments[at]
        if (child := self.literals.get(segment)) and (route := child.find(segments, at + 1, values)):
            return route
        if segment:
            candidates = [self.dynamic] if self.dynamic else []
            candidates += [node for regex, node in self.regexes.values() if regex.fullmatch(segment)]
            for child in candidates:
                values.append(segment)
                if route := child.find(segments, at + 1, values):
                    return route
                values.pop()
        if self.rest:
            values.append("/".join(segments[at:]))
            return self.rest
        return None


class Router:
    """All routes of a server."""

    def __init__(self) -> None:
        self._root = Node()
        self._literal: dict[str, Route] = {}

    def add(self, pattern: str, handler: Handler, methods: list[str] | None, websocket: bool | None) -> None:
        """Let `handler` serve a pattern: the WebSocket, the HTTP methods, or both. Raises RouteError."""
        if not is_async(handler) or not takes(handler, 1):
            raise RouteError(f"{pattern!r}: a handler takes one argument: write 'async def handler(ctx)'")
        if websocket not in (None, True, False):
            raise RouteError(f"{pattern!r}: websocket takes True, False or None, not {websocket!r}")
        if methods is not None and not (
            isinstance(methods, (list, tuple, set)) and methods and all(map(is_token, methods))
        ):
            raise RouteError(f"{pattern!r}: methods takes a list of names, as in ['GET', 'POST']")
        route = self.route_at(pattern)
        for_websocket = websocket if websocket is not None else methods is None
        for_methods = [method.upper() for method in methods or ([] if websocket is True else ["*"])]
        if "CONNECT" in for_methods:
            raise RouteError(f"{pattern!r}: CONNECT is for proxies, and refused before routing: leave it out")
        if for_websocket and route.serves_websocket:
            raise RouteError(f"{pattern!r} has a WebSocket handler already")
        for method in for_methods:
            if method in route.methods:
                raise RouteError(f"{pattern!r} has a handler for {method} already")
        if for_websocket:
            route.websocket = handler
        route.methods.update(dict.fromkeys(for_methods, handler))

    def add_callback(self, pattern: str, on_message: MessageCallback) -> None:
        """Let `on_message` serve the WebSocket at a pattern. Raises RouteError."""
        if not callable(on_message) or is_async(on_message) or not takes(on_message, 2):
            raise RouteError(f"{pattern!r}: on_message is plain: write 'def on_message(ctx, message)'")
        route = self.route_at(pattern)
        if route.serves_websocket:
            raise RouteError(f"{pattern!r} has a WebSocket handler already")
        route.on_message = on_message

    def route_at(self, pattern: str) -> Route:
        """The route of a pattern, new if there is none yet. Raises RouteError for a bad pattern."""
        segments = parse_pattern(pattern)
        names = tuple(segment[0] for segment in segments if isinstance(segment, tuple))
        node = self._root
        for segment in segments:
            if isinstance(segment, str):
                node = node.literals.setdefault(segment, Node())
                continue
            _, kind = segment
            if kind == "path":
                if node.rest is None:
                    node.rest = Route(pattern, names)
                return node.rest.checked(pattern, names)
            if kind is None:
                node.dynamic = node.dynamic or Node()
                node = node.dynamic
            else:
                node = node.regexes.setdefault(kind, (re.compile(kind), Node()))[1]
        if node.route is None:
            node.route = Route(pattern, names)
            if not names:
                self._literal[pattern] = node.route
        return node.route.checked(pattern, names)

    def find(self, path: str) -> tuple[Route | None, dict[str, str]]:
        """The route for a request's path and the values of its names. Raises BadRequest for a bad escape."""
        if route := self._literal.get(path):
            return route, {}
        try:
            segments = [unquote(segment, errors="strict") for segment in path.split("/")[1:]]
        except UnicodeDecodeError:
            raise BadRequest(400, "the path has a percent escape that is not UTF-8") from None
        values: list[str] = []
        route = self._root.find(segments, 0, values)
        return route, dict(zip(route.names, values, strict=True)) if route else {}


SEGMENT = re.compile(r"\{([^{}:]*)(?::(.*))?\}")


def parse_pattern(pattern: str) -> list[str | tuple[str, str | None]]:
    """The segments of a pattern: a str for a literal one, (name, None, "path" or a regex) for another."""
    if not isinstance(pattern, str) or not pattern.startswith("/"):
        raise RouteError(f"the route {pattern!r} must start with '/'")
    if "?" in pattern.partition("{")[0] or "#" in pattern.partition("{")[0]:
        raise RouteError(f"{pattern!r}: a route is a path alone: the query is in ctx.query")
    segments: list[str | tuple[str, str | None]] = []
    for text in split_segments(pattern):
        if segments and isinstance(segments[-1], tuple) and segments[-1][1] == "path":
            raise RouteError(
                f"{pattern!r}: a part of kind 'path' takes all that is left, so it must be the last"
            )
        if "{" not in text and "}" not in text:
            if text[:1] in (":", "<"):
                raise RouteError(f"{pattern!r}: a name is written in braces, as in '/users/{{id}}'")
            segments.append(text)
            continue
        match = SEGMENT.fullmatch(text)
        if not match:
            raise RouteError(f"{pattern!r}: braces must enclose a whole part, as in '/users/{{id}}'")
        name, kind = match.groups()
        if not name.isidentifier():
            raise RouteError(f"{pattern!r}: {name!r} is no name: use letters, digits and underscores")
        if kind is not None:
            if kind in ("int", "str", "float", "uuid"):
                raise RouteError(f"{pattern!r}: {kind!r} is no kind: write a regex, as in '{{id:[0-9]+}}'")
            try:
                re.compile(kind)
            except re.error as error:
                raise RouteError(f"{pattern!r}: {kind!r} is no regular expression: {error}") from None
            if not kind:
                raise RouteError(f"{pattern!r}: the expression after {name!r} is empty: write '{{{name}}}'")
        segments.append((name, kind))
    names = [segment[0] for segment in segments if isinstance(segment, tuple)]
    if len(set(names)) < len(names):
        raise RouteError(f"{pattern!r} uses a name twice: give each part a name of its own")
    return segments


def split_segments(pattern: str) -> list[str]:
    """Cut a pattern at the slashes outside of braces; a regex may have braces and slashes of its own."""
    segments = [""]
    depth = 0
    for character in pattern[1:]:
        depth += (character == "{") - (character == "}")
        if character == "/" and depth == 0:
            segments.append("")
        else:
            segments[-1] += character
    if depth:
        raise RouteError(f"{pattern!r} has a brace without its partner")
    return segments


def is_async(function: object) -> bool:
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
        getattr(function, "__call__", None)  # noqa: B004
    )


def takes(function: Callable[..., object], count: int) -> bool:
    """Whether a function can be called with so many arguments, as far as Python can tell."""
    try:
        signature = inspect.signature(function)
    except ValueError:  # some compiled functions don't say
        return True
    try:
        signature.bind(*range(count))
    except TypeError:
        return False
    return True


def is_token(name: object) -> bool:
    return isinstance(name, str) and TOKEN.fullmatch(name) is not None
