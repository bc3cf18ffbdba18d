"""Compares HTTP servers by a small response: requests per second, and above all server CPU time per request.

    python bench/hello.py [--connections 64 --seconds 3 --rounds 5 --servers a,b]
"""

import argparse
import json
import resource
import shutil
import subprocess
import sys
from functools import partial
from http.client import HTTPConnection

from comparison import Figures, add_arguments, compare, derive, peers_in
from native import HERE
from processes import CORES, Peer, running, spawn

PEERS = peers_in("hello")
REFERENCES = {"nginx": "x nginx", "bun": "x Bun", "uvicorn": "x uvicorn"}
BODY = b"Hello, World!"


def verify(peer: Peer) -> None:
    """Raise RuntimeError unless the server says what it should."""
    connection = HTTPConnection("127.0.0.1", peer.port, timeout=10)
    connection.request("GET", "/")
    response = connection.getresponse()
    body, content_type = response.read(), response.headers.get_content_type()
    connection.close()
    if (response.status, content_type, body) != (200, "text/plain", BODY):
        raise RuntimeError(f"{peer.name}: answers {response.status}, {content_type}, {body!r}")


def children_cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def measure(peer: Peer, connections: int, seconds: int) -> Figures:
    """Run wrk on the last core against a server; its figures and what follows from them."""
    verify(peer)
    command = ["wrk", "--threads=1", f"--connections={connections}", f"--duration={seconds}"]
    command += [f"--script={HERE / 'hello.lua'}", f"http://127.0.0.1:{peer.port}/"]
    server_cpu, load_cpu = peer.cpu_seconds(), children_cpu_seconds()
    with running(spawn(CORES[-1], command, stderr=subprocess.PIPE)) as load:
        output, complaints = load.communicate()
    server_cpu, load_cpu = peer.cpu_seconds() - server_cpu, children_cpu_seconds() - load_cpu
    if load.returncode:
        raise RuntimeError(f"{peer.name}: {complaints.strip()}")
    figures = json.loads(output.splitlines()[-1])
    if not figures["requests"]:
        raise RuntimeError(f"{peer.name}: no request was answered within the window")
    figures |= {"server_cpu_seconds": server_cpu, "load_cpu_seconds": load_cpu}
    figures["resident_mb"] = peer.resident_megabytes()
    return derive(figures, figures["requests"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--connections", type=int, default=64, help="kept open (default %(default)s)")
    parser.add_argument("--seconds", type=int, default=3, help="measured per round (default %(default)s)")
    add_arguments(parser, PEERS)
    arguments = parser.parse_args()
    if shutil.which("wrk") is None:
        sys.exit("the load is wrk, which is not on the PATH: install it")
    load = partial(measure, connections=arguments.connections, seconds=arguments.seconds)
    compare(PEERS, arguments, {f"GET / on {arguments.connections} connections": load}, "request", REFERENCES)


if __name__ == "__main__":
    main()
