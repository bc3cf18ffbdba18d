"""Listening sockets that outlive the processes which accept their connections.

Each worker listens on a port by sockets of its own, so that the system shares out the connections evenly
(SO_REUSEPORT). The supervisor keeps them too, and who comes after a worker goes on with them: a connection
that waits to be accepted while workers change is neither refused nor reset.

Where the system does not share out, and on a Unix socket, all workers accept from the same sockets.
"""

from __future__ import annotations

import socket
import sys
from typing import NamedTuple

from hyperws.listening import (
    SocketOption,
    bind_tcp,
    close_all,
    listen_tcp,
    listen_unix,
    set_options,
)

Address = tuple[str, int]   # (host, port), or (path, 0)

SHARES_OUT = sys.platform == "linux"


class Listeners(NamedTuple):
    """What one worker listens on."""

    asked: Address
    """Where its server was told to listen, which may be port 0."""
    sockets: list[socket.socket]

    def close(self) -> None:
        close_all(self.sockets)

    @property
    def address(self) -> Address:
        return address_of(self.sockets)

    @property
    def is_unix(self) -> bool:
        return isinstance(self.sockets[0].getsockname(), str)


def address_of(sockets: list[socket.socket]) -> Address:
    """(host, port), or (path, 0)."""
    name = sockets[0].getsockname()
    return (name, 0) if isinstance(name, str) else (name[0], name[1])


class Handover:
    """What a new worker finds: the listeners of the one before it in its place, and those of the others."""

    def __init__(self, before: Listeners | None, others: list[Listeners]) -> None:
        self.before = before
        self.others = others
        self.result: Listeners | None = None    # what this worker listens on

    def listen_tcp(
        self, host: str, port: int, backlog: int, options: list[SocketOption]
    ) -> list[socket.socket]:
        """Listen on a port beside the other workers. Raises ListenError."""
        asked = (host, port)
        if (found := self.find(asked, shared=not SHARES_OUT)) is not None:
            for listener in found.sockets:
                set_options(listener, options)
                listener.listen(backlog)
        else:
            beside = next((each for each in self.others if each.asked == asked), None)
            if beside is None:
                # a stranger of the same user might let us listen beside it
                close_all(bind_tcp(host, port, options))
            else:
                port = beside.address[1]
            found = Listeners(asked, listen_tcp(host, port, backlog, options, reuse_port=SHARES_OUT))
        return self.go_on_with(found)

    def listen_unix(self, path: str, backlog: int) -> list[socket.socket]:
        """Listen on a Unix socket with the other workers. Raises ListenError."""
        asked = (path, 0)
        found = self.find(asked, shared=True)
        return self.go_on_with(found or Listeners(asked, [listen_unix(path, backlog)]))

    def find(self, asked: Address, *, shared: bool) -> Listeners | None:
        """The listeners to go on with."""
        found = [self.before, *(self.others if shared else [])]
        return next((each for each in found if each is not None and each.asked == asked), None)

    def go_on_with(self, listeners: Listeners) -> list[socket.socket]:
        for each in (self.before, *self.others):
            if each is not None and each is not listeners:
                each.close()
        self.result = listeners
        return listeners.sockets
