"""Attacks by request heads: floods, smuggling, splitting, and pages of other sites."""

from urllib.parse import quote

import pytest

from .target import CLOSE, LINEAR, close_code, frame, handshake, request, statuses

HIDDEN = request()      # must not be answered where it is part of something else


# ------------------------------------------------------------------------------------------- floods


@pytest.mark.parametrize(
    ("name", "value", "status"),
    [
        ("Sec-WebSocket-Protocol", lambda size: "b" + " " * size + "x", 400),
        ("Sec-WebSocket-Protocol", lambda size: "b," + "," * size, 101),
        ("Sec-WebSocket-Protocol", lambda size: ",".join(map(str, range(size))), 101),
        ("Sec-WebSocket-Extensions", lambda size: 'a;b="' + r"\c" * size, 400),
        ("Sec-WebSocket-Extensions", lambda size: 'a;b="' + r"\c" * size + '"', 101),
        ("Sec-WebSocket-Extensions", lambda size: "a" + ";b" * size, 101),
        ("Sec-WebSocket-Extensions", lambda size: "a" + ";" * size, 400),
        ("Sec-WebSocket-Extensions", lambda size: "a " + " " * size + "b", 400),
        ("Sec-WebSocket-Extensions", lambda size: "permessage-deflate;x," * size, 101),
        ("Sec-WebSocket-Extensions", lambda size: "permessage-deflate" + ";x" * size, 101),
    ],
)
def test_offers_that_are_slow_to_parse(target_with, name, value, status):
    target = target_with(max_head_size=1 << 20)

    def attack(size):
        for _ in range(5):
            answer = target.exchange(handshake(f"{name}: {value(size)}") + frame(CLOSE))
            assert statuses(answer) == [status]

    assert target.growth(attack, 3_200) < LINEAR


@pytest.mark.parametrize(
    "lines",
    [
        lambda size: [f"X-{number}: x" for number in range(size)],
        lambda size: ["X: x"] * size,
        lambda size: ["Connection: " + "a," * size],
        lambda size: ["Upgrade: " + "a," * size],
        lambda size: ["Cookie: " + "a=b;" * size],
        lambda size: ['Cookie: a="' + r"\"" * size + '"'],
        lambda size: ["X:" + " " * size],
        lambda size: ["X: " + "x " * size],
    ],
)
def test_many_headers_and_long_ones(target, target_with, lines):
    assert statuses(target.exchange(request(*lines(20_000)))) == [431]
    unbounded = target_with(max_headers=None, max_head_size=None)

    def attack(size):
        assert statuses(unbounded.exchange(request("Connection: close", *lines(size)))) == [200]

    assert unbounded.growth(attack, 2_000) < LINEAR


def test_headers_within_the_size_are_counted(target):
    assert statuses(target.exchange(request(*["X: x"] * 2_000))) == [431]


def test_a_long_header_in_pieces(target, target_with):
    def pieces(size):
        return [b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX: ", *[b"x" * 1_000] * size, b"\r\n\r\n"]

    target.forget_peak()
    before = target.memory("VmHWM")
    assert statuses(target.exchange(*pieces(20_000))) == [431]
    assert target.memory("VmHWM") - before < 4_000_000
    unbounded = target_with(max_head_size=None)

    def attack(size):
        assert statuses(unbounded.exchange(*pieces(size))) == [200]

    assert unbounded.growth(attack, 2_000) < LINEAR


# ---------------------------------------------------------------------------------------- smuggling


@pytest.mark.parametrize("framing", ["Content-Length: {}", "Transfer-Encoding: chunked"])
@pytest.mark.parametrize("path", ["/", "/header", "/nothing"])
def test_the_body_of_an_upgrade_is_no_request(target, framing, path):
    line = framing.format(len(HIDDEN))
    assert statuses(target.exchange(handshake(line, path=path) + HIDDEN)) == [400]


@pytest.mark.parametrize(
    "lines",
    [
        ["Content-Length: 0", "Transfer-Encoding: chunked"],
        ["Transfer-Encoding: chunked", "Content-Length: 0"],
        ["Content-Length: 0", "Content-Length: 0"],
        ["Content-Length: 0", "Content-Length: 5"],
        ["Transfer-Encoding: chunked", "Transfer-Encoding: chunked"],
        ["Transfer-Encoding: identity", "Transfer-Encoding: chunked"],
        *[[f"Content-Length: {length}"] for length in ("", "+5", "-0", "0x0", "0, 0", "0 0", "0;", "\xb2")],
        ["Content-Length: 0\rTransfer-Encoding: chunked"],
        ["X: \rContent-Length: 5"],
        ["Content-Length : 5"],
        ["Content-Length\t: 5"],
        ["\0Content-Length: 5"],
        ["X: y", " Content-Length: 5"],
        ["X: y", "\tTransfer-Encoding: chunked"],
    ],
)
def test_framing_that_two_may_read_differently(target, lines):
    assert statuses(target.exchange(request(*lines, method="POST") + b"0\r\n\r\n" + HIDDEN)) == [400]


@pytest.mark.parametrize(
    ("line", "status"),
    [
        ("Content-Length: 99999999999999999999", 413),
        ("Content-Length: 18446744073709551616", 413),
        ("Transfer-Encoding: xchunked", 501),
        ("Transfer-Encoding: chunked, identity", 501),
        ("Transfer-Encoding: \x0bchunked", 400),
    ],
)
def test_framing_that_can_not_be_served(target, line, status):
    assert statuses(target.exchange(request(line, method="POST") + HIDDEN)) == [status]


@pytest.mark.parametrize(
    "body",
    [
        b"5\nhello\n0\n\n",
        b"5\r\nhello0\r\n\r\n",
        b"5\r\nhelloXX0\r\n\r\n",
        b"5;\nx=\r\nhello\r\n0\r\n\r\n",
        b"-1\r\n\r\n",
        b"0x5\r\nhello\r\n0\r\n\r\n",
        b"FFFFFFFFFFFFFFFFF\r\n",
        b"0" * 1_000_000 + b"\r\n\r\n",
        b"f" * 1_000_000,
    ],
)
def test_chunked_bodies_that_two_may_read_differently(target, body):
    head = request("Transfer-Encoding: chunked", method="POST")
    assert statuses(target.exchange(head + body + HIDDEN)) == [400]
    bytes_alone = [body[at:at + 1] for at in range(20)]
    assert statuses(target.exchange(head, *bytes_alone, body[20:] + HIDDEN)) == [400]


def test_a_request_behind_a_chunked_body(target):
    first = request("Transfer-Encoding: chunked", method="POST") + b"5\r\nhello\r\n0\r\n\r\n"
    assert statuses(target.exchange(first + request("Connection: close"))) == [200, 200]


# ------------------------------------------------------------------------------------------- syntax


@pytest.mark.parametrize(
    "head",
    [
        b"GET / HTTP/1.1\nHost: a\n\n",
        b"GET / HTTP/1.1\r\nHost: a\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\n\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n z\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n\tz\r\n\r\n",
        b"GET / HTTP/1.1\r\n Host: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX: y\0\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX\0: y\r\n\r\n",
        b"GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX : y\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost : a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\n: y\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nno colon\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a, b\r\n\r\n",
        b"GET /#fragment HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET http://a/#fragment HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /\tHTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1 \r\nHost: a\r\n\r\n",
        b"GET / http/1.1\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.10\r\nHost: a\r\n\r\n",
        b"\0GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\nHost: a\r\n\r\n",
    ],
)
def test_syntax_that_two_may_read_differently(target, head):
    assert statuses(target.exchange(head + HIDDEN)) == [400]


# --------------------------------------------------------------------------------------- other sites


@pytest.mark.parametrize(
    "origin",
    [
        "http://evil",
        "null",
        "http://127.0.0.1",
        "http://[::1]",
        "http://good.com.evil",
        "http://evil/good.com",
        "http://good.com@evil",
        "http://evil#good.com",
        "http://good.com:81",
        "http://xgood.com",
        "good.com",
        "file://good.com",
        "",
    ],
)
def test_pages_of_other_sites_may_not_connect(target, origin):
    head = handshake(f"Origin: {origin}").replace(b"Host: a", b"Host: good.com")
    assert statuses(target.exchange(head + frame(CLOSE))) == [403]


def test_pages_of_the_same_site_may_connect(target):
    head = handshake("Origin: http://good.com").replace(b"Host: a", b"Host: good.com")
    assert statuses(target.exchange(head + frame(CLOSE))) == [101]


# ---------------------------------------------------------------------------------------- splitting


@pytest.mark.parametrize("name", ["x", "location", "set-cookie", "content-type"])
@pytest.mark.parametrize("end", ["\r\n", "\r", "\n", "\0", "\r\n\r\n"])
def test_a_header_that_the_application_takes_from_a_peer_stays_one(target, name, end):
    for pair in ((name, f"/{end}evil: 1"), (name + end, "/"), (f"{name}{end}evil", "/")):
        path = "/header?name={}&value={}".format(*map(quote, pair))
        answer = target.exchange(request("Connection: close", path=path))
        assert statuses(answer) == [500]
        assert b"evil" not in answer
    path = f"/header?name={name}&value=/good"
    answer = target.exchange(request("Connection: close", path=path))
    assert statuses(answer) == [302]
    assert f"\r\n{name}: /good\r\n".encode() in answer


def test_a_path_is_repeated_as_it_was_sent(target):
    answer = target.exchange(request("Connection: close", path="/%0d%0aevil:%201"))
    assert statuses(answer) == [404]
    assert b"\nevil" not in answer


@pytest.mark.parametrize("reason", [b"x" * 124, "é".encode() * 62, b"\xff", b"\xed\xa0\x80"])
def test_a_reason_that_does_not_fit_a_close_frame_is_refused(target, reason):
    with target.websocket("/reason") as peer:
        peer.sendall(frame(2, reason) + frame(2, b"good\r\n\0") + frame(CLOSE))
        answer = b"".join(iter(lambda: peer.recv(1000), b""))
    assert answer.startswith(b"\x81\x07refused\x88")
    assert close_code(answer) == 1000
    assert answer.endswith(b"good\r\n\0")
