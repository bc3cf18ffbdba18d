"""The options of a `Server`."""

from __future__ import annotations

import os
import socket
import ssl
import struct
import sys
from typing import Literal, Self, TypedDict, Unpack

from hyperws.checks import is_int
from hyperws.compression import Compression, Negotiator
from hyperws.content_coding import Gzip
from hyperws.errors import ConfigurationError, UsageError
from hyperws.groups.backplane import Backplane
from hyperws.groups.connecting import backplane_at
from hyperws.limits import Limits
from hyperws.listening import SocketOption
from hyperws.origins import AllowedOrigins, checked_origins
from hyperws.proxies import TrustedProxies
from hyperws.response import TOKEN
from hyperws.tls import Certificate, File


class Options(TypedDict, total=False):
    """What `Server(...)` takes: each is a method of the same name too."""

    host: str
    port: int
    unix_socket: str | os.PathLike[str]
    backlog: int
    workers: int
    ttl: int
    enable_nodelay: Literal[True]
    disable_nodelay: Literal[True]
    enable_linger: int
    disable_linger: Literal[True]
    ws_buffer_size: int
    http_buffer_size: int
    fragment_size: int | None
    limits: Limits
    allowed_origins: list[str] | Literal["*"]
    trusted_proxies: list[str]
    subprotocols: list[str]
    compression: bool | Compression
    gzip: bool | Gzip
    tls: ssl.SSLContext | tuple[File, File] | File
    access_log: bool
    driver: Literal["reactor", "portable"]
    backplane: str | Backplane


SWITCHES = ("enable_nodelay", "disable_nodelay", "disable_linger")
"""Options that have no value."""


class Configurable:
    """A chainable method for each option, to be called before the server starts.

    Each raises ConfigurationError for a value that makes no sense, UsageError once the server has started.
    """

    def __init__(self, *unnamed: object, **options: Unpack[Options]) -> None:
        if unnamed:
            raise ConfigurationError("options are given by name, as in Server(port=8080)")
        self.origins: AllowedOrigins = None
        self.supported_subprotocols: tuple[str, ...] = ()
        self.negotiator = Negotiator(None, sys.maxsize)
        self.gzipping: Gzip | None = None
        self.logs_access = False
        self.worker_count = 1
        self.certificate: Certificate | None = None
        self.proxies: TrustedProxies | None = None
        self._started = False
        self._host = "127.0.0.1"
        self._port = 60000
        self._unix_socket: str | None = None
        self._backlog = 4096
        self._nodelay = True
        self._linger: SocketOption | None = None
        self._ttl: SocketOption | None = None
        self._ws_buffer_size = 65536
        self._http_buffer_size = 16384
        self._limits = Limits()
        self._driver_name: str | None = None
        self._backplane: Backplane | None = None
        for name, value in options.items():
            if name not in Options.__annotations__:
                known = ", ".join(Options.__annotations__)
                raise ConfigurationError(f"Server has no option {name!r}: it has {known}")
            if name in SWITCHES:
                self._check(value is True, f"{name} takes True", value)
                getattr(self, name)()
            else:
                getattr(self, name)(value)

    def host(self, host: str) -> Self:
        """Listen on this address or name; "0.0.0.0" and "::" are every address. Default: "127.0.0.1"."""
        self._check(isinstance(host, str) and host != "", "host takes an address or a name", host)
        self._host = host
        return self

    def port(self, port: int) -> Self:
        """Listen on this TCP port; 0 picks a free one, which `address` tells. Default: 60000."""
        self._check(is_int(port, 0, 65535), "port takes a number from 0 to 65535", port)
        self._port = port
        return self

    def unix_socket(self, path: str | os.PathLike[str]) -> Self:
        """Listen on a Unix socket at this path, and on no TCP port."""
        path = os.fspath(path) if isinstance(path, os.PathLike) else path
        usable = isinstance(path, str) and path != "" and hasattr(socket, "AF_UNIX")
        self._check(usable, "unix_socket takes a path, on a system that has Unix sockets", path)
        self._unix_socket = path
        return self

    def backlog(self, backlog: int) -> Self:
        """How many connections may wait to be accepted. Default: 4096."""
        self._check(is_int(backlog, 1, 1 << 30), "backlog takes a number from 1 to 1073741824", backlog)
        self._backlog = backlog
        return self

    def workers(self, count: int) -> Self:
        """Serve in so many processes, which `run` starts, watches over and starts again where they die.

        The system shares out the connections among them. Each has an event loop, limits and an application of
        its own: they have topics in common, which takes pip install 'hyperws[workers]' or a `backplane`, and
        no objects; `on_startup` and `on_shutdown` run in each. Only on systems that can fork. Default: 1.
        """
        self._check(is_int(count, 1, 1024), "workers takes a number from 1 to 1024", count)
        self.worker_count = count
        return self

    def enable_nodelay(self) -> Self:
        """Send small messages at once (TCP_NODELAY). This is the default."""
        self._check()
        self._nodelay = True
        return self

    def disable_nodelay(self) -> Self:
        """Let TCP gather small messages."""
        self._check()
        self._nodelay = False
        return self

    def enable_linger(self, seconds: int) -> Self:
        """SO_LINGER: how long closing may wait for unsent bytes; 0 resets the connection instead."""
        self._check(is_int(seconds, 0, 32767), "enable_linger takes whole seconds from 0 to 32767", seconds)
        # Windows' struct linger has two shorts, others' two ints
        linger = struct.pack("HH" if sys.platform == "win32" else "ii", 1, seconds)
        self._linger = (socket.SOL_SOCKET, socket.SO_LINGER, linger)
        return self

    def disable_linger(self) -> Self:
        """Leave it to the system to send what is left after closing. This is the default."""
        self._check()
        self._linger = None
        return self

    def ttl(self, hops: int) -> Self:
        """How many hops packets may take (IP_TTL, IPV6_UNICAST_HOPS)."""
        self._check(is_int(hops, 1, 255), "ttl takes a number from 1 to 255", hops)
        self._ttl = (socket.IPPROTO_IP, socket.IP_TTL, hops)
        return self

    def ws_buffer_size(self, size: int) -> Self:
        """Bytes that one read of a WebSocket asks for; never a limit of messages. Default: 65536.

        The portable driver takes what its transports give.
        """
        self._check(is_int(size, 1024, 1 << 24), "ws_buffer_size takes bytes from 1024 to 16777216", size)
        self._ws_buffer_size = size
        return self

    def http_buffer_size(self, size: int) -> Self:
        """Bytes that one read of an HTTP connection asks for; never a limit of requests. Default: 16384.

        The portable driver takes what its transports give.
        """
        self._check(is_int(size, 1024, 1 << 24), "http_buffer_size takes bytes from 1024 to 16777216", size)
        self._http_buffer_size = size
        return self

    def fragment_size(self, size: int | None) -> Self:
        """Bytes that one frame of a WebSocket message carries at most; a longer message goes out in several
        (RFC 6455, section 5.4). None, the default, for no bound: most clients take frames of any size."""
        rule = "fragment_size takes a number of bytes from 1, or None"
        self._check(size is None or is_int(size, 1, sys.maxsize), rule, size)
        self.negotiator = Negotiator(self.negotiator.compression, sys.maxsize if size is None else size)
        return self

    def limits(self, limits: Limits) -> Self:
        """What a peer may use up."""
        self._check(isinstance(limits, Limits), "limits takes a Limits(...)", limits)
        self._limits = limits
        return self

    def allowed_origins(self, origins: list[str] | Literal["*"]) -> Self:
        """The web pages that may open a WebSocket, as in ["https://example.com"]; "*" for all.

        By default only pages of the very host that the request names may. Clients that send no Origin are not
        browsers, and are always let in.
        """
        self._check()
        self.origins = checked_origins(origins)
        return self

    def trusted_proxies(self, proxies: list[str], *, by_forwarded: bool = False) -> Self:
        """Believe what these reverse proxies tell of their clients, as in ["127.0.0.1", "10.0.0.0/8"]; "unix"
        for whoever comes by the Unix socket.

        `ctx.client`, `ctx.scheme` and `ctx.host` are then the client's, by the headers X-Forwarded-For,
        -Proto and -Host, or with `by_forwarded` by Forwarded (RFC 7239). Default: no proxy is believed.
        """
        self._check()
        self.proxies = TrustedProxies(proxies, by_forwarded=by_forwarded)
        return self

    def subprotocols(self, names: list[str]) -> Self:
        """The WebSocket subprotocols that are spoken, the best first (RFC 6455, section 1.9).

        A client gets the first that it offers too, or none; `ctx.subprotocol` tells. Default: none.
        """
        valid = isinstance(names, (list, tuple)) and all(
            isinstance(name, str) and TOKEN.fullmatch(name) for name in names
        )
        rule = "subprotocols takes a list of different names without spaces, as in ['chat.v2']"
        self._check(valid and len(set(names)) == len(names), rule, names)
        self.supported_subprotocols = tuple(names)
        return self

    def compression(self, compression: bool | Compression) -> Self:
        """Compress messages for clients that can (permessage-deflate, RFC 7692), and take compressed ones.

        True for the settings that `Compression` has by default. Default: False.
        """
        valid = isinstance(compression, (bool, Compression))
        self._check(valid, "compression takes True, False or a Compression(...)", compression)
        settings = Compression() if compression is True else compression or None
        self.negotiator = Negotiator(settings, self.negotiator.fragment_size)
        return self

    def gzip(self, gzip: bool | Gzip) -> Self:
        """Compress HTTP responses of text for clients that accept it, where it pays.

        Leave it off, the default, where a response holds a secret beside something that an attacker may have
        chosen. What is streamed is never compressed.
        """
        self._check(isinstance(gzip, (bool, Gzip)), "gzip takes True, False or a Gzip(...)", gzip)
        self.gzipping = Gzip() if gzip is True else gzip or None
        return self

    def tls(
        self, certificate: ssl.SSLContext | tuple[File, File] | File, keyfile: File | None = None
    ) -> Self:
        """Speak https and wss alone: `tls("chain.pem", "key.pem")`, or with an SSLContext of the
        application's, which decides about all else, SNI for instance.

        With files, http/1.1 is the only protocol that is negotiated (ALPN), and `reload_tls` reads them
        again. TLS takes the portable driver. Raises ConfigurationError for files that can't be used.
        """
        self._check()
        if isinstance(certificate, tuple):
            certificate, keyfile = certificate
        self.certificate = Certificate(certificate, keyfile)
        return self

    def access_log(self, enabled: bool) -> Self:
        """Write a line for every request and every closed WebSocket to the logger "hyperws.access", at the
        level INFO. Default: False."""
        self._check(isinstance(enabled, bool), "access_log takes True or False", enabled)
        self.logs_access = enabled
        return self

    def driver(self, name: Literal["reactor", "portable"]) -> Self:
        """What does the input and output: the "reactor" with a poller of its own, the default where there is
        one, or "portable" on the event loop's transports. The environment's HYPERWS_DRIVER overrides it."""
        self._check(name in ("reactor", "portable"), "driver takes 'reactor' or 'portable'", name)
        self._driver_name = name
        return self

    def backplane(self, backplane: str | Backplane) -> Self:
        """Reach the subscribers in other processes and on other machines through a broker, as in
        "redis://localhost" (Redis or Valkey) or "nats://localhost", or by a Backplane of one's own.
        Applications that share a broker need different names, as in "redis://localhost?prefix=shop".

        Default: none, topics are within one process, or the workers of one server.
        """
        rule = "backplane takes a URL such as 'redis://localhost', or a Backplane"
        self._check(isinstance(backplane, (str, Backplane)), rule, backplane)
        self._backplane = backplane_at(backplane) if isinstance(backplane, str) else backplane
        return self

    def _check(self, valid: bool = True, rule: str = "", value: object = None) -> None:
        if self._started:
            raise UsageError("options must be set before the server starts")
        if not valid:
            raise ConfigurationError(f"{rule}, not {value!r}")

    @property
    def listens_on_unix_socket(self) -> bool:
        return self._unix_socket is not None

    @property
    def shutdown_grace(self) -> float | None:
        return self._limits.shutdown_grace

    @property
    def _tcp_options(self) -> list[SocketOption]:
        nodelay = (socket.IPPROTO_TCP, socket.TCP_NODELAY, int(self._nodelay))
        return [nodelay, *(option for option in (self._linger, self._ttl) if option is not None)]
