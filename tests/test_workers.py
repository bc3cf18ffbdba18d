"""Several processes that serve one address, and the one that watches over them."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import socket
import subprocess
import sys
import textwrap
import threading
from collections import Counter
from contextlib import ExitStack, closing
from http.client import HTTPConnection, HTTPSConnection
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from hyperws import ConfigurationError, Server, UsageError, run
from hyperws.supervisor import Child

from .test_bodies import soon

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows can't fork")

SCRIPT = Path(__file__).parent / "worker_server.py"
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


# --------------------------------------------------------------------------- serving


def test_all_serve_on_one_port_that_is_told_once(tmp_path):
    with serve(tmp_path, workers=3) as processes:
        workers = processes.listens(3)
        assert json.loads(processes.process.stdout.readline()) == ["127.0.0.1", processes.port]
        assert len({processes.pid, *workers.values()}) == 4
        processes.all_serve(set(workers.values()))
        assert json.loads(processes.get("/address")) == ["127.0.0.1", processes.port]
        processes.send(signal.SIGTERM)
        assert processes.process.stdout.read() == "ended\n"
        assert processes.ends()[0] == 0


def test_a_unix_socket_is_shared_and_removed_at_the_end(tmp_path):
    path = str(tmp_path / "socket")

    def ask():
        with socket.socket(socket.AF_UNIX) as peer:
            peer.settimeout(20)
            peer.connect(path)
            peer.sendall(b"GET /pid HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            with peer.makefile("rb") as file:
                return int(file.read().rpartition(b"\r\n")[2])

    with serve(tmp_path, unix_socket=path) as processes:
        pids = [int(processes.says(r"\(pid (\d+)\) listens on \('/.*socket', 0\)")[1]) for _ in range(2)]
        assert ask() in pids
        for pid in pids:    # whoever is left serves
            os.kill(pid, signal.SIGKILL)
            processes.says(rf"\(pid {pid}\) was ended by SIGKILL")
            assert ask() != pid
            processes.says("listens")
        processes.send(signal.SIGHUP)
        for _ in range(2):
            processes.says("listens")
            ask()
        processes.send(signal.SIGTERM)
        assert processes.ends()[0] == 0
    assert not os.path.exists(path)


def test_tls_and_its_new_certificate_at_sighup(tmp_path, authority):
    def issue(name):
        issued = authority.issue_cert("127.0.0.1", name)
        issued.private_key_and_cert_chain_pem.write_to_path(tmp_path / "all.pem")

    def names():
        client = HTTPSConnection("127.0.0.1", processes.port, context=authority.trusting, timeout=20)
        with closing(client):
            client.connect()
            names = {value for _, value in client.sock.getpeercert()["subjectAltName"]}
            client.request("GET", "/pid")
            assert client.getresponse().read().isdigit()
            return names

    issue("first.example")
    with serve(tmp_path, certificate=["all.pem"] * 2) as processes:
        processes.listens()
        assert "first.example" in names()
        issue("second.example")
        processes.send(signal.SIGHUP)
        processes.replaces()
        for _ in range(10):
            assert "second.example" in names()
        (tmp_path / "all.pem").write_text("spoilt")
        processes.send(signal.SIGHUP)
        processes.says("tls can't use")
        processes.says("stay what they are")
        assert "second.example" in names()
        processes.send(signal.SIGTERM)
        assert processes.ends()[0] == 0


def test_a_port_that_others_have_is_refused(tmp_path):
    with serve(tmp_path) as processes:
        processes.listens()
        with serve(tmp_path, port=processes.port) as late:
            late.says(rf"^hyperws: port {processes.port} of 127\.0\.0\.1 is in use")
            status, rest = late.ends()
            assert status == 1
            assert "in use" not in rest
        assert processes.get().isdigit()


# ------------------------------------------------------------------- dying, and starting again


def test_one_that_is_killed_is_back_while_the_other_serves(tmp_path):
    with serve(tmp_path) as processes:
        workers = processes.listens()
        os.kill(workers[1], signal.SIGKILL)
        processes.says(rf"worker 1 \(pid {workers[1]}\) was ended by SIGKILL: another one follows in 0\.")
        with pytest.raises(ProcessLookupError):
            os.kill(workers[1], 0)
        answered = {int(processes.get()) for _ in range(20)}
        assert workers[2] in answered
        workers |= (new := processes.listens(1))
        assert set(new) == {1}
        assert answered <= set(workers.values())
        processes.all_serve(set(workers.values()))
        processes.send(signal.SIGTERM)
        assert processes.ends()[0] == 0


def test_one_that_can_not_start_again_is_tried_until_it_can(tmp_path):
    application(tmp_path, "import os\nassert not os.path.exists('broken')\n" + textwrap.dedent(APPLICATION))
    with hyperws_run(tmp_path, "app:server") as processes:
        workers = processes.listens()
        (tmp_path / "broken").touch()
        os.kill(workers[2], signal.SIGKILL)
        for _ in range(3):
            processes.says("AssertionError")
            processes.says(r"worker 2 \(pid \d+\) ended with status 1: another one follows in")
            assert processes.get("/") == "first"
        (tmp_path / "broken").unlink()
        assert set(processes.listens(1)) == {2}
        processes.send(signal.SIGTERM)
        assert processes.ends()[0] == 0


def test_the_delay_doubles_up_to_a_bound_and_is_forgotten():
    child = Child("worker 1", lambda lifeline: None)
    delays = [child.put_off(lived=0) for _ in range(20)]
    bounds = [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6] + [30] * 11
    for longest, delay in zip(bounds, delays, strict=True):
        assert longest / 2 <= delay <= longest
    assert child.put_off(lived=60) <= 0.1
    assert child.put_off(lived=1) <= 0.2


@pytest.mark.parametrize(
    ("target", "text", "told"),
    [
        ("app", "", "hyperws: 'app' can't be run: name a module and a server in it, as in app:server"),
        ("app:", "", "name a module"),
        ("a/b.py:server", "", "name a module"),
        ("nothing:server", "", "hyperws: 'nothing:server' can't be run: there is no module 'nothing'"),
        ("app.part:server", "", "there is no module 'app.part'"),
        ("app:server", "", "hyperws: 'app:server' can't be run: app has no 'server'"),
        ("app:server", "server = 5", "it gives an object of int, and no Server"),
        ("app:server", "def server(x): pass", "it takes arguments"),
        ("app:server", "def server(): pass", "it gives an object of NoneType, and no Server"),
        ("app:server", "import nothing_like_it", "ModuleNotFoundError: No module named 'nothing_like_it'"),
        ("app:server", "from hyperws import Server\nServer().run()", "below 'if __name__ == \"__main__\":'"),
        ("app:server", "import sys; sys.exit('no settings')", "no settings"),
        (
            "app:server",
            "from hyperws import Server\nserver = Server(host='no such host', workers=3)",
            "hyperws: the host 'no such host' is no address and no known name: check host(...)",
        ),
        (
            "app:server",
            "from hyperws import Server\nserver = Server(port=0)\n@server.on_startup\ndef f(): 1 / 0",
            "ZeroDivisionError: division by zero",
        ),
    ],
)
def test_what_can_not_start_ends_at_once_and_says_why_once(tmp_path, target, text, told):
    application(tmp_path, text)
    with hyperws_run(tmp_path, target) as processes:
        status, said = processes.ends()
    assert status == 1
    assert said.count(told) == 1
    assert "processes.py" not in said    # what is shown is the application's
    assert "importlib" not in said
    assert len(re.findall(r"worker 1 \(pid \d+\) ended with status 1 before it was ready", said)) == 1
    assert "worker 2" not in said


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--workers", "0"], "hyperws: workers takes a number from 1 to 1024, not 0\n"),
        (["--port", "70000"], "hyperws: port takes a number from 0 to 65535, not 70000\n"),
        (["--host", ""], "hyperws: host takes an address or a name, not ''\n"),
    ],
)
def test_wrong_options_are_told(tmp_path, arguments, told):
    with hyperws_run(tmp_path, "app:server", *arguments) as processes:
        assert processes.ends() == (1, told)


def test_a_unix_socket_takes_no_port(tmp_path):
    application(tmp_path, "from hyperws import Server\nserver = Server(unix_socket='socket')")
    with hyperws_run(tmp_path, "app:server", "--port", "0") as processes:
        processes.says("app:server listens on a Unix socket: leave out --host and --port")
        assert processes.ends()[0] == 1


# ------------------------------------------------------------------------------ reloading


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
        await soon(self.some_came.wait())
        return self

    async def __aexit__(self, *error):
        self.over = True
        await soon(asyncio.gather(*self.tasks))


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
            await soon(load.some_came.wait())
        processes.send(signal.SIGTERM)
        status, rest = processes.ends()
        assert status == 0
        assert "rror" not in rest


# -------------------------------------------------------------------------------- ending


def test_sigterm_drains(tmp_path):
    with ExitStack() as stack:
        processes = stack.enter_context(serve(tmp_path))
        workers = processes.listens()
        uploads = [stack.enter_context(Upload(processes.port)) for _ in range(6)]
        url = f"ws://127.0.0.1:{processes.port}/socket"
        websockets = [stack.enter_context(connect(url)) for _ in range(6)]
        processes.send(signal.SIGTERM)
        for websocket in websockets:
            with pytest.raises(ConnectionClosed):
                websocket.recv(timeout=20)
            assert websocket.close_code == 1001
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", processes.port), timeout=20)
        for pid in workers.values():
            os.kill(pid, 0)     # it waits for its uploads
        for upload in uploads:
            answer = upload.answer()
            assert answer.startswith(b"HTTP/1.1 200 ")
            assert answer.endswith(b"\r\n\r\nabcd")
        status, rest = processes.ends()
        assert status == 0
        assert len(re.findall(r"worker \d \(pid \d+\) ended with status 0", rest)) == 2


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_to_the_whole_group_drain_too(tmp_path, number):
    """Ctrl-C in a terminal is one; some service managers do the same with SIGTERM."""
    options = json.dumps({"port": 0, "workers": 2})
    with Processes([str(SCRIPT), options], tmp_path, start_new_session=True) as processes:
        processes.listens()
        with Upload(processes.port) as first:
            os.killpg(processes.pid, signal.SIGHUP)     # of which a reload is all that comes
            processes.listens()
            with Upload(processes.port) as second:
                os.killpg(processes.pid, number)
                assert first.answer().endswith(b"abcd")
                assert second.answer().endswith(b"abcd")
        assert processes.ends()[0] == 0


def test_a_second_signal_kills_and_the_status_tells(tmp_path):
    with serve(tmp_path) as processes:
        processes.listens()
        with socket.create_connection(("127.0.0.1", processes.port), timeout=20) as peer:
            peer.sendall(b"GET /stuck HTTP/1.1\r\nHost: a\r\n\r\n")
            processes.says("stuck")
            processes.send(signal.SIGTERM)
            processes.says(r"ended with status 0")      # the other one
            processes.send(signal.SIGTERM)
            status, rest = processes.ends()
    assert status == 1
    assert re.search(r"worker \d \(pid \d+\) was ended by SIGKILL", rest)


def test_an_error_at_the_end_is_in_the_status(tmp_path):
    with serve(tmp_path) as processes:
        processes.listens()
        (tmp_path / "fail").touch()
        processes.send(signal.SIGTERM)
        status, rest = processes.ends()
    assert status == 1
    assert len(re.findall(r"worker \d \(pid \d+\) ended with status 3", rest)) == 2


def test_orphans_end_by_themselves(tmp_path):
    with serve(tmp_path) as processes:
        processes.listens()
        url = f"ws://127.0.0.1:{processes.port}/socket"
        with ExitStack() as stack:
            uploads = [stack.enter_context(Upload(processes.port)) for _ in range(8)]
            websocket = stack.enter_context(connect(url))
            processes.process.kill()
            for _ in range(2):      # while each still has something to do
                processes.says("the supervisor is gone")
            with pytest.raises(ConnectionClosed):
                websocket.recv(timeout=20)
            assert websocket.close_code == 1001
            for upload in uploads:
                assert upload.answer().endswith(b"abcd")
        assert processes.ends()[0] == -signal.SIGKILL   # nobody writes to its pipes any more


def test_what_does_not_end_in_time_is_killed(tmp_path):
    text = """
    import sys
    from hyperws import Limits, Server, supervisor

    supervisor.PATIENCE = 0.1
    server = Server(port=0, workers=2, limits=Limits(shutdown_grace=0.1))

    @server.route("/stuck")
    async def stuck(ctx):
        sys.stderr.write("stuck\\n")
        while True:
            pass

    server.run(on_listening=lambda: print(server.address[1], flush=True))
    """
    application(tmp_path, text)
    with Processes(["app.py"], tmp_path) as processes:
        processes.port = int(processes.process.stdout.readline())
        with socket.create_connection(("127.0.0.1", processes.port), timeout=20) as peer:
            peer.sendall(b"GET /stuck HTTP/1.1\r\nHost: a\r\n\r\n")
            processes.says("stuck")
            processes.send(signal.SIGTERM)
            processes.says("takes too long to end")
            processes.says("was ended by SIGKILL")
            assert processes.ends()[0] == 1


def test_a_signal_to_end_while_workers_are_replaced(tmp_path):
    with serve(tmp_path, workers=3) as processes:
        processes.listens(3)
        processes.send(signal.SIGHUP)
        processes.listens(1)
        processes.send(signal.SIGTERM)
        status, rest = processes.ends()
    assert status == 0
    assert "ERROR" not in rest


def test_workers_end_where_on_listening_raises(tmp_path):
    text = """
    from hyperws import Server

    Server(port=0, workers=2).run(on_listening=lambda: 1 / 0)
    """
    application(tmp_path, text)
    with Processes(["app.py"], tmp_path) as processes:
        status, rest = processes.ends()
    assert status == 1
    assert "ZeroDivisionError" in rest


def test_a_signal_while_the_first_one_starts(tmp_path):
    """It is not taken for one that can't start, and it may have had no time to say anything."""
    application(tmp_path, "import time, sys\nprint('starts', file=sys.stderr, flush=True)\ntime.sleep(60)")
    with hyperws_run(tmp_path, "app:server") as processes:
        processes.says("starts")
        processes.send(signal.SIGTERM)
        status, rest = processes.ends()
    assert status == 0
    assert "was ended by SIGTERM" in rest


# ------------------------------------------------------------------------------- companions

COMPANIONS = """
    import logging, os, select, subprocess, sys
    from hyperws import Server
    from hyperws.supervisor import Supervisor
    from hyperws.worker import work
    from functools import partial

    logging.basicConfig(level=logging.INFO, format="%(message)s")

    def bus(lifeline):
        subprocess.run([sys.executable, "-c", "open('started', 'w')"])

        lifeline.tell_ready()
        select.select([lifeline], [], [])
        logging.info("the bus ends")

    def make_server():
        assert os.path.exists("started")
        return Server(port=0)

    sys.exit(Supervisor(partial(work, make_server, 1, None), 2, companions={"bus": bus}).run())
"""


def test_companions_are_there_before_and_after_the_workers(tmp_path):
    application(tmp_path, COMPANIONS)
    with Processes(["app.py"], tmp_path) as processes:
        pid = int(processes.says(r"^bus \(pid (\d+)\) is ready")[1])
        processes.listens()
        os.kill(pid, signal.SIGKILL)
        processes.says(rf"^bus \(pid {pid}\) was ended by SIGKILL: another one follows")
        again = int(processes.says(r"^bus \(pid (\d+)\) is ready")[1])
        assert again != pid
        processes.send(signal.SIGHUP)
        processes.listens()
        os.kill(again, 0)
        processes.send(signal.SIGTERM)
        status, rest = processes.ends()
    assert status == 0
    assert rest.index("worker 1") < rest.index("the bus ends")
    assert rest.index("worker 2") < rest.index("the bus ends")


def test_companions_outlast_the_workers_whoever_gets_a_signal(tmp_path):
    application(tmp_path, COMPANIONS)
    with Processes(["app.py"], tmp_path, start_new_session=True) as processes:
        processes.listens()
        os.killpg(processes.pid, signal.SIGTERM)
        status, rest = processes.ends()
    assert status == 0
    assert rest.index("worker 1") < rest.index("the bus ends")
    assert rest.index("worker 2") < rest.index("the bus ends")


def test_companions_end_with_the_supervisor(tmp_path):
    application(tmp_path, COMPANIONS)
    with Processes(["app.py"], tmp_path) as processes:
        processes.listens()
        processes.process.kill()
        processes.ends()


# ------------------------------------------------------------------------------ wrong use


async def test_start_has_no_workers():
    with pytest.raises(UsageError, match=r"only 'server\.run\(\)' starts"):
        await Server(port=0, workers=2).start()


def test_workers_are_for_one_server():
    with pytest.raises(ConfigurationError, match="can't be run together with others"):
        run(Server(port=0), Server(port=0, workers=2))


def test_workers_take_the_main_thread():
    caught = []

    def attempt():
        try:
            Server(port=0, workers=2).run()
        except UsageError as error:
            caught.append(str(error))

    thread = threading.Thread(target=attempt)
    thread.start()
    thread.join()
    assert "call run() in the main thread" in caught[0]


def test_systems_that_can_not_fork_have_no_workers(monkeypatch):
    monkeypatch.delattr(os, "fork")
    with pytest.raises(ConfigurationError, match="forked, which this system can't"):
        Server(port=0, workers=2).run()
