"""What the application wants to be called for: middleware, and the moments of a connection or server."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar

from hyperws.errors import ConfigurationError, UsageError
from hyperws.options import Configurable
from hyperws.routing import takes

if TYPE_CHECKING:
    from hyperws.context import Context
    from hyperws.exchange import Exchange
    from hyperws.groups.presence import Member

logger = logging.getLogger("hyperws")

Hook = Callable[["Context"], Awaitable[None] | None]
ErrorHandler = Callable[["Context", Exception], Awaitable[None] | None]
Moment = Callable[[], Awaitable[None] | None]
GapHook = Callable[[str], Awaitable[None] | None]
MemberHook = Callable[[str, "Member"], Awaitable[None] | None]

HookType = TypeVar("HookType", bound=Hook)
ErrorHandlerType = TypeVar("ErrorHandlerType", bound=ErrorHandler)
MomentType = TypeVar("MomentType", bound=Moment)
GapHookType = TypeVar("GapHookType", bound=GapHook)
MemberHookType = TypeVar("MemberHookType", bound=MemberHook)
AnyHook = TypeVar("AnyHook")


class Hooks:
    """The functions to be called, in the order of their registration."""

    def __init__(self) -> None:
        self.request: list[Hook] = []
        self.response: list[Hook] = []
        self.upgrade: list[Hook] = []
        self.connected: list[Hook] = []
        self.closed: list[Hook] = []
        self.error: list[ErrorHandler] = []
        self.gap: list[GapHook] = []
        self.joined: list[MemberHook] = []
        self.left: list[MemberHook] = []
        self.startup: list[Moment] = []
        self.shutdown: list[Moment] = []

    def answered(self, context: Exchange) -> None:
        """The head of a response is about to go out."""
        aborted, context.aborted = context.aborted, False   # that was another chain
        for middleware in self.response:
            call_at_once(middleware, context)
            if context.aborted:
                break
        context.aborted = aborted


class Hookable(Configurable):
    """Registers hooks. Each may be used as a decorator; plain and `async def` functions do.

    Each raises ConfigurationError for what can't be called so, UsageError once the server has started.
    """

    def __init__(self, *unnamed: object, **options: Any) -> None:
        super().__init__(*unnamed, **options)
        self.hooks = Hooks()

    def request_middleware(self, function: HookType) -> HookType:
        """Call `function(ctx)` before the handler of every request and handshake, in order of registration.

        `ctx.abort()` in it stops the chain: the client gets what the response was given so far.
        """
        return self._hook(self.hooks.request, function, "request_middleware")

    def response_middleware(self, function: HookType) -> HookType:
        """Call `function(ctx)` just before the head of a response to a request goes out, to change it.

        As that is one moment, the function can't wait for anything. `ctx.abort()` stops the chain here too.
        """
        return self._hook(self.hooks.response, function, "response_middleware")

    def pre_ws_upgrade(self, function: HookType) -> HookType:
        """Call `function(ctx)` before a handshake is accepted.

        It may refuse it with any response and `ctx.abort()`, set headers of the answer, or choose
        `ctx.subprotocol`.
        """
        return self._hook(self.hooks.upgrade, function, "pre_ws_upgrade")

    def on_ws_connected(self, function: HookType) -> HookType:
        """Call `function(ctx)` when a WebSocket is open, before its handler.

        On the route of an `on_message` function, the peer is not read until this is done.
        """
        return self._hook(self.hooks.connected, function, "on_ws_connected")

    def on_ws_closed(self, function: HookType) -> HookType:
        """Call `function(ctx)` once a WebSocket is closed and its handler has ended.

        `ctx.close_code` and `ctx.close_reason` tell how.
        """
        return self._hook(self.hooks.closed, function, "on_ws_closed")

    def error_handler(self, function: ErrorHandlerType) -> ErrorHandlerType:
        """Call `function(ctx, error)` when a handler or middleware has raised an exception.

        The error has been logged. On HTTP the response is a new one with the status 500, which it may change;
        a WebSocket is closed with 1011 afterwards, if it is still open.
        """
        return self._hook(self.hooks.error, function, "error_handler", "function(ctx, error)")

    def on_gap(self, function: GapHookType) -> GapHookType:
        """Call `function(topic)` when the subscribers of a topic in this process may have missed messages.

        With workers or a backplane, that is where the way to the others was cut, and there is no history that
        makes up for it. `server.publish(topic, ..., local=True)` tells those whom it concerns.
        """
        return self._hook(self.hooks.gap, function, "on_gap", "function(topic)")

    def on_member_joined(self, function: MemberHookType) -> MemberHookType:
        """Call `function(topic, member)` when a Member has come to a topic that has subscribers in this
        process, or what is known of it has changed.

        `server.publish(topic, ..., local=True, exclude=member.context)` tells the others, as each process
        calls this for its own.
        """
        return self._hook(self.hooks.joined, function, "on_member_joined", "function(topic, member)")

    def on_member_left(self, function: MemberHookType) -> MemberHookType:
        """Call `function(topic, member)` when a Member has left a topic, or its process has died."""
        return self._hook(self.hooks.left, function, "on_member_left", "function(topic, member)")

    def on_startup(self, function: MomentType) -> MomentType:
        """Call `function()` in the event loop before the server listens. If it raises, nothing is started."""
        return self._hook(self.hooks.startup, function, "on_startup", "function()")

    def on_shutdown(self, function: MomentType) -> MomentType:
        """Call `function()` in the event loop when the server has stopped, the last registered first."""
        return self._hook(self.hooks.shutdown, function, "on_shutdown", "function()")

    def _hook(self, hooks: list[Any], function: AnyHook, name: str, form: str = "function(ctx)") -> AnyHook:
        self._check()
        arguments = 0 if form == "function()" else form.count(",") + 1
        if not callable(function) or not takes(function, arguments):
            raise ConfigurationError(f"{name} takes a function that is called as {form}, not {function!r}")
        hooks.append(function)
        return function


async def call(function: Callable[..., Any], *arguments: Any) -> None:
    """Call a function, and wait if it is asynchronous."""
    result = function(*arguments)
    if inspect.isawaitable(result):
        await result


async def call_chain(hooks: list[Hook], context: Context) -> bool:
    """Call hooks one after the other. Whether none of them has aborted or answered the request."""
    for hook in hooks:
        await call(hook, context)
        if context.aborted or context.head_sent:
            return False
    return True


def call_at_once(function: Hook, context: Any) -> None:
    """Call a function that may be a coroutine function, but must not wait."""
    result = function(context)
    if not inspect.isawaitable(result):
        return
    coroutine = result.__await__()
    try:
        next(coroutine)
    except StopIteration:
        return
    coroutine.close()
    raise UsageError(
        f"{function!r} waits for something, which response middleware can't: do that in request middleware "
        "or in the handler"
    )
