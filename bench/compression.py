"""What permessage-deflate costs and saves: memory a connection, CPU and bytes a message, by its settings.

    python bench/compression.py [--connections 1000] [--messages 20]

Every connection echoes JSON messages of a trading screen, compressed both ways by what was agreed on, and is
then at rest. Prints a table.
"""

import argparse
import json
import random
import socket
import sys
import zlib
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
sys.path.insert(0, str(Path(__file__).resolve().parent))

from comparison import Figures, markdown, present
from processes import CORES, Process, free_port, running, spawn

from hyperws import Compression, Limits, Server
from hyperws._core.websocket import encode_frame

SETTINGS: dict[str, Compression | bool] = {
    "off": False,
    "no context kept (default)": Compression(),
    "context kept": Compression(server_no_context_takeover=False, client_no_context_takeover=False),
    "context kept, windows 12, memory 5": Compression(
        server_no_context_takeover=False,
        client_no_context_takeover=False,
        server_max_window_bits=12,
        client_max_window_bits=12,
        memory_level=5,
    ),
    "context kept, windows 9, memory 1": Compression(
        server_no_context_takeover=False,
        client_no_context_takeover=False,
        server_max_window_bits=9,
        client_max_window_bits=9,
        memory_level=1,
    ),
}
HANDSHAKE = (
    b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    b"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n"
)
KEY = b"\x9d\x3a\x5e\xc7"
TEXT, RSV1 = 1, 4
SYMBOLS = ("ACME", "GLOBEX", "INITECH", "HOOLI", "UMBRELLA", "STARK", "WAYNE", "TYRELL")


def serve(name: str, port: int) -> None:
    limits = Limits(ping_interval=None, idle_timeout=None)
    server = Server(port=port, compression=SETTINGS[name], limits=limits)
    server.route("/", on_message=lambda ctx, message: ctx.send(message))
    server.run(on_listening=lambda: print("ready", flush=True))


def quotes(chance: random.Random) -> bytes:
    """A message of about half a kilobyte."""
    rows = [
        {"symbol": symbol, "bid": f"{chance.uniform(10, 500):.2f}", "size": chance.randrange(1, 999)}
        for symbol in SYMBOLS
    ]
    return json.dumps({"type": "quotes", "sequence": chance.randrange(10**6), "rows": rows}).encode()


class Client:
    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.sendall(HANDSHAKE)
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += self.socket.recv(1)
        terms = head.decode().partition("permessage-deflate")
        self.compresses = bool(terms[1])
        self.keeps = self.compresses and "client_no_context_takeover" not in terms[2]
        bits = terms[2].partition("client_max_window_bits=")[2].split("\r\n")[0]
        self.bits = int(bits or 15)
        self.compressor = zlib.compressobj(wbits=-self.bits)

    def exchange(self, message: bytes) -> int:
        """Send a message, and count the bytes of the frame that comes back."""
        if not self.compresses:
            frame = encode_frame(TEXT, message, key=KEY)
        else:
            flush = zlib.Z_SYNC_FLUSH if self.keeps else zlib.Z_FULL_FLUSH
            payload = (self.compressor.compress(message) + self.compressor.flush(flush))[:-4]
            frame = encode_frame(TEXT, payload, rsv=RSV1, key=KEY)
        self.socket.sendall(frame)
        header = self.socket.recv(2, socket.MSG_WAITALL)
        size = header[1]
        if size == 126:
            extended = self.socket.recv(2, socket.MSG_WAITALL)
            size = int.from_bytes(extended)
            header += extended
        return len(header + self.socket.recv(size, socket.MSG_WAITALL))


def measure(name: str, connections: int, messages: int) -> Figures:
    port = free_port()
    with running(spawn(CORES[0], [sys.executable, __file__, "serve", name, str(port)])) as server:
        assert server.stdout
        server.stdout.readline()
        process, chance = Process(server.pid), random.Random(7692)
        clients = [Client(port) for _ in range(connections)]
        idle = process.megabytes("VmRSS")
        cpu, size = process.cpu_seconds(), 0
        for _ in range(messages):
            for client in clients:
                size += client.exchange(quotes(chance))
        cpu = process.cpu_seconds() - cpu
        grown = process.megabytes("VmRSS") - idle
    count = connections * messages
    return {
        "connection_kb": grown * 1e3 / connections,
        "server_cpu_us": cpu * 1e6 / count,
        "bytes_sent": size / count,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--connections", type=int, default=1000)
    parser.add_argument("--messages", type=int, default=20)
    parser.add_argument("--json", metavar="FILE", help="write the figures there too")
    options = parser.parse_args()
    measured = {}
    for name in SETTINGS:
        measured[name] = measure(name, options.connections, options.messages)
        print(f"{name}: {measured[name]['server_cpu_us']:.0f} µs a message", file=sys.stderr)
    header = ["compression", "KB of memory a connection", "server CPU µs a message", "bytes sent a message"]
    rows = [
        [name, *(f"{value:.{digits}f}" for value, digits in zip(figures.values(), (1, 0, 0), strict=True))]
        for name, figures in measured.items()
    ]
    title = f"{options.connections} connections, {options.messages} JSON messages each of about 480 bytes"
    present(options.json, measured, {title: markdown(header, rows)})


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        serve(sys.argv[2], int(sys.argv[3]))
    else:
        main()
