"""What the Python peers share: the port from the command line, and uvloop."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import uvloop


def serve(start: Callable[[int], Awaitable[Any]]) -> None:
    """Run `start(port)`, whose result keeps the server alive, and then wait to be killed."""

    async def main() -> None:
        _server = await start(int(sys.argv[1]))  # held while it serves
        await asyncio.Event().wait()

    uvloop.run(main())
