"""What a server's topics are given that span processes or have a past: numbers, history, members, gaps."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from hyperws._core.message_writer import lasting
from hyperws._core.topics import Subscriber, Subscription, Topics
from hyperws.errors import UsageError
from hyperws.groups.backplane import Backplane, Delivery, Keep, Past, Publication
from hyperws.groups.envelope import Envelope, Kind, decode
from hyperws.groups.history import START, Entry, Message, Rules, Timeline, new_epoch, parse_position
from hyperws.groups.presence import Presence, checked_data
from hyperws.groups.uplink import Uplink

if TYPE_CHECKING:
    from hyperws.context import Context

logger = logging.getLogger("hyperws")

SWEEP = 10.0            # seconds between two looks at what has become too old
SWEPT = 500             # topics that are looked at before others have their turn
CONNECT = 5.0           # seconds that a server which starts waits for its backplane
GOODBYE = 2.0           # seconds that one which stops leaves its last messages
ORIGINS = 4096          # processes whose last numbers are remembered
EXCLUDED = 10_000       # messages on their way through the broker that are not for one subscriber


class Relay:
    """Between the topics of one server and the rest of the application.

    A topic without history is delivered here at once, and sent to the others. One with history is in one
    order for everyone: numbered here, or by the broker, which is where it then comes from. Where the broker
    has been away for too long, it is numbered here after all, in an epoch of its own.
    """

    def __init__(
        self,
        topics: Topics,
        rules: Rules,
        backplane: Backplane | None,
        notify: Callable[..., None],
    ) -> None:
        self.topics = topics
        self.rules = rules
        self.notify = notify
        """Called as ("gap", topic), ("joined", topic, member) or ("left", topic, member)."""
        self.loop = asyncio.get_running_loop()
        self.origin = secrets.token_hex(8)
        self.number = 0         # of what was last published
        self.gaps = 0
        self.timelines: dict[str, Timeline] = {}
        self.early: dict[str, list[Delivery]] = {}
        """What came of topics before it was known what had come before."""
        self.waiting: dict[str, list[tuple[Subscription, object]]] = {}
        """Subscriptions that wait for the past of their topics, and since when they ask for it."""
        self.unconfirmed: dict[str, list[Subscription]] = {}
        """Subscriptions to topics that the broker does not deliver yet."""
        self.excluded: dict[int, Subscriber] = {}
        """Who is not to get the messages of these numbers."""
        self.last: dict[str, int] = {}
        """The number of the last message from each other process that no broker has numbered."""
        self.touched: dict[str, None] = {}
        """Topics of which others have missed something."""
        self.behind: set[str] = set()
        """Topics that were in use before there was the present connection."""
        self.heard = 0
        """The number of our last message that the broker has numbered and delivered."""
        self.alone: dict[str, tuple[str, int]] = {}
        """Topics that are numbered here, as the broker is away; and its last epoch and offset."""
        self.disputed: dict[str, Delivery] = {}
        """What fitted in nowhere when the past of its topic had been read."""
        self.presence = Presence(topics, self.origin, notify, self.send_envelope)
        self.uplink: Uplink | None = None
        if backplane is not None:
            self.uplink = self.presence.uplink = Uplink(backplane, self.origin, self, self.presence)
        self.tasks: set[asyncio.Task[None]] = set()
        topics.relay = self
        topics.relayed = bool(rules) or backplane is not None

    async def start(self) -> None:
        if self.rules:
            self.run(self.sweep())
        if self.uplink is not None:
            self.run(self.uplink.run())
            with suppress(TimeoutError):
                async with asyncio.timeout(CONNECT):
                    await self.uplink.first.wait()

    def run(self, coroutine: Coroutine[Any, Any, None]) -> None:
        self.tasks.add(self.loop.create_task(coroutine))

    async def close(self) -> None:
        """Send what is left, and end."""
        if self.uplink is not None and self.uplink.healthy:
            with suppress(TimeoutError):
                async with asyncio.timeout(GOODBYE):
                    while self.uplink.healthy and (self.presence.changes or self.uplink.outbox):
                        await asyncio.sleep(0.01)
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        self.topics.relay = None
        self.topics.relayed = False

    @property
    def healthy(self) -> bool:
        return self.uplink is None or self.uplink.healthy

    async def sweep(self) -> None:
        """Forget what is too old and nobody has asked for."""
        while True:
            await asyncio.sleep(SWEEP)
            for at, (topic, timeline) in enumerate(list(self.timelines.items())):
                if at % SWEPT == 0:
                    await asyncio.sleep(0)
                    now = self.loop.time()
                timeline.expire(now)
                if timeline.used >= now - timeline.keep.seconds or self.topics.count(topic):
                    continue
                if self.timelines.get(topic) is timeline:
                    del self.timelines[topic]
                    self.alone.pop(topic, None)

    # ----------------------------------------------------------------- called by Topics

    def publish(self, topic: str, message: Any, exclude: Subscriber | None, compress: bool | None) -> int:
        """Returns how many get it here."""
        rule = self.rules.find(topic)
        if rule is None:
            if self.uplink is not None:
                if self.uplink.local:
                    self.touched[topic] = None
                else:
                    message = lasting(message)
                    self.send(topic, message, compress, None)
            return self.topics.deliver(topic, message, exclude, compress)
        message = lasting(message)
        if self.uplink is None:
            return self.append(topic, message, exclude, compress)
        if self.uplink.local:
            self.touched[topic] = None
            self.go_on_alone(topic)
            return self.append(topic, message, exclude, compress)
        reached = self.topics.count(topic, exclude)
        if exclude is not None and reached < self.topics.count(topic):
            self.excluded[self.number + 1] = exclude
            oldest = next(iter(self.excluded))
            if len(self.excluded) > EXCLUDED and not self.uplink.has_yet_to_send(oldest):
                del self.excluded[oldest]
        self.send(topic, message, compress, rule.keep)
        return reached

    def opened(self, topic: str) -> None:
        """A topic has its first subscriber here."""
        if self.uplink is not None:
            if self.rules.find(topic) is not None:
                self.early[topic] = []
            self.uplink.use(topic)

    def closed(self, topic: str) -> None:
        """The last subscriber of a topic has left."""
        self.early.pop(topic, None)
        self.disputed.pop(topic, None)
        self.waiting.pop(topic, None)
        self.behind.discard(topic)
        if self.uplink is not None:
            self.timelines.pop(topic, None)     # others may go on without us
            self.alone.pop(topic, None)
            self.uplink.leave(topic)
            self.presence.closed(topic)

    def check_subscription(self, topic: str, since: object, member: object) -> None:
        """Raise UsageError for what makes no sense."""
        if since is not None and self.rules.find(topic) is None:
            raise UsageError(f"the topic {topic!r} has no history: give it one by server.history({topic!r})")
        pair = isinstance(since, (tuple, list)) and len(since) == 2
        if not (since is None or isinstance(since, str) or pair):
            raise UsageError(f"since takes (epoch, offset), 'epoch:offset' or 'start', not {since!r}")
        if member is not None:
            checked_data(member)

    def subscribed(
        self, subscription: Subscription, since: object, member: object, context: Context | None
    ) -> None:
        topic = subscription.topic
        if self.rules.find(topic) is not None and not subscription.is_waiting and not subscription.epoch:
            if self.uplink is None or (topic in self.timelines and topic not in self.early):
                self.begin(subscription, since)
            else:
                subscription.wait_for_past()
                self.waiting.setdefault(topic, []).append((subscription, since))
                if self.uplink.local:
                    self.go_on_alone(topic)
        elif self.uplink is not None and self.uplink.healthy and topic in self.uplink.unsynchronized:
            subscription.wait_for_broker()
            self.unconfirmed.setdefault(topic, []).append(subscription)
        if member is not None:
            self.presence.join(subscription, checked_data(member), context)

    def left(self, subscription: Subscription) -> None:
        """A subscriber that is a member has left."""
        self.presence.leave(subscription)

    # ------------------------------------------------------------------------- history

    def timeline(self, topic: str) -> Timeline:
        timeline = self.timelines.get(topic)
        if timeline is None:
            rule = self.rules.find(topic)
            assert rule is not None
            timeline = self.timelines[topic] = Timeline(rule, self.loop.time())
        return timeline

    def keep_of(self, topic: str) -> Keep | None:
        rule = self.rules.find(topic)
        return None if rule is None else rule.keep

    def append(
        self, topic: str, message: Message, exclude: Subscriber | None, compress: bool | None
    ) -> int:
        """Number a message here, and deliver it."""
        timeline = self.timeline(topic)
        timeline.used = self.loop.time()
        timeline.expire(timeline.used)
        timeline.add(timeline.end + 1, message, timeline.used)
        return self.deliver(topic, timeline, message, exclude, compress)

    def deliver(
        self,
        topic: str,
        timeline: Timeline,
        message: Message,
        exclude: Subscriber | None = None,
        compress: bool | None = None,
    ) -> int:
        """Give the latest message of a timeline to the subscribers here."""
        wrapped, id = timeline.wrapped(topic, message, timeline.end)
        if wrapped is None:
            self.report_gap(topic)
            return 0
        return self.topics.deliver(topic, wrapped, exclude, compress, id)

    def begin(self, subscription: Subscription, since: object) -> None:
        """Let a subscription begin with what it asks for."""
        topic = subscription.topic
        timeline = self.timeline(topic)
        timeline.used = self.loop.time()
        timeline.expire(timeline.used)
        recovered: bool | None = None
        entries: list[Entry] | None = []
        if since == START:
            entries, recovered = timeline.kept(), True
        elif since is not None:
            entries = timeline.after(*parse_position(since))
            recovered = entries is not None
        past: list[tuple[Message, str]] = []
        for entry in entries or ():
            if entry.message is not None:
                wrapped, id = timeline.wrapped(topic, entry.message, entry.offset)
                if wrapped is None:
                    past, recovered = [], False
                    break
                past.append((wrapped, id))
        subscription.settle(past, recovered, timeline.epoch, timeline.end)

    def begin_all(self, topic: str) -> None:
        for subscription, since in self.waiting.pop(topic, ()):
            if subscription.is_waiting:
                self.begin(subscription, since)

    def go_on_alone(self, topic: str) -> None:
        """Number the messages of a topic here, as the broker is away."""
        if topic not in self.alone:
            timeline = self.timeline(topic)
            self.alone[topic] = timeline.epoch, timeline.end
            timeline.restart(new_epoch(), 0)
            self.report_gap(topic)
        self.early.pop(topic, None)
        self.begin_all(topic)

    def report_gap(self, topic: str) -> None:
        """Tell the subscribers here that they may have missed messages."""
        if self.topics.count(topic):
            self.gaps += 1
            for subscription in self.topics.subscriptions(topic):
                subscription.recovered = False
            self.notify("gap", topic)

    # -------------------------------------------------------------------- the uplink's

    def send(self, topic: str, message: Message, compress: bool | None, keep: Keep | None) -> None:
        if isinstance(message, str):
            self.send_envelope(topic, Kind.TEXT, message.encode(), compress, keep)
        else:
            self.send_envelope(topic, Kind.BINARY, message, compress, keep)

    def send_envelope(
        self, topic: str, kind: Kind, body: bytes, compress: bool | None = None, keep: Keep | None = None
    ) -> None:
        assert self.uplink is not None
        self.number += 1
        data = Envelope(self.origin, self.number, kind, body, compress).encode()
        self.uplink.send(Publication(topic, data, self.number, keep))

    def connected(self) -> None:
        """There is a connection; everything of ours is sent from now on."""
        in_use = self.topics.in_use()
        self.timelines = {topic: self.timelines[topic] for topic in in_use if topic in self.timelines}
        self.alone = {topic: self.alone[topic] for topic in in_use if topic in self.alone}
        self.early = {topic: [] for topic in in_use}
        self.behind = set(in_use)    # what others have published before did not reach them
        touched, self.touched = self.touched, {}
        for topic in touched:
            self.send_envelope(topic, Kind.GAP, b"", keep=self.keep_of(topic))

    def disconnected(self) -> None:
        """The connection is lost: nobody is to wait for what it would have brought."""
        unconfirmed, self.unconfirmed = self.unconfirmed, {}
        for subscriptions in unconfirmed.values():
            for subscription in subscriptions:
                subscription.confirm()

    def given_up(self, publications: list[Publication]) -> None:
        """These will not be sent; what had to wait for the broker is delivered here."""
        kept = [publication for publication in publications if publication.keep is not None]
        for topic in dict.fromkeys([*self.early, *(publication.topic for publication in kept)]):
            if self.keep_of(topic) is not None:
                self.go_on_alone(topic)
        self.touched.update(dict.fromkeys(publication.topic for publication in publications))
        for publication in kept:
            envelope = decode(publication.data)
            exclude = self.excluded.pop(publication.number, None)
            if envelope.kind is not Kind.GAP and publication.number > self.heard:
                self.append(publication.topic, envelope.message, exclude, envelope.compress)

    def synchronize(self, topic: str, past: Past | None) -> None:
        """The broker delivers this topic from before now on; `past` is what it has kept."""
        behind = topic in self.behind
        self.behind.discard(topic)
        for subscription in self.unconfirmed.pop(topic, ()):
            subscription.confirm()
        if past is None:
            if behind:
                self.report_gap(topic)      # whatever was published meanwhile
            for delivery in self.early.pop(topic, ()):
                self.take(topic, decode(delivery.data))
            return
        now = self.loop.time()
        alone = self.alone.pop(topic, None)
        if topic in self.timelines:
            timeline = self.timelines[topic]
            epoch, seen = alone or (timeline.epoch, timeline.end)
            if epoch != past.epoch:
                seen = -1       # it is all new
            if alone or not past.start <= seen <= past.end:
                timeline.restart(past.epoch, past.start)
                self.report_gap(topic)
        else:
            timeline = self.timeline(topic)
            timeline.restart(past.epoch, past.start)
            seen = past.end     # who waits for it is given it by `begin`
        timeline.used = now
        for offset, age, data in past.messages:
            if offset > timeline.end:
                self.accept(topic, timeline, offset, decode(data), now - age, offset > seen)
        self.begin_all(topic)
        self.take_early(topic, timeline)

    def delivered(self, delivery: Delivery) -> None:
        topic = delivery.topic
        envelope = None if delivery.epoch else decode(delivery.data)
        if envelope is not None and not self.is_new(envelope):
            return
        if topic in self.early:
            self.early[topic].append(delivery)
        elif envelope is not None:
            self.take(topic, envelope)
        elif topic in self.timelines:
            self.take_kept(topic, self.timelines[topic], delivery)

    def is_new(self, envelope: Envelope) -> bool:
        """Whether another process has published it, and it has not come before."""
        if envelope.origin == self.origin or envelope.number <= self.last.get(envelope.origin, 0):
            return False
        self.last[envelope.origin] = envelope.number
        if len(self.last) > ORIGINS:
            del self.last[next(iter(self.last))]
        return True

    def take(self, topic: str, envelope: Envelope) -> None:
        """Take something that another process has published, and no broker has numbered."""
        if envelope.kind in (Kind.TEXT, Kind.BINARY):
            self.topics.deliver(topic, envelope.message, None, envelope.compress)
        elif envelope.kind is Kind.GAP:
            self.report_gap(topic)
            self.presence.look_again(topic)
        else:
            self.presence.take(topic, envelope)

    def take_kept(self, topic: str, timeline: Timeline, delivery: Delivery) -> None:
        if delivery.epoch == timeline.epoch and delivery.previous == timeline.end:
            self.accept(topic, timeline, delivery.offset, decode(delivery.data), self.loop.time(), True)
        elif delivery.epoch != timeline.epoch or delivery.offset > timeline.end:
            assert self.uplink is not None
            self.early[topic] = [delivery]
            self.uplink.synchronize_again(topic)

    def take_early(self, topic: str, timeline: Timeline) -> None:
        """Take what came while the past was read, but for what was in there."""
        early = self.early.pop(topic, [])
        disputed = self.disputed.pop(topic, None)
        for at, delivery in enumerate(early):
            if not delivery.epoch:
                self.take(topic, decode(delivery.data))
                continue
            self.take_kept(topic, timeline, delivery)
            if topic in self.early:     # it does not fit
                if delivery is not disputed:
                    self.early[topic], self.disputed[topic] = early[at:], delivery
                    break
                del self.early[topic]       # nor did it the last time: it is of another epoch
                self.report_gap(topic)

    def accept(
        self, topic: str, timeline: Timeline, offset: int, envelope: Envelope, time: float, deliver: bool
    ) -> None:
        """Add what a broker has numbered to its timeline."""
        timeline.used = self.loop.time()
        if envelope.kind not in (Kind.TEXT, Kind.BINARY):
            timeline.add(offset, None, time)
            if deliver and envelope.origin != self.origin:
                self.report_gap(topic)
            return
        exclude = None
        if envelope.origin == self.origin:
            self.heard = max(self.heard, envelope.number)
            exclude = self.excluded.pop(envelope.number, None)
        timeline.add(offset, envelope.message, time)
        if deliver:
            self.deliver(topic, timeline, envelope.message, exclude, envelope.compress)
