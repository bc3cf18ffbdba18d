"""`Context`: what a handler is given.

It is put together from three rooms: `_core.context` has what is called for every message, `exchange` has the
request and the response, `verbs` has other names for some of it.
"""

from __future__ import annotations

from hyperws.verbs import Verbs


class Context(Verbs):
    """One WebSocket connection, or one HTTP request; `is_websocket` tells which."""

    __slots__ = ()
