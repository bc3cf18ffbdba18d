"""A server that is several processes, as tests start and watch it."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
import textwrap
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path

SCRIPT = Path(__file__).parent / "server.py"
LISTENS = r"worker (\d+) \(pid (\d+)\) listens on \('127\.0\.0\.1', (\d+)\)"
APPLICATION = """
    import os
    from hyperws import Server

    server = Server(port=0, workers=2)

    @server.route("/")
    async def handler(ctx):
        await ctx.send("first")
"""


class Processes:
    """A command and what it forks, until all of them have ended. What they say comes line by line."""

    def __init__(self, command, folder, **settings):
        self.process = subprocess.Popen(
            [sys.executable, *command], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            **settings,
        )  # fmt: skip
        self.pid = self.process.pid
        self.heard = []

    def __enter__(self):
        return self

    def __exit__(self, *error):
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate(timeout=60)    # until the workers have noticed, and closed them

    def says(self, pattern):
        """Wait for a line on stderr."""
        while line := self.process.stderr.readline():
            self.heard.append(line)
            if match := re.search(pattern, line):
                return match
        raise AssertionError(f"it ended without saying {pattern}")

    def listens(self, count=2):
        """Wait until workers listen. Returns {number: pid}, and keeps the port."""
        workers = {}
        for _ in range(count):
            number, pid, port = map(int, self.says(LISTENS).groups())
            workers[number] = pid
            self.port = port
        return workers

    def replaces(self, count=2):
        """Wait until workers listen, and as many others have ended. Returns {number: pid}."""
        workers, ended = {}, 0
        while len(workers) < count or ended < count:
            match = self.says(f"{LISTENS}|ended with status 0")
            if match[1] is None:
                ended += 1
            else:
                number, pid, self.port = map(int, match.groups())
                workers[number] = pid
        return workers

    def send(self, number):
        self.process.send_signal(number)

    def ends(self):
        """(its exit status, what was left to say on stderr), once all of them have ended."""
        _, rest = self.process.communicate(timeout=60)
        return self.process.returncode, rest

    def get(self, path="/pid"):
        with closing(HTTPConnection("127.0.0.1", self.port, timeout=20)) as client:
            client.request("GET", path)
            return client.getresponse().read().decode()

    def all_serve(self, pids):
        """Ask until each of them has answered, and nobody else."""
        left = set(pids)
        while left:
            pid = int(self.get())
            assert pid in pids
            left.discard(pid)


def serve(folder, **options):
    return Processes([str(SCRIPT), json.dumps({"port": 0, "workers": 2} | options)], folder)


def hyperws_run(folder, *arguments, **settings):
    return Processes(["-m", "hyperws", "run", *arguments], folder, **settings)


def application(folder, text=APPLICATION, name="app"):
    (folder / f"{name}.py").write_text(textwrap.dedent(text))


class Upload:
    """A request whose handler waits for the end of its body."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=20)
        self.file = self.socket.makefile("rb")
        self.socket.sendall(
            b"POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n"
        )
        assert self.file.readline() == b"HTTP/1.1 100 Continue\r\n"     # its handler asks for the body
        assert self.file.readline() == b"\r\n"
        self.socket.sendall(b"ab")

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.file.close()
        self.socket.close()

    def answer(self):
        """All that comes, until the server closes its side; this side is closed then too."""
        self.socket.sendall(b"cd")
        with self:
            return self.file.read()
