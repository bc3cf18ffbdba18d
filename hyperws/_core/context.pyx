# cython: nonecheck=True
# an object that was made without __init__ has None where methods are called

from hyperws.errors import UsageError

from hyperws._core.connection cimport Session
from hyperws._core.http cimport Request
from hyperws._core.http_session cimport HttpSession
from hyperws._core.message_writer cimport checked_message
from hyperws._core.topics cimport Policy, Subscription, Topics, checked_topic, policy_named
from hyperws._core.waiter cimport DONE
from hyperws._core.websocket_session cimport OPEN, WebSocketSession


cdef class BaseContext:
    def __init__(self, server, HttpSession http not None, Request request not None, dict params):
        self.server = server
        self.topics = server.topics
        self.http = http
        self.connection = http.connection
        self.request = request
        self._body = request.body
        self._params = params or None

    def attach_websocket(self, WebSocketSession websocket not None):
        self.websocket = websocket
        self.http = None

    cdef int need_websocket(self, str method) except -1:
        if self.websocket is None:
            raise UsageError(
                f"{method} is for WebSockets, and this is an HTTP request: see ctx.is_websocket"
            )
        return 0

    def receive(self):
        """Wait for the next message, whole: `str` for a text message, `bytes` for a binary one.

        Raises ConnectionClosed once the connection has ended and all its messages have been taken.
        Cancelling it loses no message.
        """
        self.need_websocket("receive()")
        if self.websocket.inbox is None:
            raise UsageError(
                "this route's messages go to on_message: give it a coroutine handler to receive()"
            )
        return self.websocket.inbox.receive(False)

    def __aiter__(self):
        """The messages, until the connection has ended."""
        self.need_websocket("async for")
        if self.websocket.inbox is None:
            raise UsageError("this route's messages go to on_message: give it a coroutine handler to iterate")
        return self.websocket.inbox.receive(True)

    def send(self, message=None, *, compress=None):
        """Send a message: `str` as text, bytes-like as binary. On HTTP, send the response, as `respond` does.

        A list, tuple or iterator of either is one message, a frame for each but the empty ones (RFC 6455,
        section 5.4). Where compression was agreed on, `compress` (bool) decides in place of its threshold.

        The message is queued at the call; awaiting the result waits while the peer is slow. Raises
        ConnectionClosed where the connection has ended, UsageError for what is no message.
        """
        if self.websocket is None:
            return self.respond(message)
        if message is None:
            raise UsageError("on a WebSocket, send() takes a message, and send_body() sends the body")
        return self.websocket.send(message, compress)

    def close(self, code=1000, reason=""):
        """Start the closing handshake (RFC 6455, section 7). Awaiting the result waits for its end.

        `code` is 1000 or one that may be sent (section 7.4), `reason` at most 123 bytes of UTF-8.
        Closing twice does nothing. Raises UsageError for a code or reason that must not be sent.
        """
        self.need_websocket("close()")
        return self.websocket.close(code, reason)

    def ping(self):
        """Send a ping. Awaiting the result waits for the pong and gives the round-trip time in seconds.

        Raises ConnectionClosed where the connection has ended, or ends before the pong.
        """
        self.need_websocket("ping()")
        return self.websocket.ping()

    def subscribe(self, topic, since=None, *, policy="close", member=None):
        """Get what is published to `topic` (str), until `unsubscribe` or the end of the connection.

        Takes effect at the call. Awaiting the result gives the Subscription itself, once what came before is
        there: its `epoch` and `offset`, and whether it has `recovered`. `since` asks for what a topic with a
        history has kept: (epoch, offset) for all after that message, the same as a str "epoch:offset", or
        "start" for all there is.

        `policy` says what becomes of a peer that is too slow for what waits in its `Limits.send_queue`:
        "close" ends its connection with 1013, "drop" leaves out what is published while half of that waits,
        "latest" only the last message of the topic is kept while the socket takes nothing.

        `member` is a value with a JSON of at most 1024 bytes, which makes it known to the others: see
        `Server.members`.

        On HTTP, the response becomes an event stream: each message is the data of an event, with the id
        "epoch:offset" where the topic has a history. Raises ConnectionClosed where the end has come already,
        UsageError for what makes no sense.
        """
        cdef Subscription subscription
        cdef Policy chosen = policy_named(policy)
        cdef Session subscriber
        topic = checked_topic(topic)
        if self.topics.relay is not None:
            self.topics.relay.check_subscription(topic, since, member)
        if self.websocket is None:
            self.start_events()
        elif self.websocket.state != OPEN:
            raise self.websocket.closed_error()
        subscriber = self.subscriber()
        if since is not None and subscriber.topics is not None and topic in subscriber.topics:
            raise UsageError(f"this connection has subscribed to {topic!r} already: unsubscribe first")
        subscription = self.topics.join(subscriber, topic, chosen)
        if self.topics.relay is not None:
            self.topics.relay.subscribed(subscription, since, member, self)
        return subscription

    def unsubscribe(self, topic):
        """Get no more of `topic`."""
        if not self.over:
            self.topics.leave(self.subscriber(), checked_topic(topic))
        return DONE

    def publish(self, topic, message, *, compress=None):
        """Send `message` to the other subscribers of `topic`, as `send` does. Returns how many they are."""
        return self.topics.publish(
            checked_topic(topic), checked_message(message), self.subscriber(), compress, False
        )

    cdef Session subscriber(self):
        if self.over:
            return None     # the session is another request's
        return self.http if self.websocket is None else self.websocket

    def wait_closed(self):
        """Wait until the connection is closed, as long as it may take: what an event stream does that is fed
        by topics alone. Returns at once where it is closed already."""
        return self.connection.wait_gone()

    @property
    def is_websocket(self):
        """Whether this is a WebSocket, rather than one HTTP request."""
        return self.websocket is not None

    @property
    def closed(self):
        """Whether the connection has ended, or its end has begun."""
        if self.websocket is None:
            return self.http.closed
        return self.websocket.state != OPEN

    @property
    def close_code(self):
        """The code of the first close frame, from either side; None while open. See ConnectionClosed."""
        return None if self.websocket is None else self.websocket.close_code or None

    @property
    def close_reason(self):
        """The reason in that close frame, None while open."""
        return None if self.websocket is None else self.websocket.close_reason

    @property
    def latency(self):
        """Seconds that the last answered ping took, None before the first."""
        return None if self.websocket is None or self.websocket.latency < 0 else self.websocket.latency

    @property
    def _took_text(self):
        """Whether the last message received was text."""
        return (
            self.websocket is not None
            and self.websocket.inbox is not None
            and self.websocket.inbox.took_text
        )


def publish(
    Topics topics not None, topic, message, BaseContext exclude=None, compress=None, bint local=False
):
    """Send `message` to every subscriber of `topic` but `exclude`. Returns how many it reached."""
    cdef Session excluded = None if exclude is None else exclude.subscriber()
    return topics.publish(checked_topic(topic), checked_message(message), excluded, compress, local)
