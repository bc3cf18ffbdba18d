"""What reverse proxies tell of the requests that they pass on: `Forwarded` (RFC 7239) and `X-Forwarded-…`."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from ipaddress import IPv4Address, IPv6Address, ip_network
from typing import Literal, NamedTuple

from hyperws.errors import BadRequest, ConfigurationError
from hyperws.handshake import Reader
from hyperws.headers import Headers
from hyperws.response import TOKEN

Scheme = Literal["http", "https"]

NODE = re.compile(
    r"(?:(?P<v4>[0-9.]{7,15})|\[(?P<v6>[0-9A-Fa-f:.]{2,45})\])(?::(?:(?P<port>[0-9]{1,5})|_[0-9A-Za-z._\-]++))?"
)
HOST = re.compile(r"(?:[0-9A-Za-z._\-]++|\[[0-9A-Fa-f:.]++\])(?::[0-9]{1,5})?")
SCHEMES: dict[str, Scheme] = {"http": "http", "https": "https", "ws": "http", "wss": "https"}


class Forwarded(NamedTuple):
    """A request as its client has sent it, as far as trusted proxies tell."""

    client: str
    """The address, with the port where it is known: "192.0.2.1:5000", "[2001:db8::1]:5000", "2001:db8::1"."""
    scheme: Scheme | None
    host: str | None
    """The host that was asked for, with the port where it was given."""


class Node(NamedTuple):
    """One end of a connection."""

    address: IPv4Address | IPv6Address
    port: int | None

    def __str__(self) -> str:
        if self.port is None:
            return str(self.address)
        return f"[{self.address}]:{self.port}" if self.address.version == 6 else f"{self.address}:{self.port}"


class TrustedProxies:
    """The proxies that are believed, by address or network; "unix" for whoever comes by the Unix socket.

        proxies = TrustedProxies(["127.0.0.1", "10.0.0.0/8"])
        client, scheme, host = proxies.resolve("10.0.0.1:5000", ctx.headers)

    They tell by `X-Forwarded-For`, `-Proto` and `-Host`, or else by `Forwarded`: the one kind is believed, as
    a client may have made the other up. Raises ConfigurationError for what is no address or network.
    """

    def __init__(self, proxies: Collection[str], *, by_forwarded: bool = False) -> None:
        if (
            isinstance(proxies, str)
            or not isinstance(proxies, Collection)
            or not all(isinstance(proxy, str) for proxy in proxies)
        ):
            raise ConfigurationError(
                f"trusted_proxies takes a list, as in ['127.0.0.1', '10.0.0.0/8'], not {proxies!r}"
            )
        try:
            self._networks = [ip_network(proxy) for proxy in proxies if proxy != "unix"]
        except ValueError as error:
            raise ConfigurationError(
                f"{error}: trusted_proxies takes addresses, networks as in '10.0.0.0/8', and 'unix'"
            ) from None
        self._trusts_unix = "unix" in proxies
        self._by_forwarded = by_forwarded

    def resolve(self, peer: str, headers: Headers) -> Forwarded:
        """What the request of a peer was before proxies passed it on.

        The headers are read from right to left, as each proxy adds to their end: the client is the first
        that is no trusted proxy. Where that is hidden or malformed, it is the last proxy that is known.
        """
        node = read_node(peer)
        if not (self._trusts_unix if peer == "unix" else node and self._trusts(node)):
            return Forwarded(peer, None, None)
        if self._by_forwarded:
            return self._walk(peer, forwarded_hops(headers.getall("forwarded")))
        client = self._walk(peer, x_forwarded_hops(headers.getall("x-forwarded-for"))).client
        scheme, host = nearest(headers, "x-forwarded-proto"), nearest(headers, "x-forwarded-host")
        return Forwarded(client, read_scheme(scheme), read_host(host))

    def _walk(self, peer: str, hops: Iterator[dict[str, str]]) -> Forwarded:
        client, scheme, host = peer, None, None
        for hop in hops:
            scheme = read_scheme(hop.get("proto", "")) or scheme
            host = read_host(hop.get("host", "")) or host
            if (node := read_node(hop.get("for", ""))) is None:
                break
            client = str(node)
            if not self._trusts(node):
                break
        return Forwarded(client, scheme, host)

    def _trusts(self, node: Node) -> bool:
        return any(node.address in network for network in self._networks)


def forwarded_hops(lines: list[str]) -> Iterator[dict[str, str]]:
    """The elements of Forwarded headers, from the last on, up to a header that is malformed."""
    for line in reversed(lines):
        try:
            yield from reversed(parse_forwarded(line))
        except BadRequest:
            return


def parse_forwarded(value: str) -> list[dict[str, str]]:
    """The elements of a Forwarded header (RFC 7239, section 4), by names in lower case. Raises BadRequest."""
    reader = Reader("Forwarded", value)
    elements = []
    for _ in reader.elements():
        pairs: dict[str, str] = {}
        while True:
            if name_found := reader.take(TOKEN):
                name = name_found[0].lower()
                if name in pairs or not reader.takes("="):
                    raise reader.error()
                quoted = reader.quoted()
                pairs[name] = reader.token() if quoted is None else quoted
            if not reader.takes(";"):
                break
        elements.append(pairs)
    return elements


def x_forwarded_hops(lines: list[str]) -> Iterator[dict[str, str]]:
    """The addresses in X-Forwarded-For headers, from the last on, as elements of Forwarded ones."""
    for line in reversed(lines):
        for text in reversed(line.split(",")):
            if text := text.strip(" \t"):
                bare = text.count(":") > 1 and not text.startswith("[")
                yield {"for": f"[{text}]" if bare else text}


def nearest(headers: Headers, name: str) -> str:
    """The last of a header's values: the one of the nearest proxy."""
    return headers.get(name, "").rpartition(",")[2].strip(" \t")


def read_node(text: str) -> Node | None:
    """An address as in RFC 7239, section 6, IPv4 also where it is mapped to IPv6; None for what is none."""
    match = NODE.fullmatch(text)
    if match is None:
        return None
    port = None if match["port"] is None else int(match["port"])
    if port is not None and port > 65535:
        return None
    try:
        if match["v4"] is not None:
            return Node(IPv4Address(match["v4"]), port)
        address = IPv6Address(match["v6"])
    except ValueError:
        return None
    return Node(address.ipv4_mapped or address, port)


def read_scheme(text: str) -> Scheme | None:
    return SCHEMES.get(text.lower())


def read_host(text: str) -> str | None:
    return text if HOST.fullmatch(text) else None
