"""Several processes that serve one address."""

from __future__ import annotations

import json
import os
import signal
import socket
import threading
from contextlib import closing
from http.client import HTTPSConnection

import pytest

from hyperws import ConfigurationError, Server, UsageError, run

from .processes import serve

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows can't fork")


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
