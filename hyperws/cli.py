"""The command `hyperws`."""

from __future__ import annotations

import argparse
import logging
import sys
from functools import partial

import hyperws
from hyperws.errors import ConfigurationError, HyperwsError
from hyperws.loading import load_server
from hyperws.running import supervise

logger = logging.getLogger("hyperws")

RUN = """\
Serves an application by worker processes, which are started again where they die.

SIGHUP replaces them one by one, by as many new ones that load the application anew; nobody is turned away.
SIGTERM and SIGINT have them close WebSockets, answer the requests that they have, and end; a second signal
kills. The exit status is 0 if all of them ended well, 1 if not, or if the first one could not start.
"""


def main(arguments: list[str] | None = None) -> int:
    """Run a command line. Returns its exit status."""
    parser = argparse.ArgumentParser(prog="hyperws", description="A WebSocket and HTTP server.")
    parser.add_argument("--version", action="version", version=f"hyperws {hyperws.__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    run = commands.add_parser(
        "run", help="serve an application, by any number of processes", description=RUN,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    run.add_argument(
        "target", metavar="MODULE:ATTRIBUTE",
        help="a Server, or a function without arguments that returns one; modules are looked for in the "
             "current folder first",
    )  # fmt: skip
    run.add_argument("--workers", type=int, help="the number of processes (as the server says, or 1)")
    run.add_argument("--host", help="the address to listen on (as the server says, or 127.0.0.1)")
    run.add_argument("--port", type=int, help="the port, 0 for any free one (as the server says, or 60000)")
    demo = commands.add_parser("demo", help="serve the example applications, to be seen in a browser")
    demo.add_argument("--host", default="127.0.0.1", help="the address to listen on (%(default)s)")
    demo.add_argument("--port", type=int, default=60000, help="the port, 0 for any free one (%(default)s)")
    demo.add_argument("--workers", type=int, default=1, help="the number of processes (%(default)s)")
    demo.add_argument("--backplane", metavar="URL", help="a broker, such as redis://127.0.0.1")
    demo.add_argument("--data", metavar="FOLDER", help="for documents (~/.local/share/hyperws-demo)")
    options = parser.parse_args(arguments)
    try:
        if options.command == "run":
            return run_application(options.target, options.workers, options.host, options.port)
        return run_demo(options)
    except HyperwsError as error:
        print(f"hyperws: {error}", file=sys.stderr)
        return 1


def run_application(target: str, workers: int | None, host: str | None, port: int | None) -> int:
    given = hyperws.Server()    # to check what was given
    for option, value in (("workers", workers), ("host", host), ("port", port)):
        if value is not None:
            getattr(given, option)(value)
    log = logging.StreamHandler()
    log.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    logger.addHandler(log)
    logger.setLevel(logging.INFO)
    return supervise(partial(make_server, target, host, port, log), workers)


def make_server(
    target: str, host: str | None, port: int | None, log: logging.Handler
) -> hyperws.Server:
    """Load the server that a worker is to run."""
    logger.removeHandler(log)
    logger.setLevel(logging.NOTSET)
    server = load_server(target)
    if not logger.hasHandlers():    # the application has not set up a log of its own
        logger.addHandler(log)
        logger.setLevel(logging.INFO)
    if (host is not None or port is not None) and server.listens_on_unix_socket:
        raise ConfigurationError(f"{target} listens on a Unix socket: leave out --host and --port")
    if host is not None:
        server.host(host)
    if port is not None:
        server.port(port)
    return server


def run_demo(options: argparse.Namespace) -> int:
    try:
        from hyperws.demo import create_server
    except ModuleNotFoundError as error:
        raise ConfigurationError(f"the demo needs {error.name}: pip install 'hyperws[demo]'") from None
    server = create_server(options.host, options.port, options.data)
    server.workers(options.workers)
    if options.backplane is not None:
        server.backplane(options.backplane)

    def announce() -> None:
        host, port = server.address
        print(f"hyperws demo: http://{f'[{host}]' if ':' in host else host}:{port}/", flush=True)

    server.run(on_listening=announce)
    return 0
