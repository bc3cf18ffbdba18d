"""`broadcast_websocket_handler`, `game_websocket_handler` and `collaboration_websocket_handler`.

All three greet a member, answer each of its messages, and say goodbye.
"""

import re
from typing import NamedTuple

import pytest
from websockets.asyncio.client import connect

from .conftest import from_json, receive_json, rest
from .handlers import create_server


class Group(NamedTuple):
    path: str
    joined: str
    left: str
    id_name: str
    answer: dict[str, str]

    def goodbye(self, member):
        return {"type": self.left, self.id_name: member}


GROUPS = [
    Group("/broadcast", "joined", "left", "client_id",
          {"type": "broadcast", "from": "{member}", "message": "{message}"}),
    Group("/game", "player_joined", "player_left", "player_id",
          {"type": "game_state", "state": "Player {member} performed action: {message}"}),
    Group("/collab", "user_joined", "user_left", "user_id",
          {"type": "operation_result", "result": "Applied operation by {member}: {message}"}),
]  # fmt: skip

of_each_group = pytest.mark.parametrize("group", GROUPS, ids=lambda group: group.path[1:])


@of_each_group
async def test_a_member_is_greeted_answered_in_order_and_told_goodbye(client, group):
    async with client(group.path) as websocket:
        greeting = await receive_json(websocket)
        member = greeting[group.id_name]
        assert re.fullmatch(r"client_\d+", member)
        assert greeting == {"type": group.joined, group.id_name: member}

        said = ["one", "Grüße, 世界 👋", "x" * 10_000, *map(str, range(10))]
        for message in said:
            await websocket.send(message)
        for message in said:
            expected = {
                name: text.format(member=member, message=message) for name, text in group.answer.items()
            }
            assert await receive_json(websocket) == expected

        # An empty message looks like the end to the handler, which can still send then.
        await websocket.send("")
        assert [from_json(message) for message in await rest(websocket)] == [group.goodbye(member)]


@of_each_group
async def test_what_a_member_does_is_answered_to_itself_alone(serving, group):
    async with (
        serving(create_server("127.0.0.1", 0)) as running,
        connect(running.ws(group.path)) as alice,
        connect(running.ws(group.path)) as bob,
    ):
        a, b = [(await receive_json(websocket))[group.id_name] for websocket in (alice, bob)]
        assert a != b
        await alice.send("from alice")
        assert a in await alice.recv()
        await bob.send("")
        assert [from_json(message) for message in await rest(bob)] == [group.goodbye(b)]
