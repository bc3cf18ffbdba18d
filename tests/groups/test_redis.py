"""Redis as a backplane."""

from __future__ import annotations

from hyperws.groups.redis import Redis

from .brokers import RedisServer
from .contract import LinkContract


class TestRedis(LinkContract):
    def start(self, folder, *, lasting=False):
        return RedisServer(folder, lasting=lasting)

    def backplane(self):
        return Redis(self.broker.url)
