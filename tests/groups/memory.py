"""A broker in memory, for servers in one event loop: a backplane as a user might write it, and the tests'."""

from __future__ import annotations

import asyncio
import itertools

from hyperws.groups.backplane import Backplane, Delivery, Kept, Link, Past

from .clients import Pair


class Broker(Backplane):
    def __init__(self):
        self.links = set()
        self.made = 0           # how many links there ever were
        self.away = False       # nobody can connect
        self.stalled = asyncio.Event()
        self.stalled.set()      # cleared: nothing is answered
        self.connected = asyncio.Event()
        self.epochs = itertools.count(1)
        self.forget()

    def __str__(self):
        return "memory://"

    def forget(self):
        """Lose everything that is kept."""
        self.topics = {}        # topic: (epoch, offset, [(offset, time, data)])
        self.numbers = {}       # of the last message kept of each process
        self.notes = {}         # {topic: {origin: (expires, note)}}

    def cut(self):
        """End every connection."""
        for link in list(self.links):
            link.end()

    async def connect(self, origin, deliver, lost):
        if self.away:
            raise ConnectionRefusedError("the broker is away")
        await self.stalled.wait()
        link = MemoryLink(self, origin, deliver, lost)
        self.links.add(link)
        self.made += 1
        self.connected.set()
        return link

    def topic(self, topic):
        if topic not in self.topics:
            self.topics[topic] = [f"epoch{next(self.epochs)}", 0, []]
        return self.topics[topic]

    def deliver(self, delivery):
        for link in self.links:
            if delivery.topic in link.topics:
                link.loop.call_soon(link.take, delivery)


class MemoryLink(Link):
    def __init__(self, broker, origin, deliver, lost):
        self.broker = broker
        self.origin = origin
        self.deliver = deliver
        self.lost = lost
        self.topics = set()
        self.loop = asyncio.get_running_loop()

    def end(self):
        self.broker.links.discard(self)
        self.lost(ConnectionResetError("the broker has ended the connection"))

    def take(self, delivery):
        if self in self.broker.links:
            self.deliver(delivery)

    async def answer(self):
        await self.broker.stalled.wait()
        if self not in self.broker.links:
            raise ConnectionResetError("the connection has ended")

    async def subscribe(self, topics):
        await self.answer()
        self.topics.update(topics)

    async def unsubscribe(self, topics):
        await self.answer()
        self.topics.difference_update(topics)

    async def publish(self, publications):
        await self.answer()
        for publication in publications:
            topic, data, number, keep = publication
            if keep is None:
                self.broker.deliver(Delivery(topic, data))
            elif number > self.broker.numbers.get(self.origin, 0):
                self.broker.numbers[self.origin] = number
                kept = self.broker.topic(topic)
                kept[1] += 1
                kept[2].append((kept[1], self.loop.time(), data))
                del kept[2][:-keep.messages]
                self.broker.deliver(Delivery(topic, data, kept[0], kept[1], kept[1] - 1))

    async def read(self, topic, keep):
        await self.answer()
        epoch, offset, messages = self.broker.topic(topic)
        now = self.loop.time()
        kept = [Kept(each, now - time, data) for each, time, data in messages if time >= now - keep.seconds]
        return Past(epoch, kept[0].offset - 1 if kept else offset, kept)

    async def write_note(self, topic, note, seconds):
        await self.answer()
        self.broker.notes.setdefault(topic, {})[self.origin] = self.loop.time() + seconds, note

    async def read_notes(self, topic):
        await self.answer()
        notes = self.broker.notes.get(topic, {}).items()
        return {origin: note for origin, (expires, note) in notes if note and expires > self.loop.time()}

    async def ping(self):
        await self.answer()

    async def close(self):
        self.broker.links.discard(self)


class Cuttable(Pair):
    """Two servers on a broker in memory."""

    def __init__(self, serving, broker):
        super().__init__(serving, broker)
        self.broker = broker

    async def away(self):
        """Cut every connection, and let nobody connect."""
        self.broker.away = True
        self.broker.cut()
        await self.until(lambda: not any(server.healthy for server in self.servers))

    def cut_off(self, number):
        """Cut the connection of one of the servers."""
        self.broker.away = True
        for link in list(self.broker.links):
            if link.origin == self.servers[number]._relay.origin:
                link.end()

    async def back(self):
        self.broker.away = False
        await self.healthy()
