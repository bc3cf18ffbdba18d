"""The feed that feeds.py has got in several ways, and slow.py by some clients that stop reading.

One topic, whose messages clients get on /stream as a WebSocket or as Server-Sent Events, on /next by long
polling, and on /latest by plain polling. GET /start has the feed begin, and tells the server's memory before
that, in MB. GET /slow tells of the streams: at which message of the feed those that are gone were cut off,
and how many messages each of the others did not get.
"""

import argparse
import asyncio
import os
import time
from itertools import count

from processes import Process

from hyperws import Context, Limits, Server
from hyperws._core.topics import Subscription

TOPIC = "feed"


class Feed:
    def __init__(self, server: Server, options: argparse.Namespace) -> None:
        self.server, self.policy = server, options.policy
        self.rate, self.pollers = options.rate, options.pollers
        self.text = "x" * (options.size - len(message(0, "")))
        self.latest = ""
        self.number = 0
        self.waiting = 0
        self.all_wait = asyncio.Event()
        self.streams: set[Subscription] = set()
        self.cut_off: list[int] = []

    async def stream(self, ctx: Context) -> None:
        subscription = ctx.subscribe(TOPIC, policy=self.policy)
        self.streams.add(subscription)
        await ctx.wait_closed()
        self.streams.remove(subscription)
        self.cut_off.append(self.number)

    async def next(self, ctx: Context) -> None:
        """Answer one of the clients that poll when there is something new."""
        self.waiting += 1
        if self.waiting == self.pollers:
            self.all_wait.set()
        await ctx.poll(TOPIC)

    async def publish(self) -> None:
        began = time.monotonic()
        for self.number in count(1):
            if self.rate:
                await asyncio.sleep(began + (self.number - 1) / self.rate - time.monotonic())
            elif self.pollers:
                await self.all_wait.wait()
                self.all_wait.clear()
                self.waiting = 0
            else:
                await asyncio.sleep(0)
            self.latest = message(self.number, self.text)
            self.server.publish(TOPIC, self.latest)


def message(number: int, text: str) -> str:
    return f'{{"number":{number:10},"sent":{time.monotonic_ns():20},"text":"{text}"}}'


def serve(options: argparse.Namespace) -> None:
    limits = Limits(ping_interval=None, idle_timeout=None, send_queue=options.send_queue)
    server = Server(host="127.0.0.1", port=options.port, limits=limits)
    feed = Feed(server, options)
    tasks = []

    @server.route("/start")
    async def start(ctx: Context) -> None:
        await ctx.json(Process(os.getpid()).megabytes("VmRSS"))
        tasks.append(asyncio.create_task(feed.publish()))

    @server.route("/latest")
    async def latest(ctx: Context) -> None:
        await ctx.text(feed.latest)

    @server.route("/slow")
    async def slow(ctx: Context) -> None:
        dropped = [stream.dropped for stream in feed.streams if stream.dropped]
        await ctx.json({"cut_off": feed.cut_off, "dropped": dropped})

    server.route("/stream", feed.stream)
    server.route("/next", feed.next)
    server.run(on_listening=lambda: print("ready", flush=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("port", type=int)
    parser.add_argument("--rate", type=float, default=0, help="messages/s; 0: one in every turn of the loop,")
    parser.add_argument("--pollers", type=int, default=0, help="or as soon as so many wait for it on /next")
    parser.add_argument("--size", type=int, default=100, help="bytes of a message")
    parser.add_argument("--policy", default="close", help="for streams that are too slow")
    parser.add_argument("--send-queue", type=int, default=Limits().send_queue, help="Limits.send_queue")
    serve(parser.parse_args())


if __name__ == "__main__":
    main()
