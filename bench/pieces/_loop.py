"""The event loop of a piece: it stands still but for what the piece asks it to do."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def made(maker: Callable[[], Callable[..., Any]]) -> Iterator[Callable[..., Any]]:
    """The piece, made inside an event loop and to be called inside it too, but by none of its tasks."""

    async def in_loop() -> Callable[..., Any]:
        return maker()

    with asyncio.Runner() as runner:
        piece = runner.run(in_loop())
        asyncio._set_running_loop(runner.get_loop())
        try:
            yield piece
        finally:
            asyncio._set_running_loop(None)


def turn(loop: Any) -> None:
    """Call what waits for the loop's next turn, which is all of a turn but for looking at the sockets."""
    for _ in range(len(loop._ready)):
        loop._ready.popleft()._run()
