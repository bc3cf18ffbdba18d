"""`Context`: what a handler is given.

It is put together from rooms, each on top of the one before: `_core.context` has what is called for every
message, `incoming` the request, `exchange` the response, `streams` responses that take their time, and
`verbs` other names for some of it.
"""

from __future__ import annotations

from hyperws.verbs import Verbs


class Context(Verbs):
    """One WebSocket connection, or one HTTP request; `is_websocket` tells which."""

    __slots__ = ()
