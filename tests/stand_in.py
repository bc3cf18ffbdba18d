"""A context as request middleware sees it, without a server."""

from __future__ import annotations

import asyncio
import inspect

from hyperws.forms import parse_query
from hyperws.headers import Headers
from hyperws.response import Response


class StandIn:
    def __init__(self, *lines, method="GET", query="", wants_websocket=False):
        """`lines` are headers as (name, value)."""
        self.method = method
        self.headers = Headers((name.encode(), value.encode("latin-1")) for name, value in lines)
        self.query = parse_query(query)
        self.wants_websocket = wants_websocket
        self.state = {}
        self.response = Response()
        self.aborted = False

    def set_response_status_code(self, status):
        self.response.set_status(status)
        return self

    def set_response_header(self, name, value):
        self.response.set_header(name, value)
        return self

    def set_response_body(self, body):
        self.response.set_body(body)
        return self

    def abort(self):
        self.aborted = True
        return self


def passed_through(middleware, *lines, **request):
    """The context of a request that middleware was called with."""
    context = StandIn(*lines, **request)
    result = middleware(context)
    if inspect.isawaitable(result):
        asyncio.run(until_done(result))
    return context


async def until_done(awaitable):
    await awaitable
