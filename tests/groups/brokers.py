"""Real brokers for tests: each in a folder and on a port of its own, ended by its own process id."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess

import pytest

# for programs that are not ours: the sanitizers are for hyperws
FOREIGN = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}


class Broker:
    """A broker that runs. What differs between brokers is in the subclasses."""

    program: str
    ready: bytes
    """What it logs once it takes connections."""
    url: str
    """Where clients find it. `{port}` stands for the port."""
    environment = FOREIGN
    """Without the sanitizers: they are for what is ours."""

    def __init__(self, folder, *, lasting=False):
        """Start it. `folder` is a pathlib.Path, `lasting` whether what it keeps outlives it."""
        if shutil.which(self.program) is None:
            pytest.skip(f"{self.program} is not installed")
        self.folder = folder
        self.lasting = lasting
        self.port = free_port()
        self.url = self.url.format(port=self.port)
        self.start()

    def command(self):
        """Its command line: a list of str."""
        raise NotImplementedError

    def start(self):
        """Start it (again, where it was before), and return when it takes connections."""
        self.process = subprocess.Popen(
            self.command(), cwd=self.folder, env=self.environment,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )
        log = []
        for line in self.process.stdout:
            log.append(line)
            if self.ready in line:
                return
        self.kill()
        raise AssertionError(b"".join(log).decode(errors="replace"))

    def pause(self):
        """Let it hang: connections stay, but nothing is answered."""
        self.process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self.process.pid, os.WSTOPPED)

    def resume(self):
        self.process.send_signal(signal.SIGCONT)
        os.waitid(os.P_PID, self.process.pid, os.WCONTINUED)

    def kill(self):
        """End it without a warning, whatever its state."""
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def stop(self):
        """Let it end in good order; from any state, and also if it has ended already."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.terminate()
            try:
                self.process.wait(20)
            finally:
                self.process.kill()
        self.process.stdout.close()


class RedisServer(Broker):
    program = "redis-server"
    ready = b"Ready to accept connections"
    url = "redis://127.0.0.1:{port}"

    def __init__(self, folder, *options, lasting=False):
        """`options` are more words for its command line, in which `{port}` stands for the port."""
        self.options = options
        super().__init__(folder, lasting=lasting)

    def command(self):
        return [
            self.program, "--bind", "127.0.0.1", "--port", str(self.port), "--save", "",
            "--appendonly", "yes" if self.lasting else "no",
            *(option.format(port=self.port) for option in self.options),
        ]


class NatsServer(Broker):
    program = "nats-server"
    ready = b"Server is ready"
    url = "nats://127.0.0.1:{port}"

    def __init__(self, folder, *options, lasting=False):
        """`options` are more words for its command line."""
        self.options = options
        super().__init__(folder, lasting=lasting)

    def command(self):
        storage = self.folder / "storage"
        if not self.lasting:
            shutil.rmtree(storage, ignore_errors=True)
        return [self.program, "-a", "127.0.0.1", "-p", str(self.port), "-sd", str(storage), *self.options]


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]
