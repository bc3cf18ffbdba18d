"""Which process runs what must run once: a game, a feed.

Every process that serves a topic has members in it. The one of the member who has been there longest leads;
when that one leaves, the next does. While news of members is under way, for a moment two may lead, or none:
what is run must bear that.
"""

from __future__ import annotations

import time
from typing import Any

from hyperws import Member, Server


def member(**data: Any) -> dict[str, Any]:
    """What a visitor is to be as the member of a topic: `ctx.subscribe(topic, member=member(name=...))`."""
    return {"since": time.time(), **data}


async def leads(server: Server, topic: str) -> bool:
    """Whether this process leads. False where nobody is a member."""
    first = min(await server.members(topic), key=seniority, default=None)
    return first is not None and first.context is not None


def seniority(one: Member) -> tuple[float, str]:
    return one.data["since"], one.id
