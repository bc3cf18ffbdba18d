"""How workers end, and what the exit status says."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
from contextlib import ExitStack

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from .processes import SCRIPT, Processes, Upload, application, hyperws_run, serve

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows can't fork")


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
