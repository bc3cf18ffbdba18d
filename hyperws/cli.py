"""The command `hyperws`."""

from __future__ import annotations

import argparse
import sys

import hyperws
from hyperws.errors import HyperwsError


def main(arguments: list[str] | None = None) -> int:
    """Run a command line. Returns its exit status."""
    parser = argparse.ArgumentParser(prog="hyperws", description="A WebSocket and HTTP server.")
    parser.add_argument("--version", action="version", version=f"hyperws {hyperws.__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    demo = commands.add_parser("demo", help="serve the example applications, to be seen in a browser")
    demo.add_argument("--host", default="127.0.0.1", help="the address to listen on (%(default)s)")
    demo.add_argument("--port", type=int, default=60000, help="the port, 0 for any free one (%(default)s)")
    options = parser.parse_args(arguments)
    try:
        return run_demo(options.host, options.port)
    except HyperwsError as error:
        print(f"hyperws: {error}", file=sys.stderr)
        return 1


def run_demo(host: str, port: int) -> int:
    from hyperws.demo import create_server

    server = create_server(host, port)

    def announce() -> None:
        host, port = server.address
        print(f"hyperws demo: http://{f'[{host}]' if ':' in host else host}:{port}/", flush=True)

    server.run(on_listening=announce)
    return 0
