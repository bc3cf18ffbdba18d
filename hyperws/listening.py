"""The sockets that a server listens on."""

from __future__ import annotations

import errno
import os
import socket
import stat

from hyperws.errors import ListenError

SocketOption = tuple[int, int, int | bytes]


def listen_tcp(
    host: str, port: int, backlog: int, options: list[SocketOption], *, reuse_port: bool = False
) -> list[socket.socket]:
    """Listen on every address of `host`, on one port. Sockets accepted later inherit the `options`.

    With `reuse_port`, others that have it too may listen beside, and the system shares out the connections
    (SO_REUSEPORT). Raises ListenError.
    """
    sockets = bind_tcp(host, port, options, reuse_port)
    try:
        for listener in sockets:
            listener.listen(backlog)
    except OSError as error:
        close_all(sockets)
        raise ListenError(describe(error, host, port)) from None
    return sockets


def bind_tcp(
    host: str, port: int, options: list[SocketOption], reuse_port: bool = False
) -> list[socket.socket]:
    try:
        found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (socket.gaierror, UnicodeError):
        raise ListenError(f"the host {host!r} is no address and no known name: check host(...)") from None
    sockets: list[socket.socket] = []
    try:
        for family, kind, protocol, _, address in dict.fromkeys(found):
            listener = socket.socket(family, kind, protocol)
            sockets.append(listener)
            if os.name == "posix":
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if reuse_port:
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            if family == socket.AF_INET6:
                listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            set_options(listener, options)
            if port == 0 and len(sockets) > 1:
                address = (address[0], sockets[0].getsockname()[1], *address[2:])
            listener.setblocking(False)
            listener.bind(address)
    except OSError as error:
        close_all(sockets)
        raise ListenError(describe(error, host, port)) from None
    return sockets


def set_options(listener: socket.socket, options: list[SocketOption]) -> None:
    for level, option, value in options:
        if listener.family == socket.AF_INET6 and (level, option) == (socket.IPPROTO_IP, socket.IP_TTL):
            level, option = socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS
        listener.setsockopt(level, option, value)


def close_all(sockets: list[socket.socket]) -> None:
    for each in sockets:
        each.close()


def listen_unix(path: str, backlog: int) -> socket.socket:
    """Listen on a Unix socket, in place of one that nobody listens on any more. Raises ListenError."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if is_stale(path):
            os.unlink(path)
        listener.setblocking(False)
        listener.bind(path)
        listener.listen(backlog)
    except (OSError, ValueError) as error:
        listener.close()
        if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
            raise ListenError(
                f"{path} exists already: remove it, or choose another unix_socket(...)"
            ) from None
        raise ListenError(f"can't listen on {path!r}: {getattr(error, 'strerror', None) or error}") from None
    return listener


def is_stale(path: str) -> bool:
    """Whether `path` is a socket that refuses connections."""
    try:
        if not stat.S_ISSOCK(os.stat(path).st_mode):
            return False
    except FileNotFoundError:
        return False
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        return probe.connect_ex(path) == errno.ECONNREFUSED


def describe(error: OSError, host: str, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {port} of {host} is in use: stop its program, or choose another port (0 for any)"
    if error.errno == errno.EACCES:
        return f"port {port} needs privileges that this user lacks: choose a port from 1024 up"
    if error.errno == errno.EADDRNOTAVAIL:
        return f"{host} is no address of this machine: use '127.0.0.1' for itself, '0.0.0.0' for everyone"
    return f"can't listen on port {port} of {host}: {error.strerror}"
