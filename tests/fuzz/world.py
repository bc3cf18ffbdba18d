"""Time, sockets and peers that do only what a target tells them to."""

from __future__ import annotations

import asyncio

from hyperws._core.portable import Protocol

MOST_TURNS = 20_000


class Loop(asyncio.BaseEventLoop):
    """An event loop without a selector. Its clock jumps to the next timer as soon as nothing else is to be
    done, and it stops where there is no timer either."""

    def __init__(self):
        super().__init__()
        self._selector = self   # what BaseEventLoop asks for events
        self._clock_resolution = 1e-6
        self.set_exception_handler(lambda loop, context: self.errors.append(context))
        self.begin()

    def begin(self):
        """A new world."""
        self.now = 0.0
        self.turns = 0
        self.errors = []

    def time(self):
        return self.now

    def select(self, timeout):
        self.turns += 1
        assert self.turns < MOST_TURNS, "the loop does not come to rest"
        if timeout is None:
            self.stop()
        else:
            self.now += timeout
        return []

    def _process_events(self, events):
        pass


class Transport:
    """An asyncio transport. Its socket may be stalled: then it takes nothing, and `write` has the protocol
    pause above `limit` bytes."""

    def __init__(self, loop, protocol, client):
        self.loop = loop
        self.protocol = protocol
        self.client = client
        self.written = bytearray()
        self.held = 0           # bytes that the socket has not taken
        self.limit = None       # while it is stalled
        self.told_to_pause = False
        self.reading = True
        self.closing = False
        self.eof = False
        self.losing = False

    def get_extra_info(self, name, default=None):
        return self.client if name == "peername" else default

    def set_write_buffer_limits(self, high=None, low=None):
        pass

    def write(self, data):
        assert type(data) is bytes
        assert not self.closing
        assert not self.eof
        self.written += data
        if self.limit is not None:
            self.held += len(data)
            if self.held > self.limit:
                self.pause()

    def get_write_buffer_size(self):
        return self.held

    def can_write_eof(self):
        return True

    def write_eof(self):
        self.eof = True

    def pause_reading(self):
        self.reading = False

    def resume_reading(self):
        self.reading = True

    def is_closing(self):
        return self.closing

    def close(self):
        self.closing = True
        if not self.held:
            self.lose(None)

    def abort(self):
        self.lose(None)

    # ------------------------------------------------------------------ what the target does

    def pause(self):
        if not self.told_to_pause:
            self.told_to_pause = True
            self.protocol.pause_writing()

    def stall(self, limit):
        if not self.losing:
            self.limit = limit

    def flow(self):
        """The socket takes everything again."""
        self.limit = None
        self.held = 0
        if self.losing:
            return
        if self.told_to_pause:
            self.told_to_pause = False
            self.protocol.resume_writing()
        if self.closing:
            self.lose(None)

    def lose(self, error):
        self.closing = True
        if not self.losing:
            self.losing = True
            self.loop.call_soon(self.protocol.connection_lost, error)


class Peer:
    """One connection, as its other end sees it."""

    def __init__(self, driver, number):
        self.protocol = Protocol(driver, "peer")
        self.transport = Transport(driver.loop, self.protocol, ("127.0.0.1", number))
        self.client = f"127.0.0.1:{number}"
        self.coming = bytearray()   # sent, and not read yet
        self.read = bytearray()
        self.ended = False
        self.protocol.connection_made(self.transport)

    def deliver(self, size):
        """Let the server read so many bytes, and then the end if it has come to that."""
        if self.transport.closing or not self.transport.reading:
            return
        if piece := bytes(self.coming[:size]):
            del self.coming[:size]
            self.read += piece
            self.protocol.data_received(piece)
        elif self.ended:
            self.transport.reading = False  # an end is read once
            self.ended = False
            self.protocol.eof_received()
