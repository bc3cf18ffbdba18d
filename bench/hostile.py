"""What do hostile peers cost a server, and for how long? Each load meets a fresh server with default limits.

    python bench/hostile.py [--loads declare,drip,never_read,bomb,single_bytes] [--drivers reactor,portable]
                            [--json FILE]

Prints a table: the memory above that of the idle server, the seconds that the first, the median and the last
hostile connection lived, the server's CPU time, and the worst round trip of a healthy client meanwhile.
"""

import argparse
import os
import resource
import selectors
import socket
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import chain, repeat
from pathlib import Path
from statistics import median
from threading import Thread

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
sys.path.insert(0, str(Path(__file__).resolve().parent))

from comparison import present
from processes import CORES, Process, free_port, running, spawn

from hyperws import Context, Limits, Server
from hyperws._core.websocket import encode_frame

DRIVERS = ("reactor", "portable")
HANDSHAKE = (
    b"GET %b HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    b"%b\r\n"
)
OFFER = b"Sec-WebSocket-Extensions: permessage-deflate\r\n"
KEY = b"\x9d\x3a\x5e\xc7"
TEXT, BINARY, CLOSE = 1, 2, 8
RSV1 = 4
DESCRIPTORS = 20_000


# ------------------------------------------------------------------------------------------- the server

def serve(port: int) -> None:
    server = Server(host="127.0.0.1", port=port, compression=True)
    server.route("/", on_message=lambda ctx, message: ctx.send(message))

    @server.route("/subscribe")
    async def subscribe(ctx: Context) -> None:
        ctx.subscribe("news")
        async for _ in ctx:
            pass

    @server.route("/publish")
    async def publish(ctx: Context) -> None:
        async for message in ctx:
            await ctx.send(str(server.publish("news", message)))

    server.run(on_listening=lambda: print("ready", flush=True))


# ------------------------------------------------------------------------------------------- the loads
# Each is a function of a port and a number of connections, in a process of its own. Whenever a connection is
# gone, it yields for how many seconds that one was there.

def websocket(
    port: int, path: bytes = b"/", offer: bytes = b"", receive_buffer: int | None = None
) -> socket.socket:
    sock = socket.socket()
    if receive_buffer:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    sock.connect(("127.0.0.1", port))
    sock.sendall(HANDSHAKE % (path, offer))
    reply = b""
    while not reply.endswith(b"\r\n\r\n"):
        reply += sock.recv(1)
    assert reply.startswith(b"HTTP/1.1 101 ")
    return sock


def exchange(sock: socket.socket, frame: bytes) -> bytes:
    """Send a frame and read the one that answers it, of less than 126 bytes."""
    sock.sendall(frame)
    header = sock.recv(2, socket.MSG_WAITALL)
    return sock.recv(header[1], socket.MSG_WAITALL)


def declare(port: int, connections: int) -> Iterator[float]:
    """Declare a frame of almost the largest size, and send nothing of it."""
    size = (Limits().max_message_size or 0) - 1
    header = encode_frame(BINARY, bytes(size), key=KEY)[:-size]
    with selectors.DefaultSelector() as selector:
        for _ in range(connections):
            sock = websocket(port)
            sock.sendall(header)
            sock.setblocking(False)
            selector.register(sock, selectors.EVENT_READ, (sock, time.monotonic()))
        while selector.get_map():
            for key, _ in selector.select():
                sock, begun = key.data
                if at_its_end(sock):
                    selector.unregister(sock)
                    sock.close()
                    yield time.monotonic() - begun


def at_its_end(sock: socket.socket) -> bool:
    try:
        return not sock.recv(65536)
    except OSError:
        return True


def drip(port: int, connections: int) -> Iterator[float]:
    """Send a request head at one byte a second, whatever is answered."""
    alive = {}
    for number in range(connections):
        if number % 1000 == 0:
            websocket(port).close()     # it is answered once the server has accepted those before it
        alive[socket.create_connection(("127.0.0.1", port))] = time.monotonic()
    head = chain(b"GET / HTTP/1.1\r\nX: ", repeat(ord("x")))
    while alive:
        started, byte = time.monotonic(), bytes([next(head)])
        for sock, begun in list(alive.items()):
            try:
                sock.sendall(byte)
            except OSError:
                del alive[sock]
                sock.close()
                yield time.monotonic() - begun
        time.sleep(max(0, started + 1 - time.monotonic()))


def never_read(port: int, connections: int) -> Iterator[float]:
    """Subscribe and read nothing, while somebody publishes 16 KiB at a time until nobody is left."""
    # the small buffers spare this machine: what the kernel holds comes on top of the server's own memory
    subscribers = [websocket(port, b"/subscribe", receive_buffer=16384) for _ in range(connections)]
    publisher = websocket(port, b"/publish")
    news = encode_frame(BINARY, bytes(16384), key=KEY)
    begun = time.monotonic()
    left = connections
    while left:
        reached = int(exchange(publisher, news))
        yield from [time.monotonic() - begun] * (left - reached)
        left = reached
    for sock in subscribers:
        sock.close()


def bomb(port: int, connections: int) -> Iterator[float]:
    """One after the other, send a message of a million bytes that inflates to a thousand million."""
    compressor, zeros = zlib.compressobj(wbits=-15), bytes(1 << 20)
    payload = b"".join(compressor.compress(zeros) for _ in range(1024)) + compressor.flush(zlib.Z_SYNC_FLUSH)
    frame = encode_frame(BINARY, payload[:-4], rsv=RSV1, key=KEY)
    for _ in range(connections):
        with websocket(port, offer=OFFER) as sock:
            begun = time.monotonic()
            with suppress(ConnectionError):     # it is closed before all of it is there
                sock.sendall(frame)
            while not at_its_end(sock):
                pass
        yield time.monotonic() - begun


def single_bytes(port: int, connections: int) -> Iterator[float]:
    """Send ten messages of a million bytes, each byte in a segment of its own, as fast as they go."""
    frame = encode_frame(BINARY, bytes(1 << 20), key=KEY)
    for _ in range(connections):
        with websocket(port, offer=OFFER) as sock:     # so that the echoes are small
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            begun = time.monotonic()
            for _ in range(10):
                for byte in range(len(frame)):
                    sock.send(frame[byte:byte + 1])
            sock.sendall(encode_frame(CLOSE, b"", key=KEY))
            while not at_its_end(sock):
                pass
        yield time.monotonic() - begun


LOADS: dict[str, tuple[int, Callable[[int, int], Iterator[float]]]] = {
    "declare": (5000, declare),
    "drip": (5000, drip),
    "never_read": (1000, never_read),
    "bomb": (20, bomb),
    "single_bytes": (1, single_bytes),
}


def load(name: str, port: int) -> None:
    connections, function = LOADS[name]
    for lived in function(port, connections):
        print(lived, flush=True)


# ------------------------------------------------------------------------------------- the measurement

class HealthyClient(Thread):
    """One that echoes all the time, and remembers its worst round trip."""

    def __init__(self, port: int) -> None:
        super().__init__()
        self.socket = websocket(port)
        self.worst, self.round_trips, self.stopping = 0.0, 0, False

    def run(self) -> None:
        frame = encode_frame(TEXT, b"healthy", key=KEY)
        while not self.stopping:
            started = time.monotonic()
            assert exchange(self.socket, frame) == b"healthy"
            self.worst = max(self.worst, time.monotonic() - started)
            self.round_trips += 1
            time.sleep(0.02)
        self.socket.close()


def measure(name: str, driver: str) -> dict[str, float]:
    connections, _ = LOADS[name]
    port = free_port()
    environment = os.environ | {"HYPERWS_DRIVER": driver}
    with running(spawn(CORES[0], [sys.executable, __file__, "serve", str(port)], env=environment)) as server:
        assert server.stdout
        server.stdout.readline()
        process = Process(server.pid)
        client = HealthyClient(port)
        idle, cpu = process.megabytes("VmRSS"), process.cpu_seconds()
        client.start()
        lived: list[float] = []
        with running(spawn(CORES[-1], [sys.executable, __file__, "load", name, str(port)])) as hostile:
            assert hostile.stdout
            for line in hostile.stdout:
                lived.append(float(line))
                if len(lived) % max(1, connections // 5) == 0:
                    title = f"{name}, {driver}: {len(lived)} of {connections} connections gone"
                    print(f"{title}, the last after {lived[-1]:.1f} s", file=sys.stderr)
        client.stopping = True
        client.join()
        if len(lived) != connections:
            raise SystemExit(f"{name}, {driver}: the load ended with {len(lived)} of {connections} gone")
        peak = process.megabytes("VmHWM")
        return {
            "connections": connections,
            "idle_mb": idle,
            "grown_mb": peak - idle,
            "first_s": min(lived),
            "median_s": median(lived),
            "last_s": max(lived),
            "server_cpu_s": process.cpu_seconds() - cpu,
            "worst_round_trip_ms": client.worst * 1000,
            "round_trips": client.round_trips,
        }


def markdown_table(measured: dict[str, dict[str, dict[str, float]]]) -> str:
    header = ["load", "driver", "connections", "idle RSS MB", "peak above it MB", "KB/connection"]
    header += ["first gone s", "median s", "last s", "server CPU s", "healthy client's worst round trip ms"]
    lines = [header, ["---"] * 2 + ["--:"] * (len(header) - 2)]
    for name, by_driver in measured.items():
        for driver, figures in by_driver.items():
            lines.append(
                [
                    name,
                    driver,
                    f"{figures['connections']:,.0f}",
                    f"{figures['idle_mb']:.1f}",
                    f"{figures['grown_mb']:.1f}",
                    f"{figures['grown_mb'] / figures['connections'] * 1000:.1f}",
                    f"{figures['first_s']:.1f}",
                    f"{figures['median_s']:.1f}",
                    f"{figures['last_s']:.1f}",
                    f"{figures['server_cpu_s']:.2f}",
                    f"{figures['worst_round_trip_ms']:.1f}",
                ]
            )
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def some_of(known: tuple[str, ...]) -> Callable[[str], list[str]]:
    def parse(text: str) -> list[str]:
        if unknown := set(text.split(",")) - set(known):
            raise argparse.ArgumentTypeError(f"unknown: {', '.join(unknown)}; known: {', '.join(known)}")
        return text.split(",")

    return parse


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--loads", type=some_of(tuple(LOADS)), default=list(LOADS), help=", ".join(LOADS))
    parser.add_argument("--drivers", type=some_of(DRIVERS), default=list(DRIVERS), help=", ".join(DRIVERS))
    parser.add_argument("--json", metavar="FILE", help="write the figures there too")
    options = parser.parse_args()
    os.sched_setaffinity(0, {CORES[-1]})    # the healthy client leaves the first core to the server
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(DESCRIPTORS, hard), hard))     # the children's too
    measured = {name: {driver: measure(name, driver) for driver in options.drivers} for name in options.loads}
    present(options.json, measured, {"Peers that mean harm": markdown_table(measured)})


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        serve(int(sys.argv[2]))
    elif sys.argv[1:2] == ["load"]:
        load(sys.argv[2], int(sys.argv[3]))
    else:
        main()
