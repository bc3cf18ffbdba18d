"""The parser of request heads against RFC 9110 and RFC 9112."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hyperws._core.http import RequestParser, accept_key
from hyperws.errors import BadRequest

from .oracle_http import Refused, parse
from .pieces import corpus, cut_points, examples

LIMITS = (2000, 20, 1000)    # bytes of a head, headers, bytes of a body


def head(*headers, line="GET / HTTP/1.1", host=("Host: x",)):
    return "\r\n".join([line, *host, *headers, "", ""]).encode("latin-1")


def handshake(**changed):
    """A handshake, with headers changed, or left out where they are None; underscores stand for hyphens."""
    headers = {
        "Upgrade": "websocket", "Connection": "Upgrade", "Sec_WebSocket_Version": "13",
        "Sec_WebSocket_Key": "dGhlIHNhbXBsZSBub25jZQ==",
    } | changed
    headers = {name.replace("_", "-"): value for name, value in headers.items() if value is not None}
    return head(*[f"{name}: {value}" for name, value in headers.items()])


def with_line(line):
    return head(line=line)


def with_host(host):
    return head(host=(f"Host: {host}",))


VALID = {
    "the least": b"GET / HTTP/1.0\r\n\r\n",
    "a host": head(),
    "a browser's": head(
        "Connection: keep-alive", "User-Agent: Mozilla/5.0 (X11; Linux x86_64)", "Accept: text/html;q=0.8",
        "Accept-Encoding: gzip, deflate", "Cookie: a=1; b=2", line="GET /chat/room?name=ann&x=%20y HTTP/1.1",
    ),
    "a body behind": head("Content-Length: 5", line="POST /x HTTP/1.1") + b"hello" + head(),
    "requests behind": head() + head(),
    "other methods": with_line("PROPFIND /a HTTP/1.1"),
    "a method in lower case": with_line("get / HTTP/1.1"),
    "a method of odd characters": with_line("!#$%&'*+-.^_`|~ / HTTP/1.1"),
    "a later minor version": with_line("GET / HTTP/1.9"),
    "options of the server": with_line("OPTIONS * HTTP/1.1"),
    "an absolute target": with_line("GET http://x/a?b HTTP/1.1"),
    "an absolute target without a path": with_line("GET http://x HTTP/1.1"),
    "an absolute target without a path, with a query": with_line("GET http://x?a/b HTTP/1.1"),
    "an absolute target in upper case": with_line("GET HTTPS://x:8443/a HTTP/1.1"),
    "an absolute target of a WebSocket": with_line("GET ws://x/a HTTP/1.1"),
    "two slashes": with_line("GET //x/y HTTP/1.1"),
    "two question marks": with_line("GET /a?b?c HTTP/1.1"),
    "an empty query": with_line("GET /? HTTP/1.1"),
    "a colon and an at": with_line("GET /a:b@c HTTP/1.1"),
    "no white space": head("A:b"),
    "much white space": head("A: \t  b \t "),
    "white space within a value": head("A: b \t c"),
    "no value": head("A:", "B: ", "C:\t"),
    "a colon in a value": head("A: :b:c"),
    "a value of high bytes": head("A: \x80\xe9\xff"),
    "names of odd characters": head("!#$%&'*+-.^_`|~0z: 1"),
    "a name in any case": head("hOsT: x", host=()),
    "an empty host": with_host(""),
    "a host and a port": with_host("example.com:8080"),
    "a host and an empty port": with_host("example.com:"),
    "an IPv4 host": with_host("127.0.0.1:80"),
    "an IPv6 host": with_host("[::1]:80"),
    "an escaped host": with_host("ex%41mple.com"),
    "as many headers as are allowed": head(*["A: b"] * 19),
    "as many bytes as are allowed": head("A: " + "b" * (2000 - len(head("A: ")))),
    "a content length of nothing": head("Content-Length: 0"),
    "a content length with zeros": head("Content-Length: 00010"),
    "a content length of the most": head("Content-Length: 1000"),
    "chunked": head("Transfer-Encoding: chunked"),
    "chunked in upper case": head("Transfer-Encoding: CHUNKED"),
    "close": head("Connection: close"),
    "close among others": head("Connection: foo , CLOSE,bar"),
    "close in a second header": head("Connection: foo", "Connection: close"),
    "close and keep-alive": head("Connection: keep-alive, close"),
    "empty members": head("Connection: ,, close ,"),
    "HTTP/1.0": b"GET / HTTP/1.0\r\nHost: x\r\n\r\n",
    "HTTP/1.0, kept alive": b"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n",
    "HTTP/1.0, closed": b"GET / HTTP/1.0\r\nConnection: close, keep-alive\r\n\r\n",
    "expects to continue": head("Expect: 100-Continue", "Content-Length: 3"),
    "expects to continue in HTTP/1.0": b"POST / HTTP/1.0\r\nExpect: 100-continue\r\n\r\n",
    "an origin": head("Origin: https://example.com"),
    "a null origin": head("Origin: null"),
    "long lists of spaces": head("Sec-WebSocket-Protocol: b" + " " * 1500 + "x"),
    "an extension that does not end": head('Sec-WebSocket-Extensions: a;b="' + "\\c" * 700),
}

HANDSHAKES = {
    "a handshake": handshake(),
    "a handshake of a browser": handshake(Connection="keep-alive, Upgrade", Upgrade="WebSocket", Origin="http://x"),
    "a handshake among others": handshake(Upgrade="h2c, websocket", Connection="Upgrade, HTTP2-Settings"),
    "a handshake with an empty body": handshake(Content_Length="0"),
    "a handshake by POST": handshake().replace(b"GET", b"POST"),
    "a handshake in HTTP/1.0": handshake().replace(b"HTTP/1.1", b"HTTP/1.0"),
    "a handshake without connection": handshake(Connection=None),
    "a handshake with another connection": handshake(Connection="close"),
    "a handshake with a body": handshake(Content_Length="40") + b"GET /admin HTTP/1.1\r\nHost: x\r\n\r\n",
    "a handshake with a chunked body": handshake(Transfer_Encoding="chunked"),
    "a handshake without a version": handshake(Sec_WebSocket_Version=None),
    "a handshake of version 8": handshake(Sec_WebSocket_Version="8"),
    "a handshake of two versions": handshake(Sec_WebSocket_Version="8, 13"),
    "a handshake of no number": handshake(Sec_WebSocket_Version=""),
    "a handshake without a key": handshake(Sec_WebSocket_Key=None),
    "a handshake with no key": handshake(Sec_WebSocket_Key=""),
    "a handshake with a short key": handshake(Sec_WebSocket_Key="dGhlIHNhbXBsZSBub25jZ"),
    "a handshake with a key of 15 bytes": handshake(Sec_WebSocket_Key="dGhlIHNhbXBsZSBub25j"),
    "a handshake with a key of 17 bytes": handshake(Sec_WebSocket_Key="dGhlIHNhbXBsZSBub25jZSE="),
    "a handshake with a key that is not Base64": handshake(Sec_WebSocket_Key="dGhlIHNhbXBsZSBub2-jZQ=="),
    "a handshake with padding inside the key": handshake(Sec_WebSocket_Key="dGhlIHNhbXBsZSBub25=ZQ=="),
    "a handshake with a key of high bytes": handshake(Sec_WebSocket_Key="\xff" * 24),
    "an upgrade to something else": handshake(Upgrade="h2c"),
    "an upgrade to a like name": handshake(Upgrade="websocket2, xwebsocket"),
}

INVALID = {
    "empty lines": (400, b"\r\n\r\n"),
    "an empty line first": (400, b"\r\n" + head()),
    "a TLS hello": (400, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
    "a space first": (400, b" " + head()),
    "bare LF everywhere": (400, head().replace(b"\r\n", b"\n")),
    "bare LF after the request line": (400, head().replace(b"\r\n", b"\n", 1)),
    "bare LF within a value": (400, head("A: b\nc")),
    "bare LF at the end": (400, head()[:-2] + b"\n"),
    "LF CR": (400, head().replace(b"\r\n", b"\n\r")),
    "bare CR in the request line": (400, with_line("GET /\r HTTP/1.1")),
    "bare CR in a name": (400, head("A\rB: c")),
    "bare CR in a value": (400, head("A: b\rc")),
    "CR CR LF": (400, head("A: b\r")),
    "a folded header": (400, head("A: b", " c")),
    "a header folded by a tab": (400, head("A: b", "\tc")),
    "a header folded before the first": (400, head(" A: b", host=())),
    "a folded line of white space": (400, head("A: b", "  ")),
    "NUL in the method": (400, with_line("G\0T / HTTP/1.1")),
    "NUL in the target": (400, with_line("GET /\0 HTTP/1.1")),
    "NUL in a name": (400, head("A\0: b")),
    "NUL in a value": (400, head("A: b\0")),
    "DEL in a value": (400, head("A: b\x7f")),
    "a control character in a value": (400, head("A: b\x0b")),
    "a space before the colon": (400, head("A : b")),
    "a tab before the colon": (400, head("A\t: b")),
    "no name": (400, head(": b")),
    "no colon": (400, head("A")),
    "a name with a high byte": (400, head("\xc4: b")),
    "a name in brackets": (400, head("(A): b")),
    "no method": (400, with_line(" / HTTP/1.1")),
    "a method alone": (400, with_line("GET")),
    "a method with a colon": (400, with_line("GET: / HTTP/1.1")),
    "no target": (400, with_line("GET  HTTP/1.1")),
    "no version": (400, with_line("GET /")),
    "no version, but a space": (400, with_line("GET / ")),
    "two spaces before the version": (400, with_line("GET /  HTTP/1.1")),
    "tabs for spaces": (400, with_line("GET\t/\tHTTP/1.1")),
    "a space after the version": (400, with_line("GET / HTTP/1.1 ")),
    "a space in the target": (400, with_line("GET /a b HTTP/1.1")),
    "a version in lower case": (400, with_line("GET / http/1.1")),
    "a version of two digits": (400, with_line("GET / HTTP/1.10")),
    "a version of one number": (400, with_line("GET / HTTP/1")),
    "a version of no number": (400, with_line("GET / HTTP/x.1")),
    "a version with a comma": (400, with_line("GET / HTTP/1,1")),
    "another protocol": (400, with_line("GET / HTTQ/1.1")),
    "HTTP/2.0": (505, with_line("GET / HTTP/2.0")),
    "HTTP/2's preface": (505, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    "HTTP/0.9": (505, with_line("GET / HTTP/0.9")),
    "a fragment": (400, with_line("GET /a#b HTTP/1.1")),
    "a target of high bytes": (400, with_line("GET /\xe4 HTTP/1.1")),
    "a relative target": (400, with_line("GET a HTTP/1.1")),
    "a query alone": (400, with_line("GET ?a HTTP/1.1")),
    "another scheme": (400, with_line("GET ftp://x/a HTTP/1.1")),
    "a scheme alone": (400, with_line("GET http:// HTTP/1.1")),
    "an authority alone": (400, with_line("CONNECT x:443 HTTP/1.1")),
    "a path for a tunnel": (400, with_line("CONNECT /x HTTP/1.1")),
    "a URL for a tunnel": (400, with_line("CONNECT http://x/a HTTP/1.1")),
    "an absolute target without a host": (400, with_line("GET http:///a HTTP/1.1")),
    "an absolute target with a port alone": (400, with_line("GET http://:80/a HTTP/1.1")),
    "an absolute target with a user": (400, with_line("GET http://me@x/a HTTP/1.1")),
    "an asterisk for one resource": (400, with_line("GET * HTTP/1.1")),
    "no host": (400, head(host=())),
    "two hosts": (400, head("Host: x")),
    "two hosts, one empty": (400, head("host:")),
    "a host with a path": (400, with_host("x/y")),
    "a host with a user": (400, with_host("me@x")),
    "a list of hosts": (400, with_host("x, y")),
    "a host with a space": (400, with_host("x y")),
    "a host with two ports": (400, with_host("x:1:2")),
    "a host with a port of letters": (400, with_host("x:http")),
    "a host with a quote": (400, with_host('x"')),
    "a host in angle brackets": (400, with_host("<x>")),
    "a host of high bytes": (400, with_host("\xe4.example")),
    "a host with half an escape": (400, with_host("x%4")),
    "an IPv6 host that does not end": (400, with_host("[::1")),
    "an IPv6 host without brackets": (400, with_host("::1")),
    "two content lengths": (400, head("Content-Length: 5", "Content-Length: 5")),
    "two content lengths that differ": (400, head("Content-Length: 5", "content-length: 6")),
    "a list of content lengths": (400, head("Content-Length: 5, 5")),
    "a content length with a plus": (400, head("Content-Length: +5")),
    "a negative content length": (400, head("Content-Length: -1")),
    "a content length of hexadecimal digits": (400, head("Content-Length: 0x5")),
    "a content length with an underscore": (400, head("Content-Length: 1_0")),
    "a content length with a fraction": (400, head("Content-Length: 5.0")),
    "a content length of high bytes": (400, head("Content-Length: \xb2")),
    "an empty content length": (400, head("Content-Length:")),
    "a content length too large": (413, head("Content-Length: 1001")),
    "a content length of 2^64": (413, head("Content-Length: 18446744073709551616")),
    "a content length of 1,000 digits": (413, head("Content-Length: " + "9" * 1000)),
    "a length and chunked": (400, head("Content-Length: 5", "Transfer-Encoding: chunked")),
    "chunked and a length": (400, head("Transfer-Encoding: chunked", "Content-Length: 5")),
    "a length and a coding unknown": (400, head("Content-Length: 5", "Transfer-Encoding: xchunked")),
    "chunked twice": (400, head("Transfer-Encoding: chunked", "Transfer-Encoding: chunked")),
    "a list of chunked": (501, head("Transfer-Encoding: chunked, chunked")),
    "chunked in HTTP/1.0": (400, b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"),
    "another coding": (501, head("Transfer-Encoding: gzip, chunked")),
    "identity": (501, head("Transfer-Encoding: identity")),
    "a coding like chunked": (501, head("Transfer-Encoding: \x0bchunked".replace("\x0b", "x"))),
    "chunked with a parameter": (501, head("Transfer-Encoding: chunked;a=b")),
    "another expectation": (417, head("Expect: 200-ok")),
    "two origins": (400, head("Origin: http://a", "Origin: http://b")),
    "two keys": (400, handshake(**{"sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ=="})),
    "two versions": (400, handshake(**{"sec-websocket-version": "13"})),
    "a header too many": (431, head(*["A: b"] * 20)),
    "2,000 headers": (431, head(*["A:"] * 2000)),
    "a byte too many": (431, head("A: " + "b" * (2001 - len(head("A: "))))),
    "a head that does not end": (431, head("A: " + "b" * 2000)[:2100]),
    "a method that does not end": (431, b"G" * 2001),
}

ALL = VALID | HANDSHAKES | {name: data for name, (_, data) in INVALID.items()}


def outcome(parser, data):
    """What a parser makes of `data`: (what it found, length), None, or the status of a refusal."""
    try:
        found = parser.feed(data)
    except BadRequest as error:
        return error.status
    if found is None:
        return None
    request, length = found
    refusal = request.upgrade_refusal()
    return {
        "method": request.method, "target": request.target, "path": request.path, "query": request.query,
        "headers": list(request.header_lines()), "host": request.host, "origin": request.origin,
        "keep_alive": request.keep_alive, "expects_continue": request.expects_continue,
        "content_length": request.content_length, "wants_websocket": request.wants_websocket,
        "refusal": refusal and refusal[0],
    }, length


def expectation(data):
    """(Head, length) as the oracle has it, or else a list of the outcomes that it allows."""
    try:
        return parse(data, *LIMITS) or [None]
    except Refused as refused:
        return list(refused.statuses)


def agree(found, data):
    """Assert that an outcome is what the oracle says."""
    expected = expectation(data)
    if not isinstance(expected, tuple):
        assert found in expected
        return
    expected_head, length = expected
    known = dict(vars(expected_head))
    refusals = known.pop("upgrade_refusals") or {None}
    assert isinstance(found, tuple), found
    assert found[0].pop("refusal") in refusals
    assert found == (known, length)


@pytest.fixture(scope="module")
def parser():
    return RequestParser(*LIMITS)


@corpus("status, data", INVALID)
def test_what_must_be_refused_is_refused_with_the_right_status(parser, status, data):
    with pytest.raises(BadRequest, match=r"\w+ \w+"):    # it says why
        parser.feed(data)
    assert outcome(parser, data) == status


def test_the_host_of_an_absolute_target_is_its_own():
    """RFC 9112, section 3.2.2: what the Host header says besides is ignored."""
    request, _ = RequestParser(*LIMITS).feed(with_line("GET http://other:81/ HTTP/1.1"))
    assert request.host == "other:81"


@corpus("data", ALL)
def test_agrees_with_the_rfc(parser, data):
    agree(outcome(parser, data), data)


@corpus("data", ALL)
def test_every_beginning(parser, data):
    """While a head grows nothing is found too early, and what is wrong is refused as soon as it shows."""
    for size in cut_points(len(data)):
        agree(outcome(parser, data[:size]), data[:size])


def test_every_byte_in_every_place(parser):
    for before, after in ((b"", b"GET"), (b"GE", b"T"), (b"GET", b"")):
        for byte in range(256):
            data = head().replace(b"GET", before + bytes([byte]) + after)
            agree(outcome(parser, data), data)
    template = head("A: b", line="GET /ab HTTP/1.1")
    for place in range(3, len(template)):
        for byte in range(256):
            data = template[:place] + bytes([byte]) + template[place:]
            agree(outcome(parser, data), data)


def test_nothing_is_kept_from_one_head_to_the_next(parser):
    full = outcome(parser, handshake(Origin="http://x", Content_Length="5"))[0]
    least = outcome(parser, head())[0]
    assert full["origin"] == "http://x"
    assert least["origin"] is None
    assert least["content_length"] == 0
    assert not least["wants_websocket"]


def test_accept_key_of_the_rfc():
    assert accept_key(b"dGhlIHNhbXBsZSBub25jZQ==") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
    request, _ = RequestParser(*LIMITS).feed(handshake())
    assert request.accept_key == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


def test_an_unbounded_parser():
    everything = (1 << 63) - 1
    request, _ = RequestParser(everything, everything, everything).feed(head(*["A: b"] * 1000))
    assert len(list(request.header_lines())) == 1001


# ------------------------------------------------------------------------ heads that Hypothesis makes up

lines = st.builds(
    "{} {} HTTP/{}".format,
    st.sampled_from(["GET", "POST", "OPTIONS", "CONNECT", "x"]),
    st.sampled_from(["/", "/a?b=c", "*", "http://x", "http://x/y?z", "HTTP://[::1]/", "http:///", "a", "/#"]),
    st.sampled_from(["1.1", "1.1", "1.1", "1.0", "1.2", "2.0"]),
)
spaces = st.sampled_from(["", " ", " ", " ", "\t", "  \t"])
known = st.sampled_from([
    ("Host", "x"), ("host", "a.example:80"), ("Connection", "close"), ("Connection", "keep-alive, Upgrade"),
    ("Connection", "upgrade"), ("Upgrade", "websocket"), ("Upgrade", "h2c,WebSocket"),
    ("Content-Length", "5"), ("content-length", "0"), ("Content-Length", "+5"), ("Content-Length", "5000"),
    ("Transfer-Encoding", "chunked"), ("Transfer-Encoding", "gzip"),
    ("Expect", "100-continue"), ("Expect", "x"), ("Origin", "http://x"),
    ("Sec-WebSocket-Version", "13"), ("Sec-WebSocket-Version", "7"),
    ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="), ("Sec-WebSocket-Key", "short"),
])
any_header = st.tuples(
    st.text("abcXYZ-_0 :\t\x00é", min_size=0, max_size=4), st.text("ab \t,;=\"\x00\r\né", max_size=8)
)
headers = st.builds(
    lambda field, before, after: f"{field[0]}:{before}{field[1]}{after}",
    st.one_of(known, known, known, known, any_header), spaces, spaces,
)


@st.composite
def heads(draw):
    fields = draw(st.lists(headers, max_size=8))
    if draw(st.booleans()):
        fields.insert(0, "Host: x")
    return head(*fields, line=draw(lines), host=())


@st.composite
def mutated(draw, data):
    """`data` with some bytes changed, taken away, or put in."""
    result = bytearray(draw(data))
    telling = st.sampled_from([b"\r", b"\n", b"\r\n", b"\0", b" ", b"\t", b":", b",", b"/", b"\xff"])
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(result)))
        result[at : at + draw(st.integers(0, 2))] = draw(st.one_of(telling, st.binary(max_size=2)))
    return bytes(result)


@examples(1500)
@given(data=st.one_of(heads(), mutated(heads()), mutated(st.sampled_from(list(VALID.values())))))
def test_heads_and_their_beginnings(data):
    parser = RequestParser(*LIMITS)
    agree(outcome(parser, data), data)
    for piece in (data[: len(data) // 2], data[:-1]):
        agree(outcome(parser, piece), piece)


@examples(300)
@given(data=st.binary(max_size=60))
def test_noise(data):
    agree(outcome(RequestParser(*LIMITS), data), data)
