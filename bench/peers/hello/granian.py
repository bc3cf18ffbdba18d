"""granian: an RSGI application in one worker, with one thread of its Rust runtime, on uvloop.

The fastest of its settings: RSGI costs it less than ASGI, HTTP/1 alone less than a choice of versions, and
runtime mode "st" less than "mt".
"""

import sys
from typing import Any

from granian import Granian


async def app(scope: Any, protocol: Any) -> None:
    protocol.response_str(200, [("content-type", "text/plain")], "Hello, World!")


if __name__ == "__main__":      # the worker imports this too
    Granian(
        "bench.peers.hello.granian:app", port=int(sys.argv[1]), interface="rsgi", loop="uvloop", http="1",
        runtime_mode="st", runtime_threads=1, workers=1, websockets=False, log_enabled=False,
    ).serve()
