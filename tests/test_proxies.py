"""What proxies tell of a request, which of them is believed, and how far."""

from ipaddress import ip_address
from urllib.parse import urlsplit

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from hyperws import BadRequest, ConfigurationError, Headers, Server
from hyperws.proxies import TrustedProxies, parse_forwarded

from .core.pieces import corpus, examples

PEER = "10.0.0.1:5000"
PROXIES = ["10.0.0.0/8", "2001:db8:aa::/48", "unix"]


def told(*lines, peer=PEER, proxies=PROXIES):
    """(client, scheme, host) of a request with these headers, each as "name: value".

    Its proxies tell by the kind of header that comes first.
    """
    proxies = TrustedProxies(proxies, by_forwarded=bool(lines) and lines[0].startswith("Forwarded"))
    pairs = (line.encode("latin-1").partition(b":") for line in lines)
    return proxies.resolve(peer, Headers((name, value.strip()) for name, _, value in pairs))


def client(*lines, **request):
    return told(*lines, **request)[0]


# ------------------------------------------------------------------------- which peer is believed

EVERYTHING = [
    ("Forwarded: for=192.0.2.1;proto=https;host=example.com",),
    ("X-Forwarded-For: 192.0.2.1", "X-Forwarded-Proto: https", "X-Forwarded-Host: example.com"),
]


@pytest.mark.parametrize("headers", EVERYTHING)
@pytest.mark.parametrize(
    "peer", ["10.0.0.1:5000", "10.255.255.255:1", "[2001:db8:aa::1]:5000", "[::ffff:10.0.0.1]:5000", "unix"]
)
def test_a_trusted_peer_is_believed(peer, headers):
    assert told(*headers, peer=peer) == ("192.0.2.1", "https", "example.com")


@pytest.mark.parametrize("headers", EVERYTHING)
@pytest.mark.parametrize(
    "peer", ["11.0.0.1:5000", "[2001:db8:ab::1]:5000", "[::10.0.0.1]:5000", "[::ffff:11.0.0.1]:5000", "", "x"]
)
def test_others_are_not(peer, headers):
    assert told(*headers, peer=peer) == (peer, None, None)


@pytest.mark.parametrize("headers", EVERYTHING)
def test_a_unix_socket_is_only_believed_where_it_is_listed(headers):
    assert told(*headers, peer="unix", proxies=["10.0.0.1"]) == ("unix", None, None)
    assert told(*headers, proxies=["unix"]) == (PEER, None, None)
    assert told(*headers, proxies=[]) == (PEER, None, None)


@pytest.mark.parametrize("peer", [PEER, "unix"])
def test_a_proxy_that_tells_nothing(peer):
    assert told("Host: example.com", peer=peer) == (peer, None, None)


# --------------------------------------------------------------------------- RFC 7239, by letter


@corpus(("value", "elements"), {
    "section 4, obfuscated": ('for="_gazonk"', [{"for": "_gazonk"}]),
    "section 4, IPv6": ('For="[2001:db8:cafe::17]:4711"', [{"for": "[2001:db8:cafe::17]:4711"}]),
    "section 4, all": (
        "for=192.0.2.60;proto=http;by=203.0.113.43",
        [{"for": "192.0.2.60", "proto": "http", "by": "203.0.113.43"}],
    ),
    "section 4, several": (
        "for=192.0.2.43, for=198.51.100.17", [{"for": "192.0.2.43"}, {"for": "198.51.100.17"}],
    ),
    "section 6.3": (
        'for=_hidden, for=_SEVKISEK', [{"for": "_hidden"}, {"for": "_SEVKISEK"}],
    ),
    "section 7.1": (
        'for=192.0.2.43, for="[2001:db8:cafe::17]", for=unknown',
        [{"for": "192.0.2.43"}, {"for": "[2001:db8:cafe::17]"}, {"for": "unknown"}],
    ),
    "section 7.4": (
        'for=192.0.2.43, for="[2001:db8:cafe::17]"', [{"for": "192.0.2.43"}, {"for": "[2001:db8:cafe::17]"}],
    ),
    "extension": ('secret="a b;c,d=\\"e\\\\"', [{"secret": 'a b;c,d="e\\'}]),
    "empty value": ('host=""', [{"host": ""}]),
    "empty pairs": (";for=a;;by=b;", [{"for": "a", "by": "b"}]),
    "empty elements": (",for=a,,;,for=b,", [{"for": "a"}, {}, {"for": "b"}]),
})
def test_elements(value, elements):
    assert parse_forwarded(value) == elements


@pytest.mark.parametrize(
    "value",
    [
        "", ",", "for", "for=", "=a", "for=a b", "for=a=b", 'for="a', 'for=a"', 'for="a"b', "for=a;for=b",
        "for=a;FOR=a", "for=[::1]", "for=192.0.2.1:80", "for=a for=b", 'for="\\', 'for="\x01"', "for='a b'",
    ],
)
def test_what_is_no_forwarded_header(value):
    with pytest.raises(BadRequest):
        parse_forwarded(value)


# ------------------------------------------------------------------- the way of a request, forwarded


@corpus(("value", "expected"), {
    "an address": ("for=192.0.2.60;proto=http;by=203.0.113.43", "192.0.2.60"),
    "with a port": ('for="192.0.2.60:4711"', "192.0.2.60:4711"),
    "IPv6": ('for="[2001:db8:cafe::17]"', "2001:db8:cafe::17"),
    "IPv6 with a port": ('For="[2001:DB8:cafe:0::17]:4711"', "[2001:db8:cafe::17]:4711"),
    "an escaped address": ('for="192\\.0.2.60"', "192.0.2.60"),
    "an obfuscated port": ('for="192.0.2.60:_port.1-x"', "192.0.2.60"),
    "mapped to IPv6": ('for="[::ffff:192.0.2.60]:1"', "192.0.2.60:1"),
    "what a client has added": ("for=203.0.113.1, for=192.0.2.60", "192.0.2.60"),
    "through listed proxies": ('for=192.0.2.60, for="10.0.0.2:80", for="[2001:db8:aa::1]"', "192.0.2.60"),
    "from a listed one": ("for=10.0.0.3, for=10.0.0.2", "10.0.0.3"),
    "hidden": ("for=192.0.2.60, for=_hidden", PEER),
    "unknown": ("for=192.0.2.60, for=unknown", PEER),
    "hidden before a listed proxy": ("for=192.0.2.60, for=_hidden, for=10.0.0.2", "10.0.0.2"),
    "not told": ("for=192.0.2.60, proto=https", PEER),
    "no address": ("for=192.0.2.60, for=300.0.2.60", PEER),
    "no brackets": ('for="2001:db8::1"', PEER),
    "IPv4 in brackets": ('for="[192.0.2.60]"', PEER),
    "no port": ('for="192.0.2.60:65536"', PEER),
    "empty port": ('for="192.0.2.60:"', PEER),
    "a zone": ('for="[fe80::1%eth0]"', PEER),
    "other digits": ('for="192.0.2.\xb2"', PEER),
    "malformed": ("for=192.0.2.60;", "192.0.2.60"),
    "malformed at its start": ('for="x, for=192.0.2.60', PEER),
    "malformed at its end": ("for=192.0.2.60, for", PEER),
})
def test_the_client_of_a_forwarded_request(value, expected):
    assert client(f"Forwarded: {value}") == expected


def test_forwarded_in_several_headers():
    """Each is read by itself: a client can't spoil what a proxy has added behind its own."""
    assert client("Forwarded: for=192.0.2.1, for=192.0.2.2", "Forwarded: for=10.0.0.2") == "192.0.2.2"
    assert client('Forwarded: for="', "Forwarded: for=192.0.2.2") == "192.0.2.2"
    assert client('Forwarded: for="', "Forwarded: for=10.0.0.2") == "10.0.0.2"
    assert client("Forwarded: for=192.0.2.1", 'Forwarded: for="') == PEER


@pytest.mark.parametrize(
    ("value", "scheme", "host"),
    [
        ("for=192.0.2.1;proto=https;host=example.com", "https", "example.com"),
        ('for=192.0.2.1;PROTO=HTTPS;Host="example.com:8443"', "https", "example.com:8443"),
        ("for=unknown;proto=https;host=example.com", "https", "example.com"),
        ("proto=wss", "https", None),
        ("proto=ws", "http", None),
        ("proto=ftp;host=example.com", None, "example.com"),
        ('host="[2001:db8::1]:80"', None, "[2001:db8::1]:80"),
        ('host="example.com/path"', None, None),
        ('host="user@example.com"', None, None),
        ('host="a b"', None, None),
        ('host=""', None, None),
        ('host="example.com:http"', None, None),
        # the proxy that the client itself has spoken to knows best, the client least
        ("for=192.0.2.1;proto=https;host=a.example, for=10.0.0.2;proto=http;host=b", "https", "a.example"),
        ("for=192.0.2.1, for=10.0.0.2;proto=https;host=b.example", "https", "b.example"),
        ("for=192.0.2.1;proto=https;host=evil.example, for=192.0.2.2;proto=http", "http", None),
        ("for=192.0.2.1;proto=https;host=evil.example, for=unknown", None, None),
        ('proto=https;host=example.com;"', None, None),
    ],
)
def test_the_scheme_and_host_of_a_forwarded_request(value, scheme, host):
    assert told(f"Forwarded: {value}")[1:] == (scheme, host)


# ------------------------------------------------------------------------------------ X-Forwarded


@corpus(("value", "expected"), {
    "an address": ("192.0.2.60", "192.0.2.60"),
    "with a port": ("192.0.2.60:4711", "192.0.2.60:4711"),
    "IPv6": ("2001:db8:cafe::17", "2001:db8:cafe::17"),
    "IPv6 in brackets": ("[2001:db8:cafe::17]", "2001:db8:cafe::17"),
    "IPv6 with a port": ("[2001:db8:cafe::17]:4711", "[2001:db8:cafe::17]:4711"),
    "what a client has added": ("203.0.113.1, 192.0.2.60", "192.0.2.60"),
    "through listed proxies": ("203.0.113.1,192.0.2.60 ,10.0.0.2\t, 2001:db8:aa::1", "192.0.2.60"),
    "from a listed one": ("10.0.0.3, 10.0.0.2", "10.0.0.3"),
    "empty elements": (", 192.0.2.60,, ", "192.0.2.60"),
    "unknown": ("192.0.2.60, unknown", PEER),
    "no address before a listed proxy": ("192.0.2.60, x, 10.0.0.2", "10.0.0.2"),
    "no address": ("192.0.2.60, 1.2.3", PEER),
    "leading zeros": ("192.0.2.060", PEER),
    "quoted": ('"192.0.2.60"', PEER),
    "a name": ("localhost", PEER),
    "a zone": ("fe80::1%eth0", PEER),
    "empty": ("", PEER),
    "commas": (",,,", PEER),
})
def test_the_client_by_x_forwarded_for(value, expected):
    assert client(f"X-Forwarded-For: {value}") == expected


def test_x_forwarded_for_in_several_headers():
    assert client("X-Forwarded-For: 192.0.2.1, 192.0.2.2", "X-Forwarded-For: 10.0.0.2") == "192.0.2.2"
    assert client("X-Forwarded-For: 192.0.2.1", "X-Forwarded-For: x") == PEER


@pytest.mark.parametrize(
    ("proto", "host", "scheme", "expected"),
    [
        ("https", "example.com:8443", "https", "example.com:8443"),
        ("http, HTTPS", "evil.example , example.com", "https", "example.com"),
        ("https, http", "example.com, b", "http", "b"),
        ("wss", "[2001:db8::1]", "https", "[2001:db8::1]"),
        ("https, ", "example.com,", None, None),
        ("https, x", "example.com, a/b", None, None),
        ("", "", None, None),
    ],
)
def test_the_scheme_and_host_by_x_forwarded(proto, host, scheme, expected):
    """Those of the nearest proxy, whether or not it tells of the client."""
    lines = [f"X-Forwarded-Proto: {proto}", f"X-Forwarded-Host: {host}"]
    assert told(*lines) == (PEER, scheme, expected)
    assert told("X-Forwarded-For: 192.0.2.1", *lines) == ("192.0.2.1", scheme, expected)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("for=192.0.2.2", ("192.0.2.2", None, None)),
        ("proto=https", (PEER, "https", None)),
        ('"', (PEER, None, None)),
    ],
)
def test_the_other_kind_of_header_may_be_made_up(value, expected):
    forwarded, x_forwarded = EVERYTHING
    assert told(f"Forwarded: {value}", *x_forwarded) == expected
    assert told("X-Forwarded-For: 192.0.2.9", *forwarded) == ("192.0.2.9", None, None)


# ------------------------------------------------------------------------------- whatever comes


@examples(500)
@given(
    st.lists(st.tuples(
        st.sampled_from(["Forwarded", "X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host"]),
        st.lists(st.sampled_from([
            "for=", "host=", "proto=", "https", "192.0.2.1", "10.0.0.2", "[::1]", "_x", "unknown", "80", "a",
            '"', "\\", ",", ";", ":", " ",
        ])).map("".join) | st.text(st.characters(min_codepoint=32, max_codepoint=255)),
    )),
)
def test_a_client_is_an_address_whatever_comes(lines):
    address, scheme, host = told(*(f"{name}: {value}" for name, value in lines))
    with_port = "." in address or "[" in address
    assert ip_address(urlsplit(f"//{address}").hostname if with_port else address)
    assert scheme in ("http", "https", None)
    assert host is None or not set(host) & set('/@?#\\", ')


@pytest.mark.parametrize(
    "proxies",
    [
        "127.0.0.1", None, 5, [5], [b"\x7f\0\0\1"], ["localhost"], ["10.0.0.1/8"], ["10.0.0.0/33"], [""],
        ["127.0.0.1:80"], ["*"],
    ],
)
def test_what_is_no_list_of_proxies_is_told(proxies):
    with pytest.raises(ConfigurationError, match=r"trusted_proxies takes .*'10\.0\.0\.0/8'"):
        TrustedProxies(proxies)


async def test_a_proxy_of_a_server(serving):
    server = Server(trusted_proxies=["127.0.0.1"])

    @server.route("/")
    async def resolve(ctx):
        await ctx.json([ctx.client, ctx.scheme, ctx.host])

    chain = [("X-Forwarded-For", "203.0.113.1"), ("X-Forwarded-For", "192.0.2.1")]
    async with serving(server) as running, httpx.AsyncClient() as client:
        answer = await client.get(running.http(), headers=[*chain, ("X-Forwarded-Proto", "https")])
        assert answer.json() == ["192.0.2.1", "https", f"{running.host}:{running.port}"]
        answer = await client.get(running.http(), headers=[("X-Forwarded-Host", "example.com")])
        client_address, *others = answer.json()
        assert client_address.startswith("127.0.0.1:")
        assert others == ["http", "example.com"]
    with pytest.raises(ConfigurationError):
        Server(trusted_proxies="127.0.0.1")


async def test_a_page_of_the_host_that_a_proxy_names_may_connect(serving):
    server = Server(trusted_proxies=["127.0.0.1"])

    @server.route("/")
    async def socket(ctx):
        await ctx.send(ctx.client)

    async with serving(server) as running:
        options = {"origin": "https://example.com"}
        told = {"X-Forwarded-Host": "example.com", "X-Forwarded-For": "192.0.2.1"}
        async with connect(running.ws(), **options, additional_headers=told) as websocket:
            assert await websocket.recv() == "192.0.2.1"
        with pytest.raises(InvalidStatus, match="403"):
            async with connect(running.ws(), **options):
                pass
