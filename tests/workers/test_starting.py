"""Workers that do not start, and those that follow one that has died."""

from __future__ import annotations

import os
import re
import signal
import textwrap

import pytest

from hyperws.supervisor import Child

from .processes import APPLICATION, application, hyperws_run, serve

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows can't fork")


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
