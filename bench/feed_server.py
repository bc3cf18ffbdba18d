"""The feed that feeds.py compares the ways to: `feed_server.py PORT RATE POLLERS`.

One topic, whose messages clients get on /stream as a WebSocket or as Server-Sent Events, on /next by long
polling, and on /latest by plain polling. GET /start has the feed begin, and tells the server's memory before
that, in MB.

RATE is messages per second. Where it is 0, a message is published as soon as the one before has left: in
every turn of the event loop, or once POLLERS clients wait for it, where there are any.
"""

import asyncio
import os
import sys
import time
from itertools import count

from processes import Process

from hyperws import Context, Limits, Server

TOPIC = "feed"
TEXT = "the same message for all of these clients"   # brings a message to 100 bytes


class Feed:
    def __init__(self, server: Server, rate: float, pollers: int) -> None:
        self.server, self.rate, self.pollers = server, rate, pollers
        self.latest = ""
        self.waiting = 0
        self.all_wait = asyncio.Event()

    async def next(self, ctx: Context) -> None:
        """Answer one of the clients that poll when there is something new."""
        self.waiting += 1
        if self.waiting == self.pollers:
            self.all_wait.set()
        await ctx.poll(TOPIC)

    async def publish(self) -> None:
        began = time.monotonic()
        for number in count(1):
            if self.rate:
                await asyncio.sleep(began + (number - 1) / self.rate - time.monotonic())
            elif self.pollers:
                await self.all_wait.wait()
                self.all_wait.clear()
                self.waiting = 0
            else:
                await asyncio.sleep(0)
            self.latest = f'{{"number":{number:10},"sent":{time.monotonic_ns():20},"text":"{TEXT}"}}'
            self.server.publish(TOPIC, self.latest)


def serve(port: int, rate: float, pollers: int) -> None:
    server = Server(host="127.0.0.1", port=port, limits=Limits(ping_interval=None, idle_timeout=None))
    feed = Feed(server, rate, pollers)
    tasks = []

    @server.route("/start")
    async def start(ctx: Context) -> None:
        await ctx.json(Process(os.getpid()).megabytes("VmRSS"))
        tasks.append(asyncio.create_task(feed.publish()))

    @server.route("/stream")
    async def stream(ctx: Context) -> None:
        ctx.subscribe(TOPIC)
        await ctx.wait_closed()

    @server.route("/latest")
    async def latest(ctx: Context) -> None:
        await ctx.text(feed.latest)

    server.route("/next", feed.next)
    server.run(on_listening=lambda: print("ready", flush=True))


if __name__ == "__main__":
    serve(int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3]))
