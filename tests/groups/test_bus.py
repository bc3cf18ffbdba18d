"""The bus: the contract of links, and what is special about a hub."""

from __future__ import annotations

import os
import sys

from hyperws.groups.bus import Bus

from .brokers import Broker
from .contract import LinkContract

HUB = """
import logging, sys
from hyperws.groups.hub import serve
logging.basicConfig(level=logging.INFO, stream=sys.stdout)
serve(sys.argv[1])
"""


class HubProcess(Broker):
    """A hub."""

    program = sys.executable
    ready = b"the hub listens"
    url = ""
    environment = os.environ    # it is ours, sanitizers and all

    def command(self):
        (self.folder / "private").mkdir(mode=0o700, exist_ok=True)
        self.url = f"ipc://{self.folder}/private/hub"
        return [self.program, "-c", HUB, self.url]


class TestContract(LinkContract):
    def start(self, folder, *, lasting=False):
        return HubProcess(folder)

    def backplane(self):
        return Bus(self.broker.url)
