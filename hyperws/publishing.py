"""The part of `Server` for groups: publishing, history, presence, and the way to other processes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, Self

from hyperws._core.context import publish
from hyperws._core.listener import Listener
from hyperws._core.topics import Topics
from hyperws.application import Application
from hyperws.checks import is_int
from hyperws.context import Context
from hyperws.errors import ConfigurationError, UsageError
from hyperws.groups.backplane import Keep
from hyperws.groups.between_workers import WorkerBus
from hyperws.groups.history import Rule, Rules, Wrap
from hyperws.groups.presence import Member
from hyperws.groups.relay import Relay
from hyperws.groups.threads import Mailbox
from hyperws.routes import Routable
from hyperws.routing import takes

if TYPE_CHECKING:
    from hyperws._core.message_writer import _Message

MOST_KEPT = 100_000     # messages of one topic
LONGEST_KEPT = 30 * 86400.0


class Publisher(Routable):
    """Publishes to those who subscribe to a topic, wherever they are."""

    def __init__(self, *unnamed: object, **options: Any) -> None:
        super().__init__(*unnamed, **options)
        self.topics = Topics()
        self._rules = Rules()
        self._relay: Relay | None = None
        self._mailbox: Mailbox | None = None
        self._notify: Callable[..., None] | None = None

    def history(
        self, topic: str, *, messages: int = 100, seconds: float = 300.0, wrap: Wrap | None = None
    ) -> Self:
        """Keep the last `messages` of a topic, none longer than `seconds`, so that subscribers can ask for
        what they have missed: see `Context.subscribe`. "chat:*" stands for all topics that begin so.

        Every message then has an epoch (str), which names the life of the topic, and an offset (int), which
        grows with each. Event streams carry both as the id of each event. Where `wrap` is given, subscribers
        get what `wrap(topic, message, epoch, offset)` makes of the message; it runs once in each process.
        Where it fails, that message is lost, which is logged and reported as a gap. All subscribers in all
        processes get the messages of such a topic in one and the same order.

        Raises ConfigurationError for what makes no sense, UsageError once the server has started.
        """
        rule = "history takes a topic, or the beginning of some as in 'chat:*'"
        self._check(isinstance(topic, str), rule, topic)
        rule = f"history takes messages from 1 to {MOST_KEPT}"
        self._check(is_int(messages, 1, MOST_KEPT), rule, messages)
        number = isinstance(seconds, (int, float)) and not isinstance(seconds, bool)
        rule = f"history takes seconds above 0 and up to {LONGEST_KEPT:.0f}"
        self._check(number and 0 < seconds <= LONGEST_KEPT, rule, seconds)
        rule = "wrap takes a function that is called as function(topic, message, epoch, offset)"
        self._check(wrap is None or (callable(wrap) and takes(wrap, 4)), rule, wrap)
        self._rules.add(topic, Rule(Keep(messages, float(seconds)), wrap))
        return self

    def publish(
        self,
        topic: str,
        message: _Message,
        *,
        exclude: Context | None = None,
        compress: bool | None = None,
        local: bool = False,
    ) -> int:
        """Send `message` to every subscriber of `topic` but `exclude`. Returns how many get it here, in this
        process.

        With workers or a backplane, it goes to the subscribers in other processes too, unless it is `local`.
        `compress` is as in `Context.send`. May be called from any thread: from another one than the server's
        it returns how many subscribe here. Raises UsageError for what can't be sent.
        """
        if exclude is not None and not isinstance(exclude, Context):
            raise UsageError(f"exclude takes a Context, not {type(exclude).__name__}")
        return publish(self.topics, topic, message, exclude, compress, local)

    def subscribe(
        self,
        topic: str,
        function: Callable[[Any], Awaitable[None] | None],
        since: tuple[str, int] | str | None = None,
    ) -> Listener:
        """Call `function(message)` with what is published to `topic`, in this process or another one, until
        the result's `close()`. It is one of the topic's subscribers, and gets what they get.

        The server must run: call this in `on_startup` or later. `since` is as in `Context.subscribe`. What
        the function raises is logged. Raises UsageError for what makes no sense.
        """
        if self._relay is None or self._notify is None:
            raise UsageError("only a server that runs can subscribe: do it in a function for on_startup")
        if not callable(function) or not takes(function, 1):
            raise UsageError(
                f"subscribe takes a function that is called as function(message), not {function!r}"
            )
        self._relay.check_subscription(topic, since, None)
        listener = Listener(self.topics, topic, partial(self._notify, (function,)))
        self._relay.subscribed(listener.subscription, since, None, None)
        return listener

    async def members(self, topic: str) -> list[Member]:
        """The members of a topic, in all processes: who has subscribed with `member=...`.

        While the backplane is away, those who are known in this process.
        """
        if not isinstance(topic, str):
            raise UsageError(f"a topic is a str, not {type(topic).__name__}")
        return [] if self._relay is None else await self._relay.presence.of(topic)

    @property
    def healthy(self) -> bool:
        """Whether the server runs and reaches its backplane, if it has one. While that is away, messages
        still reach the subscribers in this process."""
        return self._relay is not None and self._relay.healthy

    @property
    def gaps(self) -> int:
        """How many times subscribers of a topic in this process may have missed messages. See `on_gap`."""
        return 0 if self._relay is None else self._relay.gaps

    @property
    def has_backplane(self) -> bool:
        return self._backplane is not None

    def join_workers(self, count: int, bus: WorkerBus | None) -> None:
        """Be one of so many workers, which have this bus, unless they have a backplane."""
        if count > 1 and self._backplane is None:
            if bus is None:
                raise ConfigurationError(
                    "topics that span workers need pyzmq and msgspec, pip install 'hyperws[workers]', "
                    "or a backplane"
                )
            self._backplane = bus.backplane()

    # ------------------------------------------------------------------------------ life

    async def _start_publishing(self, app: Application) -> None:
        def notify(event: Literal["gap", "joined", "left"], *arguments: object) -> None:
            app.notify(getattr(self.hooks, event), *arguments)

        loop = asyncio.get_running_loop()
        self._notify = app.notify
        self._mailbox = Mailbox(self.topics, loop)
        self.topics.attach(loop, self._mailbox.publish)
        self._relay = Relay(self.topics, self._rules, self._backplane, notify)
        await self._relay.start()

    async def _stop_publishing(self) -> None:
        if self._mailbox is not None:
            self._mailbox.close()
        self.topics.leave_everyone()    # connections have left; functions of the application have not
        if self._relay is not None:
            relay, self._relay = self._relay, None
            await relay.close()
