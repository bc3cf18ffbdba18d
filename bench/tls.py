"""What TLS costs a server: per request, per message and per connection.

    python bench/tls.py [--connections 64 --seconds 3 --rounds 5] [--json FILE]

The same server runs on the reactor, on the portable driver, and on that with TLS; a connection that is made
for one request tells what a handshake costs. All three are started once, the rounds are interleaved, and
figures are medians over the rounds.
"""

import argparse
import re
import resource
import shutil
import socket
import ssl
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import trustme

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
sys.path.insert(0, str(Path(__file__).resolve().parent))

from comparison import Figures, derive, markdown, middle, present, ratio, remarks
from hostile import HANDSHAKE, KEY
from processes import CORES, Process, free_port, running, spawn, take_last_core

from hyperws import Context, Server
from hyperws._core.websocket import encode_frame

REACTOR, PORTABLE, TLS = "reactor", "portable driver", "portable driver, TLS"
TEXT, SIZE = 1, 32


# ------------------------------------------------------------------------------------------- the server

def serve(port: int, setting: str, folder: Path) -> None:
    server = Server(host="127.0.0.1", port=port, driver="reactor" if setting == REACTOR else "portable")
    if setting == TLS:
        server.tls(folder / "chain.pem", folder / "key.pem")
    server.route("/echo", on_message=lambda ctx, message: ctx.send(message))

    @server.route("/")
    async def hello(ctx: Context) -> None:
        await ctx.text("Hello, World!")

    server.run(on_listening=lambda: print("ready", flush=True))


class Peer:
    """The server in one of the settings, in a process of its own on the first core."""

    def __init__(self, setting: str, folder: Path, stack: ExitStack) -> None:
        self.setting, self.port = setting, free_port()
        self.scheme = "https" if setting == TLS else "http"
        command = [sys.executable, __file__, "serve", str(self.port), setting, str(folder)]
        process = stack.enter_context(running(spawn(CORES[0], command)))
        assert process.stdout
        if process.stdout.readline() != "ready\n":
            raise SystemExit(f"{setting}: the server does not start")
        self.process = Process(process.pid)


def issue_certificate(folder: Path) -> None:
    issued = trustme.CA().issue_cert("127.0.0.1")
    issued.private_key_pem.write_to_path(folder / "key.pem")
    for pem in issued.cert_chain_pems:
        pem.write_to_path(folder / "chain.pem", append=True)


# ------------------------------------------------------------------------------------------- the loads
# Each is a function of a peer, a number of connections and of seconds, and returns how often it was served.

def request(peer: Peer, connections: int, seconds: float, *headers: str) -> int:
    command = ["wrk", "--threads=1", f"--connections={connections}", f"--duration={seconds:.0f}"]
    command += [f"--header={header}" for header in headers]
    with running(spawn(CORES[-1], [*command, f"{peer.scheme}://127.0.0.1:{peer.port}/"])) as wrk:
        output, _ = wrk.communicate()
    if found := re.search(r"Socket errors.*|Non-2xx.*", output):
        raise SystemExit(f"{peer.setting}: {found[0]}")
    served = re.search(r"(\d+) requests in", output)
    assert served, output
    return int(served[1])


def connect(peer: Peer, connections: int, seconds: float) -> int:
    return request(peer, connections, seconds, "Connection: close")


def echo(peer: Peer, connections: int, seconds: float) -> int:
    """All connections send a message, then all receive one."""
    frame, reply = encode_frame(TEXT, b"x" * SIZE, key=KEY), encode_frame(TEXT, b"x" * SIZE)
    with ExitStack() as stack:
        sockets = [stack.enter_context(websocket(peer)) for _ in range(connections)]
        end, count = time.monotonic() + seconds, 0
        while time.monotonic() < end:
            for sock in sockets:
                sock.sendall(frame)
            for sock in sockets:
                if receive(sock, len(reply)) != reply:
                    raise SystemExit(f"{peer.setting}: not the echo of the message")
            count += connections
    return count


def websocket(peer: Peer) -> socket.socket:
    sock = socket.create_connection(("127.0.0.1", peer.port))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if peer.setting == TLS:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        sock = context.wrap_socket(sock)
    sock.sendall(HANDSHAKE % (b"/echo", b""))
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += receive(sock, 1)
    assert head.startswith(b"HTTP/1.1 101 ")
    return sock


def receive(sock: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        piece = sock.recv(size - len(data))
        if not piece:
            raise SystemExit("the server has closed a connection")
        data += piece
    return data


Load = Callable[[Peer, int, float], int]
LOADS: dict[str, Load] = {
    "GET, connection kept": request,
    "GET, new connection": connect,
    f"WebSocket echo, {SIZE} bytes": echo,
}


# ------------------------------------------------------------------------------------- the measurement

def own_cpu_seconds() -> float:
    """What the loads took so far, in this process and in those that it has started."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def measure(load: Load, peer: Peer, connections: int, seconds: float) -> Figures:
    began, cpu, load_cpu = time.monotonic(), peer.process.cpu_seconds(), own_cpu_seconds()
    figures: Figures = {"messages": load(peer, connections, seconds), "errors": 0}
    figures["server_cpu_seconds"] = peer.process.cpu_seconds() - cpu
    figures["load_cpu_seconds"] = own_cpu_seconds() - load_cpu
    figures["seconds"] = time.monotonic() - began
    return derive(figures, figures["messages"])


Rounds = dict[str, dict[str, list[Figures]]]    # by load and setting


def measure_rounds(peers: list[Peer], connections: int, seconds: float, rounds: int) -> Rounds:
    results: Rounds = {title: {peer.setting: [] for peer in peers} for title in LOADS}
    for number in range(1, rounds + 1):
        for title, load in LOADS.items():
            for peer in peers:
                figures = measure(load, peer, connections, seconds)
                results[title][peer.setting].append(figures)
                print(
                    f"round {number}/{rounds}, {title}, {peer.setting}: {figures['per_second']:,.0f}/s, "
                    f"{figures['server_cpu_us']:.2f} µs",
                    file=sys.stderr,
                )
    return results


def table(results: Rounds) -> str:
    header = ["load", "server", "per second", "server CPU µs each", f"x {REACTOR}", f"x {PORTABLE}"]
    header += ["server busy", "load busy", "remarks"]
    rows = []
    for title, settings in results.items():
        for setting, rounds in settings.items():
            rows.append(
                [
                    title,
                    setting,
                    f"{middle(rounds, 'per_second'):,.0f}",
                    f"{middle(rounds, 'server_cpu_us'):.1f}",
                    *(ratio(settings, setting, reference) for reference in (REACTOR, PORTABLE)),
                    f"{middle(rounds, 'server_busy'):.0%}",
                    f"{middle(rounds, 'load_busy'):.0%}",
                    remarks(rounds),
                ]
            )
    return markdown(header, rows)


def handshake_us(results: Rounds) -> float:
    """What a connection takes more with TLS than without, beyond what a request does."""
    def extra(title: str) -> list[float]:
        pairs = zip(results[title][TLS], results[title][PORTABLE], strict=True)
        return [encrypted["server_cpu_us"] - plain["server_cpu_us"] for encrypted, plain in pairs]

    kept, new = list(LOADS)[:2]
    return median(more - less for more, less in zip(extra(new), extra(kept), strict=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--connections", type=int, default=64, help="at a time (default %(default)s)")
    parser.add_argument("--seconds", type=int, default=3, help="measured per round (default %(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="(default %(default)s)")
    parser.add_argument("--json", metavar="FILE", help="write every round's figures there too")
    arguments = parser.parse_args()
    if shutil.which("wrk") is None:
        sys.exit("the load is wrk, which is not on the PATH: install it")
    take_last_core()
    with TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        issue_certificate(folder)
        peers = [Peer(setting, folder, stack) for setting in (REACTOR, PORTABLE, TLS)]
        results = measure_rounds(peers, arguments.connections, arguments.seconds, arguments.rounds)
    handshake = handshake_us(results)
    cost = f"A handshake takes {handshake:,.0f} µs of server CPU: {1e6 / handshake:,.0f} in a second of it."
    title = f"{arguments.connections} connections, {ssl.OPENSSL_VERSION}"
    present(arguments.json, results, {title: f"{table(results)}\n\n{cost}"})


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        serve(int(sys.argv[2]), sys.argv[3], Path(sys.argv[4]))
    else:
        main()
