"""Chat, at /chat: what one visitor writes, everyone who has the page open reads. All messages are JSON.

From the client:  {"type": "message", "text": "hello"}
To the client:    {"type": "welcome", "text": "Welcome to chat, ...", "you": "127.0.0.1:50000", "limit": 1000}
                  {"type": "message", "text": "hello", "from": "127.0.0.1:50000"}
                  {"type": "error", "text": "what was wrong with the last message"}
"""

from __future__ import annotations

import json

from hyperws import Context, Server

TOPIC = "chat"
LIMIT = 1000  # characters in one message


def mount(server: Server) -> None:
    async def chat(ctx: Context) -> None:
        you = ctx.client
        welcome = f"Welcome to chat, client: {you}"
        await ctx.send(json.dumps({"type": "welcome", "text": welcome, "you": you, "limit": LIMIT}))
        ctx.subscribe(TOPIC)
        async for message in ctx:
            try:
                text = parse(message)
            except ValueError as error:
                await ctx.send(json.dumps({"type": "error", "text": str(error)}))
            else:
                server.publish(TOPIC, json.dumps({"type": "message", "text": text, "from": you}))

    server.route("/chat", chat, websocket=True)


def parse(message: str | bytes) -> str:
    """The text that a client wants to say; ValueError names what is wrong with the message."""
    if isinstance(message, bytes):
        raise ValueError("Send text, not bytes")
    try:
        content = json.loads(message)
    except (ValueError, RecursionError):  # RecursionError: thousands of opening brackets
        raise ValueError("Not valid JSON") from None
    match content:
        case {"type": "message", "text": str(text)}:
            pass
        case _:
            raise ValueError('Expected {"type": "message", "text": "..."}')
    if not text.strip():
        raise ValueError("The message is empty")
    if len(text) > LIMIT:
        raise ValueError(f"The message is longer than {LIMIT} characters")
    return text
