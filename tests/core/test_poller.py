"""The poller on pairs of connected sockets."""

from __future__ import annotations

import ctypes
import errno
import os
import select
import signal
import socket

import pytest

from .c_library import build

if os.name == "nt":
    pytest.skip("there is no poller for Windows", allow_module_level=True)

import fcntl

READ, WRITE, IDLE = 1, 2, 4

# what Python can't read of an event, which is a struct of the system's
READY = """
int ready(int poller, int *fds, int *what, int capacity) {
    hw_event events[16];
    int count = hw_poller_wait(poller, events, capacity);
    for (int i = 0; i < count; i++) {
        fds[i] = (int)(size_t)hw_event_tag(&events[i]);
        what[i] = hw_event_ready(&events[i]);
    }
    return count;
}
"""


class Poller:
    """A poller whose tags are the sockets' descriptors."""

    def __init__(self, library):
        self.library = library
        self.fd = library.hw_poller_open()
        assert self.fd >= 0
        self.interests = {}

    def change(self, watched, after):
        fd = watched.fileno()
        before = self.interests.pop(fd, 0)
        self.interests[fd] = after
        return self.library.hw_poller_change(self.fd, fd, before, after, ctypes.c_void_p(fd))

    def ready(self, capacity=16):
        """{descriptor: what it is ready for}"""
        fds, what = (ctypes.c_int * 16)(), (ctypes.c_int * 16)()
        count = self.library.ready(self.fd, fds, what, capacity)
        assert count >= 0
        found = {}
        for fd, one in zip(fds[:count], what[:count], strict=True):
            found[fd] = found.get(fd, 0) | one
        return found

    def is_readable(self):
        """As the loop sees it in which the poller nests."""
        return bool(select.select([self.fd], [], [], 0)[0])


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    library = build(tmp_path_factory.mktemp("poller"), "poller", READY)
    library.hw_sendfile.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_size_t)
    library.hw_sendfile.restype = ctypes.c_ssize_t
    return library


@pytest.fixture
def poller(library):
    poller = Poller(library)
    yield poller
    os.close(poller.fd)


@pytest.fixture
def pair():
    one, other = socket.socketpair()
    with one, other:
        one.setblocking(False)
        other.setblocking(False)
        yield one, other


def until_blocked(call, argument):
    try:
        while True:
            call(argument)
    except BlockingIOError:
        pass


def test_readable_until_read(poller, pair):
    one, other = pair
    poller.change(one, READ)
    assert poller.ready() == {}
    assert not poller.is_readable()
    other.send(b"hi")
    for _ in range(2):
        assert poller.is_readable()
        assert poller.ready() == {one.fileno(): READ}
    one.recv(2)
    assert poller.ready() == {}
    assert not poller.is_readable()


def test_writable_while_there_is_room(poller, pair):
    one, other = pair
    poller.change(one, WRITE)
    assert poller.ready() == {one.fileno(): WRITE}
    until_blocked(one.send, b"x" * 65536)
    assert poller.ready() == {}
    until_blocked(other.recv, 65536)
    assert poller.is_readable()
    assert poller.ready() == {one.fileno(): WRITE}


def test_both(poller, pair):
    one, other = pair
    poller.change(one, READ | WRITE)
    other.send(b"hi")
    assert poller.ready() == {one.fileno(): READ | WRITE}


def test_an_interest_is_changed_and_removed(poller, pair):
    one, other = pair
    other.send(b"hi")
    for interest, ready in (
        (READ | IDLE, READ), (IDLE, 0), (READ | WRITE | IDLE, READ | WRITE), (WRITE | IDLE, WRITE), (IDLE, 0),
        (READ | IDLE, READ), (0, 0), (WRITE, WRITE), (0, 0), (IDLE, 0), (0, 0),
    ):
        assert poller.change(one, interest) == 0
        assert poller.is_readable() == bool(ready)
        assert poller.ready() == ({one.fileno(): ready} if ready else {})


def test_the_end_of_a_peer_is_readable(poller, pair):
    one, other = pair
    poller.change(one, READ)
    other.close()
    assert poller.ready()[one.fileno()] & READ
    assert one.recv(1) == b""


def test_a_bad_descriptor_is_told(poller, library, pair):
    one, _ = pair
    one.close()
    assert library.hw_poller_change(poller.fd, 10**6, 0, READ, None) == -errno.EBADF
    assert library.hw_poller_wait(-1, ctypes.create_string_buffer(64), 1) == -errno.EBADF


def test_more_sockets_than_are_asked_for(poller):
    pairs = [socket.socketpair() for _ in range(10)]
    waiting = set()
    for one, other in pairs:
        poller.change(one, READ)
        other.send(b"hi")
        waiting.add(one.fileno())
    while waiting:
        found = poller.ready(capacity=3)
        assert 0 < len(found) <= 3
        for one, _ in pairs:
            if one.fileno() in found:
                poller.change(one, 0)
        assert waiting >= found.keys()
        waiting -= found.keys()
    assert not poller.is_readable()
    for one, other in pairs:
        one.close()
        other.close()


def test_accept(poller, library):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        address, size = ctypes.create_string_buffer(128), ctypes.c_uint32(128)
        accept = lambda: library.hw_accept(listener.fileno(), address, ctypes.byref(size))    # noqa: E731
        assert accept() == -errno.EAGAIN
        poller.change(listener, READ)
        with socket.create_connection(listener.getsockname()) as client:
            select.select([poller.fd], [], [])
            assert poller.ready() == {listener.fileno(): READ}
            with socket.socket(fileno=accept()) as accepted:
                assert accepted.getpeername() == client.getsockname()
                assert not os.get_blocking(accepted.fileno())
                assert not os.get_inheritable(accepted.fileno())


CONTENT = bytes(range(256)) * 8192      # 2 MiB: more than a socket takes at once


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(CONTENT)
    with path.open("rb") as file:
        yield file.fileno()


@pytest.mark.parametrize("kind", ["sendfile", "without sendfile"])
def test_a_file_is_sent_in_the_pieces_that_a_socket_takes(library, pair, file, kind):
    one, other = pair
    if kind == "without sendfile":
        # Linux refuses to send a file to what is open for appending
        fcntl.fcntl(one, fcntl.F_SETFL, os.O_NONBLOCK | os.O_APPEND)
    at, came = 1000, b""
    while at < len(CONTENT) - 1:
        taken = library.hw_sendfile(one.fileno(), file, at, len(CONTENT) - 1 - at)
        if taken == -errno.EAGAIN:
            came += other.recv(len(CONTENT))
            continue
        assert 0 < taken <= len(CONTENT) - 1 - at
        at += taken
    one.close()
    while piece := other.recv(len(CONTENT)):
        came += piece
    assert came == CONTENT[1000:-1]
    assert os.lseek(file, 0, os.SEEK_CUR) == 0


def test_the_end_of_a_file(library, pair, file):
    one, other = pair
    assert library.hw_sendfile(one.fileno(), file, len(CONTENT) - 3, 10) == 3
    assert library.hw_sendfile(one.fileno(), file, len(CONTENT), 10) == 0
    assert library.hw_sendfile(one.fileno(), file, len(CONTENT) + 5, 10) == 0
    assert other.recv(10) == CONTENT[-3:]


def test_a_file_for_a_peer_that_is_gone_raises_no_signal(library, pair, file):
    one, other = pair
    other.close()
    raised = []
    before = signal.signal(signal.SIGPIPE, lambda *_: raised.append(True))
    try:
        assert library.hw_sendfile(one.fileno(), file, 0, 10) == -errno.EPIPE
        assert signal.SIGPIPE not in signal.sigpending()
        assert signal.SIGPIPE not in signal.pthread_sigmask(signal.SIG_BLOCK, [])
        assert not raised
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGPIPE])
        assert library.hw_sendfile(one.fileno(), file, 0, 10) == -errno.EPIPE
        assert signal.SIGPIPE in signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGPIPE])
    finally:
        signal.signal(signal.SIGPIPE, before)
    assert not raised


def test_what_can_not_be_sent_is_told(library, pair, file):
    one, _ = pair
    assert library.hw_sendfile(one.fileno(), 10**6, 0, 10) == -errno.EBADF
    assert library.hw_sendfile(10**6, file, 0, 10) == -errno.EBADF
