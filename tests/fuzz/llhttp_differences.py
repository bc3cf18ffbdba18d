"""All that hyperws and llhttp read differently, each with the rule that hyperws goes by.

Sections are those of RFC 9112 where no other is named. Bytes that only one of them takes for a request, and
that no row here tells of, are a finding.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from ..core.oracle_chunked import CHUNK_LINE, MOST_EXTRAS
from ..core.oracle_http import AUTHORITY, KEY, Refused, read_target

# ------------------------------------------------- what hyperws refuses and llhttp takes


@dataclass(frozen=True)
class Stricter:
    """Requests that llhttp reads, and that hyperws refuses with one of `statuses`.

    `applies(reading, limits)` tells by llhttp's own reading whether a request is one of them.
    """

    name: str
    rule: str
    statuses: tuple[int, ...]
    applies: Callable
    shown_by: str       # inputs in corpus/llhttp


def request_line(reading):
    return reading.data[: reading.head_size].lstrip(b"\r\n").partition(b"\r\n")[0]


def has_bad_target(reading, limits):
    if reading.method == b"CONNECT":
        return False
    try:
        read_target(reading.method.decode(), reading.target.decode())
    except Refused:
        return True
    return False


def has_bad_escape(reading, limits):
    try:
        unquote_to_bytes(reading.target.partition(b"?")[0]).decode()
    except UnicodeDecodeError:
        return True
    return False


def has_bad_host(reading, limits):
    hosts = reading.values(b"host")
    if not hosts:
        return reading.version == "1.1"
    return len(hosts) > 1 or not AUTHORITY.fullmatch(hosts[0].decode("latin-1"))


def has_other_coding(reading, limits):
    return [value.lower() for value in reading.values(b"transfer-encoding")] not in ([], [b"chunked"])


def comes_twice(reading, limits):
    names = (b"origin", b"sec-websocket-key", b"sec-websocket-version")
    return any(len(reading.values(name)) > 1 for name in names)


def has_too_long_a_body(reading, limits):
    lengths = [int(value) for value in reading.values(b"content-length")]
    return max([len(reading.body), *lengths]) > limits.max_body_size or any(
        len(value) > 18 for value in reading.values(b"content-length")
    )


def has_bad_extension(reading, limits):
    sizes = [line.replace(line.partition(b";")[0], b"1", 1) for line in reading.chunk_lines]
    return not all(CHUNK_LINE.fullmatch(line.removesuffix(b"\r\n") + b"\r\n") for line in sizes)


STRICTER = [
    Stricter(
        "a CR or an LF alone before the request line",
        "2.2: the empty lines that may stand there end in CRLF", (400,),
        lambda reading, limits: re.match(rb"(?:\r\n)*(?:\r(?!\n)|\n)", reading.data),
        shown_by="bare-LF-before-a-request bare-CR-before-a-request",
    ),
    Stricter(
        "more than one space between the parts of the request line", "3: it is a single one", (400,),
        lambda reading, limits: b"  " in request_line(reading),
        shown_by="two-spaces-before-the-target two-spaces-before-the-version",
    ),
    Stricter(
        "HTTP/0.9, by name or by no version at all, and HTTP/2.0",
        "2.3: a request line of HTTP/1.1 ends in HTTP/1.x", (400, 505),
        lambda reading, limits: reading.version in ("0.9", "2.0"),
        shown_by="no-version HTTP-0.9 HTTP-2.0",
    ),
    Stricter(
        "ICE or RTSP for HTTP", "2.3: its name is HTTP", (400,),
        lambda reading, limits: re.search(rb" (?:ICE|RTSP)/", request_line(reading)),
        shown_by="RTSP ICE",
    ),
    Stricter(
        "a fragment in the target", "RFC 9110, 7.1: none is sent", (400,),
        lambda reading, limits: b"#" in reading.target,
        shown_by="a-fragment",
    ),
    Stricter(
        "a target that is no path, URL (http, https, ws, wss) with a host and no user, or * of OPTIONS",
        "3.2: other servers may find another host in it", (400,), has_bad_target,
        shown_by="a-URL-of-FTP a-URL-with-a-user a-URL-without-a-host a-URL-of-two-hosts an-asterisk-of-GET",
    ),
    Stricter(
        "CONNECT", "RFC 9110, 9.3.6: what follows may be the inside of a tunnel", (400,),
        lambda reading, limits: reading.method == b"CONNECT",
        shown_by="connect connect-to-a-path",
    ),
    Stricter(
        "a path whose escapes are not UTF-8", "RFC 3986, 2.5: what it names is unknown", (400,),
        has_bad_escape,
        shown_by="an-escape-of-half-a-character",
    ),
    Stricter(
        "no Host in HTTP/1.1, a second one, or one that is not a host and a port",
        "3.2: the answer is 400", (400,), has_bad_host,
        shown_by="no-host two-hosts a-list-of-hosts a-host-with-a-path a-host-with-a-user",
    ),
    Stricter(
        "a second Origin, Sec-WebSocket-Key or Sec-WebSocket-Version",
        "RFC 9110, 5.3: they are no lists", (400,), comes_twice,
        shown_by="two-origins two-keys",
    ),
    Stricter(
        "Transfer-Encoding in HTTP/1.0", "6.1: such framing is faulty", (400,),
        lambda reading, limits: reading.version == "1.0" and reading.values(b"transfer-encoding"),
        shown_by="chunked-in-HTTP-1.0",
    ),
    Stricter(
        "a Transfer-Encoding that is anything but `chunked`, or a second one",
        "6.1: 501 where a coding is not understood", (400, 501), has_other_coding,
        shown_by="a-coding-before-chunked another-coding-in-another-header an-empty-member-before-chunked",
    ),
    Stricter(
        "an expectation other than 100-continue", "RFC 9110, 10.1.1: 417 where it can't be met", (417,),
        lambda reading, limits: any(value.lower() != b"100-continue" for value in reading.values(b"expect")),
        shown_by="another-expectation",
    ),
    Stricter(
        "a body above `max_body_size`, or a Content-Length of more than 18 digits",
        "RFC 9110, 8.6: there is no limit but the server's, and it must not overflow", (413,),
        has_too_long_a_body,
        shown_by="a-length-above-the-limit a-length-of-19-digits chunks-above-the-limit",
    ),
    Stricter(
        "a head above `max_head_size`, or more than `max_headers`", "RFC 6585, 5", (431,),
        lambda reading, limits: (
            reading.head_size > limits.max_head_size or len(reading.headers) > limits.max_headers
        ),
        shown_by="a-head-above-the-limit a-header-too-many",
    ),
    Stricter(
        "a chunk size of more than 15 digits, zeros counted", "7.1: it must not overflow", (400,),
        lambda reading, limits: any(
            len(re.match(rb"[0-9A-Fa-f]*", line)[0]) > 15 for line in reading.chunk_lines
        ),
        shown_by="a-chunk-size-of-16-digits",
    ),
    Stricter(
        "a chunk extension without a name, without a value behind its =, or with a quote inside its value",
        "7.1.1: the grammar has none of these", (400,), has_bad_extension,
        shown_by="a-chunk-extension-without-a-name a-chunk-extension-without-its-value "
        "a-chunk-extension-half-quoted",
    ),
    Stricter(
        "more than 8 KiB of chunk extensions and trailer fields",
        "7.1.1: their total length is to be limited", (400,),
        lambda reading, limits: reading.position - reading.head_size - len(reading.body) > MOST_EXTRAS,
        shown_by="too-much-of-a-chunk-extension too-much-of-a-trailer",
    ),
]


def is_no_handshake(reading):
    """Whether a request for a WebSocket is none that RFC 6455, section 4.2.1, has."""
    keys = reading.values(b"sec-websocket-key")
    return (
        reading.method != b"GET" or reading.version == "1.0"
        or b"upgrade" not in reading.members(b"connection")
        or reading.values(b"transfer-encoding") or any(map(int, reading.values(b"content-length")))
        or reading.values(b"sec-websocket-version") != [b"13"] or not keys or not KEY.fullmatch(keys[0])
    )


NO_HANDSHAKE = Stricter(
    "`Upgrade: websocket` in what is no handshake, and all that follows", "RFC 6455, 4.2.1", (400, 426),
    lambda reading, limits: b"websocket" in reading.members(b"upgrade") and is_no_handshake(reading),
    shown_by="a-handshake-without-connection a-handshake-with-a-body a-handshake-by-POST",
)

# -------------------------------------------- what hyperws takes and llhttp reads otherwise


@dataclass(frozen=True)
class Otherwise:
    """Requests that hyperws reads as llhttp reads what `rewrite` makes of their head, or of their trailer."""

    name: str
    rule: str
    rewrite: Callable
    shown_by: str


METHODS = set(      # that llhttp has for HTTP
    b"ACL BIND CHECKOUT CONNECT COPY DELETE GET HEAD LINK LOCK M-SEARCH MERGE MKACTIVITY MKCALENDAR MKCOL "
    b"MOVE NOTIFY OPTIONS PATCH POST PROPFIND PROPPATCH PURGE PUT QUERY REBIND REPORT SEARCH SOURCE "
    b"SUBSCRIBE TRACE UNBIND UNLINK UNLOCK UNSUBSCRIBE".split()
)
CLOSE = re.compile(rb"(?i)\r\nconnection:(?:[^\r]*,)?[ \t]*close[ \t]*[,\r]")
KEEP_ALIVE = re.compile(rb"(?i)(?<=\r\n)((?:proxy-)?connection:[^\r]*?)keep-alive")


def with_known_method(head):
    method, space, rest = head.partition(b" ")
    return head if method in METHODS else b"POST" + space + rest


def without_keep_alive(head):
    """Of HTTP/1.0, where it says close as well."""
    while b" HTTP/1.0\r\n" in head and CLOSE.search(head) and KEEP_ALIVE.search(head):
        head = KEEP_ALIVE.sub(rb"\1keep-nothing", head)
    return head


def renaming(name):
    """A function that renames a header to one that means nothing."""
    pattern = re.compile(rb"(?im)^%b(?=:)" % name)
    return lambda lines: pattern.sub(lambda match: b"x" * len(match[0]), lines)


IGNORED_UPGRADE = Otherwise(
    "an upgrade to what is no WebSocket: ignored, and the body read",
    "RFC 9110, 7.8: a server may ignore it", renaming(b"upgrade"),
    shown_by="an-upgrade-to-HTTP-2 an-upgrade-to-HTTP-2-of-a-chunked-body",
)

OTHERWISE = [
    Otherwise(
        "a method that llhttp does not know, or not as one of HTTP: the application is asked",
        "RFC 9110, 9.1: any token may be one", with_known_method,
        shown_by="a-method-of-its-own a-method-in-lower-case a-method-of-RTSP a-method-of-HTTP-2",
    ),
    Otherwise(
        "HTTP/1.2 to HTTP/1.9: read as HTTP/1.1", "RFC 9110, 2.5: a higher minor version is compatible",
        lambda head: re.sub(rb" HTTP/1\.[2-9]\r\n", b" HTTP/1.1\r\n", head, count=1),
        shown_by="HTTP-1.2",
    ),
    Otherwise(
        "a tab behind the value of Transfer-Encoding: white space", "RFC 9110, 5.6.3: a tab is that too",
        lambda head: re.sub(rb"(?i)(?<=\r\n)(transfer-encoding:[^\r]*?)[ \t]+(?=\r)", rb"\1", head),
        shown_by="a-tab-behind-chunked",
    ),
    IGNORED_UPGRADE,
    Otherwise(
        "Proxy-Connection: a header like any", "C.2.2: it is not to be sent, and has no meaning",
        renaming(b"proxy-connection"),
        shown_by="proxy-connection-close proxy-connection-keep-alive",
    ),
    Otherwise(
        "both close and keep-alive in HTTP/1.0: closed", "9.3: close comes first", without_keep_alive,
        shown_by="HTTP-1.0-close-and-keep-alive",
    ),
]

FRAMING_IN_TRAILER = Otherwise(
    "Content-Length and Transfer-Encoding as trailer fields: dropped like any",
    "RFC 9110, 6.5.1: no framing is read from a trailer", renaming(rb"(?:content-length|transfer-encoding)"),
    shown_by="a-length-as-a-trailer-field chunked-as-a-trailer-field",
)
