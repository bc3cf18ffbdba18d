"""The server of trouble.py: `trouble_server.py PORT [URL of a backplane]`, with two workers.

A client gets the worker's process id, then all that is published to "kept" and "plain" and every gap.
Whatever it sends is published to both.
"""

import json
import logging
import os
import sys

from hyperws import Context, Server


def wrap(topic: str, message: str | bytes, epoch: str, offset: int) -> str:
    return json.dumps(["kept", json.loads(message), epoch, offset])


server = Server(port=int(sys.argv[1]), workers=2).history("kept", messages=50_000, seconds=600, wrap=wrap)
if len(sys.argv) > 2:
    server.backplane(sys.argv[2])


@server.on_gap
def report_gap(topic: str) -> None:
    server.publish(topic, json.dumps(["gap", topic]), local=True)


@server.route("/")
async def serve(ctx: Context) -> None:
    name, _, since = (ctx.query.get("as") or "").partition("@")
    await ctx.send(json.dumps(["pid", os.getpid()]))
    plain = await ctx.subscribe("plain", member=f"{name} at {os.getpid()}")
    kept = await ctx.subscribe("kept", since=since or None)
    await ctx.send(json.dumps(["ready", kept.recovered, plain.recovered]))
    async for message in ctx:
        if message == "members":
            names = [member.data for member in await server.members("plain")]
            await ctx.send(json.dumps(["members", sorted(names)]))
        else:
            assert isinstance(message, str)
            server.publish("kept", message)
            server.publish("plain", json.dumps(["plain", json.loads(message)]))


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    server.run()
