"""The command `hyperws`."""

import socket
import subprocess
import sys

import pytest

from hyperws import __version__
from hyperws.cli import main


def hyperws(*arguments):
    command = [sys.executable, "-m", "hyperws", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=30)


def test_version():
    assert hyperws("--version").stdout == f"hyperws {__version__}\n"


def test_a_wrong_command_is_told():
    result = hyperws("dance")
    assert result.returncode == 2
    assert "choose from" in result.stderr


def test_a_port_in_use_is_one_sentence_and_status_1():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = hyperws("demo", "--port", str(port))
    assert result.returncode == 1
    assert result.stderr == (
        f"hyperws: port {port} of 127.0.0.1 is in use: stop its program, or choose another port (0 for any)\n"
    )


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--port", "99999"], "0 to 65535"),
        (["--host", "no such host"], "no address and no known name"),
        (["--workers", "0"], "1 to 1024"),
        (["--backplane", "foo://"], "redis://"),
        (["--port", "0", "--data", __file__], f"documents can't be kept in {__file__}: File exists"),
    ],
)
def test_wrong_options_are_told(arguments, told, capsys):
    assert main(["demo", *arguments]) == 1
    error = capsys.readouterr().err
    assert told in error
    assert error.count("\n") == 1


def test_what_the_demo_needs_is_told(capsys, monkeypatch):
    for module in [name for name in sys.modules if name.startswith("hyperws.demo")]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "msgspec", None)
    assert main(["demo"]) == 1
    assert capsys.readouterr().err == "hyperws: the demo needs msgspec: pip install 'hyperws[demo]'\n"
