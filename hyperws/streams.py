"""The part of `Context` for responses that take their time: event streams and long polls."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

from hyperws._core.event_writer import encode_event
from hyperws.errors import ConnectionClosed, UsageError
from hyperws.exchange import Exchange

EVENT_STREAM = {
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-store",
    "x-accel-buffering": "no",  # nginx would keep events back
}


class Streams(Exchange):
    """Server-Sent Events (HTML, section 9.2), and answers that wait for a message."""

    __slots__ = ()

    def send_event(
        self,
        data: str | None,
        event: str | None = None,
        id: str | None = None,
        retry: int | None = None,
    ) -> Awaitable[None]:
        """Send a Server-Sent Event, after the head of an event stream where that has not gone out yet.

        `data` may have several lines; `event` is its type, `id` what a browser tells as `last_event_id` when
        it comes back, `retry` after how many milliseconds it does that. Queued at the call; awaiting it waits
        while the peer is slow. Raises ConnectionClosed, UsageError for what no event can have.
        """
        encoded = encode_event(data, event, id, retry)
        self.start_events()
        return self.http.send_event(encoded)

    def start_events(self) -> None:
        """Make the response an event stream, if it is none yet. Comments keep it alive while nothing is sent.

        Raises ConnectionClosed, UsageError where the response has begun as something else.
        """
        if self.is_websocket:
            raise UsageError("events are for HTTP: a WebSocket is sent messages, by send()")
        if self.is_event_stream:
            self.check_stream()
            return
        response = self.unsent_response("send_event")
        for name, value in EVENT_STREAM.items():
            response.headers.setdefault(name, value)
        response.body = b""
        self.send_chunk(b"")
        self.is_event_stream = True
        if not self.has_body:
            raise ConnectionClosed(1000, "a HEAD request gets no events")
        self.http.stream_events(self.is_chunked)
        if self.server.stopping:
            self.http.go_away()
        self.check_stream()

    def check_stream(self) -> None:
        """Raise where an event stream has ended."""
        if self.http.closed:
            raise ConnectionClosed(1006)
        if self.over:
            raise UsageError("the event stream has ended with its handler: let that wait_closed()")

    @property
    def last_event_id(self) -> str | None:
        """The id of the last event that the client got before it came back, None where it is new."""
        return self.headers.get("last-event-id")

    async def poll(self, topic: str, timeout: float = 25.0) -> None:
        """Answer with the next message of a topic: a str as text, bytes as they are. Or with 204 if none has
        come after `timeout` seconds, or the server stops. Raises ConnectionClosed."""
        response = self.unsent_response("poll")
        poll = self.http.poll(self.topics, topic)
        if self.server.stopping:
            poll.close()
        timer = asyncio.get_running_loop().call_later(timeout, poll.close)
        try:
            message = await poll.message
        finally:
            timer.cancel()
            poll.close()
        response.headers.setdefault("cache-control", "no-store")
        if message is None:
            response.set_status(204)
        await self.respond(message)
