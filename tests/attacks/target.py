"""The attacked server as its attacker and its administrator see it."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from hyperws._core.websocket import encode_frame

KEY = b"\x9a\x01\xfe\x37"
CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
RSV1 = 4
PATIENCE = 20  # seconds for what must come in the end
LINEAR = 30  # ten times the input may cost ten times as much, and never a hundred times
MAX_MESSAGE_SIZE = 1 << 20  # the default

# where it is sanitized, what is freed is not kept back: it would count as memory that is used
ASAN_OPTIONS = os.environ.get("ASAN_OPTIONS", "") + ":quarantine_size_mb=0:thread_local_quarantine_size_kb=0"


def request(*lines, method="GET", path="/", body=b""):
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: a", *lines, "", ""]).encode("latin-1") + body


def handshake(*lines, path="/"):
    return request(
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        *lines,
        path=path,
    )


def frame(opcode, payload=b"", *, fin=True, rsv=0):
    """A frame as clients send it."""
    return encode_frame(opcode, payload, fin=fin, rsv=rsv, key=KEY)


def statuses(answer):
    """The statuses of the responses in all that a server has sent."""
    return [int(status) for status in re.findall(rb"HTTP/1\.1 ([0-9]{3}) ", answer)]


def close_code(answer):
    """The code of the close frame that ends all that a server has sent."""
    start = answer.rindex(b"\x88")
    assert len(answer) == start + 2 + answer[start + 1]
    return int.from_bytes(answer[start + 2:start + 4])


class Target:
    """`with Target(driver, max_headers=5) as target:` is a server with these limits."""

    def __init__(self, driver, files=None, **limits):
        self.log = os.memfd_create("log")
        settings = {"limits": limits} | ({} if files is None else {"files": files})
        self.process = subprocess.Popen(
            [sys.executable, Path(__file__).with_name("server.py"), json.dumps(settings)],
            stdout=subprocess.PIPE,
            stderr=self.log,
            env=os.environ | {"HYPERWS_DRIVER": driver, "ASAN_OPTIONS": ASAN_OPTIONS},
            text=True,
        )
        self.address = "127.0.0.1", int(self.process.stdout.readline())
        self.proc = Path(f"/proc/{self.process.pid}")

    def __enter__(self):
        return self

    def __exit__(self, *error):
        """Whatever was done to it, it stops as it should."""
        self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(PATIENCE)
        finally:
            self.process.kill()
            self.process.communicate()
            os.close(self.log)
        assert status == 0

    def check(self):
        """It still serves, and nothing in it has failed."""
        assert self.exchange(request("Connection: close")).endswith(b"alive, 2 headers")
        assert "Traceback" not in self.logged()

    def logged(self):
        return os.pread(self.log, 1 << 20, 0).decode()

    # ---------------------------------------------------------------------------- what it costs

    def cpu(self):
        """Nanoseconds that it has run."""
        return sum(int(path.read_text().split()[0]) for path in self.proc.glob("task/*/schedstat"))

    def memory(self, name="VmRSS"):
        """Bytes: VmRSS is what it uses, VmHWM the most that has been, VmData what it has asked for."""
        (line,) = [line for line in (self.proc / "status").read_text().splitlines() if line.startswith(name)]
        return int(line.split()[1]) * 1024

    def forget_peak(self):
        """VmHWM starts again from what is used now."""
        (self.proc / "clear_refs").write_text("5")

    def descriptors(self):
        return len(list(self.proc.glob("fd/*")))

    def growth(self, attack, size, rounds=3):
        """What ten times the size costs in CPU time, in units of what `attack(size)` costs."""
        costs = {size: [], 10 * size: []}
        for _ in range(rounds):
            for each, measured in costs.items():
                before = self.cpu()
                attack(each)
                measured.append(self.cpu() - before)
        small, large = map(min, costs.values())
        return large / small

    # ----------------------------------------------------------------------------- its clients

    def connect(self, receive_buffer=None):
        """A plain connection."""
        peer = socket.socket()
        peer.settimeout(PATIENCE)
        if receive_buffer is not None:
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        peer.connect(self.address)
        return peer

    def exchange(self, *pieces):
        """All that it answers to what is sent, until it closes the connection."""
        with self.connect() as peer:
            for piece in pieces:
                peer.sendall(piece)
            return receive_all(peer)

    def websocket(self, path="/", *lines, receive_buffer=None):
        """A connection after a handshake that has these lines."""
        peer = self.connect(receive_buffer)
        peer.sendall(handshake(*lines, path=path))
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += receive(peer, 1)
        assert head.startswith(b"HTTP/1.1 101 ")
        return peer

    def talk(self, *frames):
        """The code with which it closes a WebSocket that sends these frames."""
        with self.websocket() as peer:
            for each in frames:
                peer.sendall(each)
            return close_code(receive_all(peer))


def receive(peer, size):
    """The next so many bytes."""
    data = bytearray()
    while len(data) < size:
        piece = peer.recv(size - len(data))
        assert piece, "the server has closed the connection"
        data += piece
    return bytes(data)


def dribble(peer, data):
    """Send segments of one byte, so slowly that the server reads each by itself."""
    for byte in data:
        peer.send(bytes([byte]))
        time.sleep(1e-5)


def receive_all(peer):
    """All that comes until the end."""
    return b"".join(iter(lambda: peer.recv(1 << 20), b""))


def receive_frame(peer):
    """(opcode, payload) of the next frame."""
    first, length = receive(peer, 2)
    if length >= 126:
        length = int.from_bytes(receive(peer, {126: 2, 127: 8}[length]))
    return first & 15, receive(peer, length) if length else b""
