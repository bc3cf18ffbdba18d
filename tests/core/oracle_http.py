"""Request heads of HTTP/1.1, slowly, from RFC 9110 and RFC 9112 at their strictest.

A head may break several rules at once, and nothing says which of them a server is to name. So what is
refused is refused with a set of statuses, of which a server answers one.

Where the RFCs leave a choice, this is what hyperws chose: bytes of a target that ought to have been
percent-encoded are let through, all but "#"; CONNECT is refused, whatever its target; a host has no comma,
by which two of them may have been joined; a list of equal Content-Lengths is refused; no Content-Length has
more than 18 digits; and a WebSocket handshake in HTTP/1.0 is refused (RFC 6455, section 4.2) rather than
taken for a plain request (RFC 9110, section 7.8).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

TCHAR = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]"
REQUEST_LINE = re.compile(rb"(%b+) ([!-\"$-~]+) HTTP/([0-9])\.([0-9])" % TCHAR)
HEADER = re.compile(rb"(%b+):[ \t]*([\t\x20-\x7e\x80-\xff]*?)[ \t]*" % TCHAR)

# uri-host [ ":" port ] of RFC 3986, section 3.2
REG_NAME = r"(?:[A-Za-z0-9\-._~!$&'()*+;=]|%[0-9A-Fa-f]{2})*"
IP_LITERAL = r"\[(?:[0-9A-Fa-f:.]+|v[0-9A-Fa-f]+\.[A-Za-z0-9\-._~!$&'()*+,;=:]+)\]"
AUTHORITY = re.compile(rf"(?:{IP_LITERAL}|{REG_NAME})(?::[0-9]*)?")

KEY = re.compile(rb"[A-Za-z0-9+/]{22}==")


class Refused(Exception):
    """The request must be refused, with one of these statuses."""

    def __init__(self, *statuses):
        self.statuses = set(statuses)


@dataclass
class Head:
    method: str
    target: str
    path: str
    query: str
    headers: list
    host: str | None
    origin: str | None
    keep_alive: bool
    expects_continue: bool
    content_length: int
    wants_websocket: bool
    upgrade_refusals: set  # the statuses by which a handshake may be refused, empty where it must not


def parse(data, max_head_size, max_headers, max_body_size):
    """The Head that `data` starts with and its length, or None while it is not complete."""
    size = data.find(b"\r\n\r\n") + 4 if b"\r\n\r\n" in data else 0
    if data.startswith(b"\r\n"):
        size = 2
    wrong = set()
    if data and not re.match(TCHAR, data) and data[:1] != b"\r":
        wrong.add(400)
    if re.search(rb"(?<!\r)\n", data[:size] if size else data):
        wrong.add(400)
    if (size or len(data)) > max_head_size:
        wrong.add(431)
    if wrong:
        raise Refused(*wrong)
    if not size:
        return None

    line, *lines = data[:size].removesuffix(b"\r\n\r\n").split(b"\r\n")
    match = REQUEST_LINE.fullmatch(line)
    if not match:
        raise Refused(400)
    method, target, major, minor = (part.decode() for part in match.groups())
    if major != "1":
        raise Refused(505)
    if len(lines) > max_headers:
        wrong.add(431)
    matches = [HEADER.fullmatch(line) for line in lines]
    if None in matches:
        wrong.add(400)
    if wrong:
        raise Refused(*wrong)
    headers = [match.groups() for match in matches]
    return interpret(method, target, minor != "0", headers, max_body_size), size


def interpret(method, target, is_http11, headers, max_body_size):
    def values(name):
        return [value.decode("latin-1") for each, value in headers if each.lower() == name]

    def members(name):
        return [member.strip(" \t").lower() for value in values(name) for member in value.split(",")]

    def only(name):
        """The value of a header that may come once."""
        found = values(name)
        if len(found) > 1:
            wrong.add(400)
        return found[0] if found else None

    wrong = set()
    try:
        authority, path, query = read_target(method, target)
    except Refused as refused:
        wrong |= refused.statuses
        authority = path = query = None
    host = only(b"host")
    if (host is None and is_http11) or (host is not None and not AUTHORITY.fullmatch(host)):
        wrong.add(400)
    if authority is not None:
        host = authority    # RFC 9112, section 3.2.2

    length = only(b"content-length")
    content_length = 0
    if length is not None:
        if not re.fullmatch("[0-9]+", length):
            wrong.add(400)
        elif len(length) > 18 or int(length) > max_body_size:
            wrong.add(413)
        else:
            content_length = int(length)
    coding = only(b"transfer-encoding")
    if coding is not None:
        if length is not None or not is_http11:
            wrong.add(400)
        if coding.lower() != "chunked":
            wrong.add(501)
    if any(value.lower() != "100-continue" for value in values(b"expect")):
        wrong.add(417)
    origin = only(b"origin")
    key = only(b"sec-websocket-key")
    version = only(b"sec-websocket-version")
    if wrong:
        raise Refused(*wrong)

    refusals = set()
    if method != "GET" or not is_http11 or "upgrade" not in members(b"connection"):
        refusals.add(400)
    if content_length or coding is not None:
        refusals.add(400)
    if version != "13":
        refusals.add(400 if version is None else 426)
    if key is None or not KEY.fullmatch(key.encode("latin-1")):
        refusals.add(400)

    connection = members(b"connection")
    return Head(
        method, target, path, query, headers, host, origin,
        keep_alive="close" not in connection and (is_http11 or "keep-alive" in connection),
        expects_continue=is_http11 and bool(values(b"expect")),
        content_length=content_length,
        wants_websocket="websocket" in members(b"upgrade"),
        upgrade_refusals=refusals,
    )


def read_target(method, target):
    """(authority, path, query) of a target: origin-form, absolute-form, or the "*" of OPTIONS."""
    if method == "CONNECT":
        raise Refused(400)
    if target == "*":
        if method != "OPTIONS":
            raise Refused(400)
        return None, target, ""
    authority = None
    rest = target
    if not target.startswith("/"):
        match = re.fullmatch(r"(?:https?|wss?)://([^/?]*)(.*)", target, re.IGNORECASE)
        if not match:
            raise Refused(400)
        authority, rest = match.groups()
        if authority.startswith(":") or not authority or not AUTHORITY.fullmatch(authority):
            raise Refused(400)
    path, _, query = rest.partition("?")
    return authority, path or "/", query
