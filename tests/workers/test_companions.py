"""Processes that the supervisor keeps beside the workers."""

from __future__ import annotations

import os
import signal

import pytest

from .processes import Processes, application

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows can't fork")


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
