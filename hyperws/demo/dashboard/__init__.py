"""A stream of live data, at /data: ten points a second until the client leaves.

The first message is a greeting in plain text; then {"timestamp": 1700000000.1, "value": 42.5, "sequence": 0}.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import math
import random
import time

from hyperws import Context, Server

INTERVAL = 0.1  # seconds between two points


def mount(server: Server) -> None:
    server.route("/data", data, websocket=True)


async def data(ctx: Context) -> None:
    await ctx.send("Connected to real-time data stream")
    for sequence in itertools.count():  # ends when the client is gone: send() raises ConnectionClosed
        now = time.time()
        point = {"timestamp": round(now, 3), "value": round(measure(now), 2), "sequence": sequence}
        await ctx.send(json.dumps(point))
        await asyncio.sleep(INTERVAL)


def measure(now: float) -> float:
    """A value between 0 and 100. It depends on the time alone, but for noise: every client sees one curve."""
    return 50 + 30 * math.sin(now / 5) + 14 * math.sin(now / 1.7) + random.uniform(-3, 3)
