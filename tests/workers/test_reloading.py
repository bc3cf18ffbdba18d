"""Options of `hyperws run`, and new workers at SIGHUP."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
from collections import Counter
from contextlib import ExitStack

import pytest

from .processes import APPLICATION, application, hyperws_run, serve

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows can't fork")

PATIENCE = 20  # seconds


def test_options_of_the_command_and_a_function_that_makes_the_server(tmp_path):
    text = """
    from hyperws import Server

    def create():
        return Server(host="203.0.113.1", port=1).route("/", handler)

    async def handler(ctx):
        await ctx.send("made")
    """
    application(tmp_path, text)
    arguments = ["app:create", "--workers", "3", "--host", "127.0.0.1", "--port", "0"]
    with hyperws_run(tmp_path, *arguments) as processes:
        assert set(processes.listens(3)) == {1, 2, 3}
        assert processes.get("/") == "made"
        processes.send(signal.SIGINT)
        assert processes.ends()[0] == 0


@pytest.mark.parametrize(
    ("setup", "told"),
    [
        ("", r"^[\d-]+ [\d:,]+ ERROR the handler of / raised"),
        ("logging.basicConfig(format='mine: %(message)s')", r"^mine: the handler of / raised"),
    ],
)
def test_the_log_is_the_applications_where_it_has_one(tmp_path, setup, told):
    text = f"""
    import logging
    from hyperws import Server

    {setup}
    server = Server(port=0)

    @server.route("/")
    async def handler(ctx):
        1 / 0
    """
    application(tmp_path, text)
    with hyperws_run(tmp_path, "app:server") as processes:
        processes.listens(1)
        assert "failed to answer" in processes.get("/")
        processes.says(told)
        processes.send(signal.SIGTERM)
        assert "raised" not in processes.ends()[1]


def test_new_code_after_sighup_and_the_old_where_it_is_broken(tmp_path):
    application(tmp_path)
    with hyperws_run(tmp_path, "app:server") as processes:
        first = processes.listens()
        assert processes.get("/") == "first"
        application(tmp_path, APPLICATION.replace("first", "the second"))
        processes.send(signal.SIGHUP)
        second = processes.replaces()
        assert set(second) == {1, 2}
        assert not set(first.values()) & set(second.values())
        assert {processes.get("/") for _ in range(20)} == {"the second"}
        application(tmp_path, "raise LookupError('no database')")
        processes.send(signal.SIGHUP)
        processes.says("LookupError: no database")
        processes.says("worker 1 .* ended with status 1 before it was ready: the workers stay what they are")
        assert {processes.get("/") for _ in range(20)} == {"the second"}
        application(tmp_path, APPLICATION.replace("first", "number three"))
        processes.send(signal.SIGHUP)
        processes.replaces()
        assert processes.heard.count("LookupError: no database\n") == 1
        assert {processes.get("/") for _ in range(20)} == {"number three"}
        processes.send(signal.SIGTERM)
        assert processes.ends()[0] == 0


def test_a_new_port_after_sighup(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    application(tmp_path)
    with hyperws_run(tmp_path, "app:server") as processes:
        processes.listens()
        before = processes.port
        application(tmp_path, APPLICATION.replace("port=0", f"port={port}"))
        processes.send(signal.SIGHUP)
        processes.replaces()
        assert processes.port == port
        assert {processes.get("/") for _ in range(20)} == {"first"}
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", before), timeout=20)
        processes.send(signal.SIGTERM)
        assert processes.ends()[0] == 0


def test_what_waits_for_a_worker_is_answered_by_the_one_after_it(tmp_path):
    text = """
    import sys
    from hyperws import Server

    server = Server(port=0)

    @server.route("/")
    async def handler(ctx):
        await ctx.send("answer")

    @server.route("/stuck")
    async def stuck(ctx):
        print("stuck", file=sys.stderr, flush=True)
        while True:
            pass
    """
    application(tmp_path, text)
    with hyperws_run(tmp_path, "app:server") as processes, ExitStack() as stack:
        processes.listens(1)

        def ask(path):
            peer = stack.enter_context(socket.create_connection(("127.0.0.1", processes.port), timeout=20))
            peer.sendall(f"GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
            return peer

        ask("/stuck")
        processes.says("stuck")
        waiting = [ask("/") for _ in range(20)]
        processes.send(signal.SIGHUP)
        for peer in waiting:
            with peer, peer.makefile("rb") as file:
                assert file.read().endswith(b"answer")
        processes.send(signal.SIGTERM)
        processes.says("ended with status 0")
        processes.send(signal.SIGTERM)
        assert processes.ends()[0] == 1     # the one that was stuck had to be killed


class Load:
    """Clients that ask again and again, on a connection for each request or on one for many."""

    def __init__(self, port):
        self.port = port
        self.answers = Counter()
        self.over = False
        self.some_came = asyncio.Event()

    async def ask(self, keep_alive):
        writer = None
        while not self.over:
            if writer is None:
                reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
            choice = "keep-alive" if keep_alive else "close"
            writer.write(f"GET /pid HTTP/1.1\r\nHost: a\r\nConnection: {choice}\r\n\r\n".encode())
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            body = await reader.readexactly(int(re.search(r"content-length: (\d+)", head)[1]))
            assert head.startswith("HTTP/1.1 200 ")
            self.answers[int(body)] += 1
            if self.answers.total() >= 100:
                self.some_came.set()
            if not keep_alive or "connection: close" in head:
                writer.close()
                writer = None
        if writer is not None:
            writer.close()

    async def __aenter__(self):
        clients = [self.ask(False) for _ in range(30)] + [self.ask(True) for _ in range(10)]
        self.tasks = [asyncio.create_task(client) for client in clients]
        await asyncio.wait_for(self.some_came.wait(), PATIENCE)
        return self

    async def __aexit__(self, *error):
        self.over = True
        await asyncio.wait_for(asyncio.gather(*self.tasks), PATIENCE)


async def test_sighup_under_load_turns_nobody_away(tmp_path):
    with serve(tmp_path) as processes:
        old = set(processes.listens().values())
        async with Load(processes.port) as load:
            for _ in range(3):
                processes.send(signal.SIGHUP)
                new = set((await asyncio.to_thread(processes.listens)).values())
                assert not old & new
                old = new
            load.answers.clear()
            load.some_came.clear()
            await asyncio.wait_for(load.some_came.wait(), PATIENCE)
        processes.send(signal.SIGTERM)
        status, rest = processes.ends()
        assert status == 0
        assert "rror" not in rest
