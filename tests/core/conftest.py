"""A WebSocket whose both ends are in the test's hands."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import pytest

from hyperws import Limits, Server

from .peer import HANDSHAKE, Peer


@pytest.fixture
def meeting(serving):
    """`async with meeting(…) as (ctx, peer):` is inside a handler, whose connection has these limits."""

    @asynccontextmanager
    async def meeting(**limits):
        server = Server(limits=Limits(**limits))
        met = asyncio.get_running_loop().create_future()
        over = asyncio.Event()

        @server.route("/", websocket=True)
        async def handler(ctx):
            met.set_result(ctx)
            await over.wait()

        async with serving(server) as running:
            peer = await Peer.connect(running.host, running.port)
            try:
                peer.write(HANDSHAKE)
                await peer.read_head()
                yield await met, peer
            finally:
                over.set()
                peer.close()

    return meeting
