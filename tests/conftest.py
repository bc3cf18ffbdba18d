"""How the tests run: an `async def` test runs under each driver and each event loop.

Marked `any_driver`, it runs under each event loop only.

Such a test gets a loop of its own and fails if it leaves a task behind, or if the server logged an error that
the test did not take out of `caplog`.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import os
import shutil
import ssl
from functools import partial

import pytest
import trustme

from hyperws import Server

try:
    import uvloop
except ImportError:
    uvloop = None

# processes that tests start import the hyperws that is installed, not a source tree that they are started in
os.environ["PYTHONSAFEPATH"] = "1"

# for programs that are not ours: the sanitizers are for hyperws
FOREIGN = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--disable-quic",
]

DRIVERS = ["portable"] if os.name == "nt" else ["reactor", "portable"]
LOOPS = {"asyncio": asyncio.new_event_loop}
if uvloop is not None:
    LOOPS["uvloop"] = uvloop.new_event_loop


def pytest_generate_tests(metafunc):
    if inspect.iscoroutinefunction(metafunc.function):
        any_driver = metafunc.definition.get_closest_marker("any_driver")
        under = [(driver, loop) for driver in DRIVERS[:1 if any_driver else None] for loop in LOOPS]
        plain = metafunc.definition.get_closest_marker("plain")
        if getattr(metafunc.module, "OVER_TLS", False) and not plain:
            under += [("portable", loop, "tls") for loop in LOOPS]
        metafunc.parametrize("under", under, ids=["-".join(each) for each in under], indirect=True)


@pytest.fixture(autouse=True)
def under(request, monkeypatch):
    """(driver, loop) that an async test runs under, and "tls" where the module says OVER_TLS, or None."""
    under = getattr(request, "param", None)
    if under is not None:
        monkeypatch.setenv("HYPERWS_DRIVER", under[0])
    return under


@pytest.fixture(scope="session")
def authority():
    """One that signs certificates; clients trust it by the context that is `.trusting`."""
    authority = trustme.CA()
    authority.trusting = ssl.create_default_context()
    authority.trusting.set_alpn_protocols(["http/1.1"])
    authority.configure_trust(authority.trusting)
    return authority


@pytest.fixture(scope="session")
def certificate(authority, tmp_path_factory):
    """The paths of a certificate for 127.0.0.1 and of its key."""
    folder = tmp_path_factory.mktemp("certificate")
    issued = authority.issue_cert("127.0.0.1", "localhost")
    issued.cert_chain_pems[0].write_to_path(folder / "chain.pem")
    issued.private_key_pem.write_to_path(folder / "key.pem")
    return folder / "chain.pem", folder / "key.pem"


@pytest.fixture(scope="module")
def launch():
    """Starts Chromium. For a module, not for longer: as long as Playwright runs, asyncio.run() refuses to."""
    playwright_api = pytest.importorskip("playwright.sync_api", reason="needs Playwright's Python package")
    if CHROMIUM is None:
        pytest.skip("needs Chromium or Chrome on the PATH")
    with playwright_api.sync_playwright() as playwright:
        yield partial(playwright.chromium.launch, executable_path=CHROMIUM, args=ARGUMENTS)


@pytest.fixture(scope="module")
def browser(launch):
    browser = launch()
    yield browser
    browser.close()


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem):
    if not inspect.iscoroutinefunction(pyfuncitem.function):
        return None
    names = inspect.signature(pyfuncitem.obj).parameters
    arguments = {name: pyfuncitem.funcargs[name] for name in names}
    _, loop, *_ = pyfuncitem.funcargs["under"]
    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        runner.run(run_alone(pyfuncitem.obj(**arguments)))
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
    """A server that a test has started, and its addresses; `ssl` is a context for clients, or None."""

    def __init__(self, server, ssl=None):
        self.server = server
        self.ssl = ssl
        self.host, self.port = server.address

    def ws(self, path="/"):
        return f"{'wss' if self.ssl else 'ws'}://{self.host}:{self.port}{path}"

    def http(self, path="/"):
        return f"{'https' if self.ssl else 'http'}://{self.host}:{self.port}{path}"

    async def raw(self, data=b""):
        """A connection on which `data` has been sent. Close its writer when done."""
        reader, writer = await asyncio.open_connection(self.host, self.port, ssl=self.ssl)
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
def serving(request, under):
    """`async with serving(Server(…)) as running:` starts a server on a free port, and stops it."""

    over_tls = under is not None and "tls" in under

    class serving:
        def __init__(self, server=None, **options):
            self.server = (server or Server(**options)).port(0)
            if over_tls:
                self.server.tls(request.getfixturevalue("certificate"))

        async def __aenter__(self):
            await self.server.start()
            return Serving(self.server, request.getfixturevalue("authority").trusting if over_tls else None)

        async def __aexit__(self, *error):
            await self.server.stop(grace=2)

    return serving
