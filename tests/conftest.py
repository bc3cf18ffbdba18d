"""How the tests run: an `async def` test runs under each driver and each event loop.

Such a test gets a loop of its own and fails if it leaves a task behind, or if the server logged an error that
the test did not take out of `caplog`.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import os

import pytest

from hyperws import Server

try:
    import uvloop
except ImportError:
    uvloop = None

# processes that tests start import the hyperws that is installed, not a source tree that they are started in
os.environ["PYTHONSAFEPATH"] = "1"

DRIVERS = ["portable"] if os.name == "nt" else ["reactor", "portable"]
LOOPS = {"asyncio": asyncio.new_event_loop}
if uvloop is not None:
    LOOPS["uvloop"] = uvloop.new_event_loop


def pytest_generate_tests(metafunc):
    if inspect.iscoroutinefunction(metafunc.function):
        under = [(driver, loop) for driver in DRIVERS for loop in LOOPS]
        metafunc.parametrize("under", under, ids=["-".join(pair) for pair in under], indirect=True)


@pytest.fixture(autouse=True)
def under(request, monkeypatch):
    """The (driver, loop) that an async test runs under, None for a plain one."""
    under = getattr(request, "param", None)
    if under is not None:
        monkeypatch.setenv("HYPERWS_DRIVER", under[0])
    return under


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem):
    if not inspect.iscoroutinefunction(pyfuncitem.function):
        return None
    names = inspect.signature(pyfuncitem.function).parameters
    arguments = {name: pyfuncitem.funcargs[name] for name in names}
    _, loop = pyfuncitem.funcargs["under"]
    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        runner.run(run_alone(pyfuncitem.function(**arguments)))
    return True


async def run_alone(test):
    await test
    left = asyncio.all_tasks() - {asyncio.current_task()}
    if left:    # a handler that is just ending
        await asyncio.wait(left, timeout=5)
    left = [task for task in left if not task.done()]
    assert not left, f"tasks left behind: {left}"


@pytest.fixture(autouse=True)
def no_errors_logged(caplog):
    yield
    errors = [record for record in caplog.get_records("call") if record.levelno >= logging.ERROR]
    errors = [record for record in errors if record.name in ("hyperws", "asyncio")]
    assert not errors, f"logged: {[record.getMessage() for record in errors]}"


class Serving:
    """A server that a test has started, and its addresses."""

    def __init__(self, server):
        self.server = server
        self.host, self.port = server.address

    def ws(self, path="/"):
        return f"ws://{self.host}:{self.port}{path}"

    def http(self, path="/"):
        return f"http://{self.host}:{self.port}{path}"

    async def raw(self, data=b""):
        """A plain connection, on which `data` has been sent. Close its writer when done."""
        reader, writer = await asyncio.open_connection(self.host, self.port)
        writer.write(data)
        return reader, writer

    async def exchange(self, data):
        """All that the server answers to `data` until it closes the connection."""
        reader, writer = await self.raw(data)
        try:
            return await asyncio.wait_for(reader.read(), 20)
        finally:
            writer.close()


@pytest.fixture
def serving():
    """`async with serving(Server(…)) as running:` starts a server on a free port, and stops it."""

    class serving:
        def __init__(self, server=None, **options):
            self.server = (server or Server(**options)).port(0)

        async def __aenter__(self):
            await self.server.start()
            return Serving(self.server)

        async def __aexit__(self, *error):
            await self.server.stop(grace=2)

    return serving
