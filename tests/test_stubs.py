"""The stubs tell the truth about the compiled core, and mypy accepts what users write, but no mistakes."""

from __future__ import annotations

import importlib.machinery
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import hyperws

from .test_readme import GUIDE_TO_BROWSERS, GUIDE_TO_GROUPS, GUIDE_TO_HTTP

pytest.importorskip("mypy", reason="mypy is not installed: pip install mypy")

PACKAGE = Path(hyperws.__file__).parent

# regular expressions of what may differ from the stubs
ALLOWED = r"""
# Cython puts these into every module, for other compiled modules and for doctest
hyperws\._core\.\w+\.__(pyx_capi|test)__
# None stands for a message that was left out: whoever gives one by mistake is to be told
hyperws\._core\.context\.BaseContext\.send
"""

CHAT = """
from hyperws import Server, Context

server = Server(host="0.0.0.0", port=60000)

@server.route("/chat/{room}")
async def chat(ctx: Context) -> None:
    room = ctx.params["room"]
    ctx.subscribe(room)
    await ctx.send(f"Welcome to {room}, {ctx.client}")
    async for message in ctx:
        server.publish(room, message)

@server.route("/hello/{name}")
async def hello(ctx: Context) -> None:
    await ctx.set_response_header("content-type", "text/plain").set_response_body(f"hi {ctx.params['name']}").send()

server.run()
"""  # noqa: E501

SEED = """
from hyperws import Server, Context

server = Server()
server.host("0.0.0.0"); server.port(60000)
server.enable_nodelay(); server.disable_linger(); server.ws_buffer_size(4096)

async def chat_websocket_handler(ctx: Context) -> None:
    await ctx.set_response_body(f"Welcome to chat, client: {ctx.get_socket_addr_or_default_string()}").send_body()
    while body := await ctx.get_request_body():
        await ctx.set_response_body(b"Echo: " + body).send_body()

server.route("/chat", chat_websocket_handler)
server.run()
"""  # noqa: E501

TASKS = """
import asyncio
from hyperws import Context

async def handler(ctx: Context) -> None:
    latency: float = await asyncio.wait_for(ctx.ping(), 1)
    received = asyncio.create_task(ctx.receive())
    sent = asyncio.create_task(ctx.send(bytearray(b"as a task")))
    async with asyncio.TaskGroup() as group:
        group.create_task(ctx.send(memoryview(b"in a group")))
    message: str | bytes = await received
    await asyncio.gather(sent, ctx.send(message), ctx.close(1000, f"{latency} s"))
"""

MISTAKES = """
from hyperws import Context, Server

server = Server(prot=1)  # wrong

async def handler(ctx: Context) -> None:
    ctx.receive()  # wrong
    await ctx.send(None)  # wrong
    await ctx.send(1)  # wrong
    text: str = await ctx.receive()  # wrong
    ctx.client = "somebody else"  # wrong
    await ctx.subscribe(b"room")  # wrong
    server.publish("room", 1)  # wrong
    server.publish("room", text)

def not_async(ctx: Context) -> None: ...

server.route("/", handler)
server.route("/", not_async)  # wrong
"""


def run(directory, *arguments):
    """The output of `python -m …` in an empty directory, from where it finds the hyperws that is tested."""
    result = subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=directory,
        env={**os.environ, "PYTHONPATH": str(PACKAGE.parent)},
        capture_output=True,
        text=True,
    )
    return result.stdout + result.stderr


def test_stubs_match_the_compiled_core(tmp_path):
    compiled = tuple(importlib.machinery.EXTENSION_SUFFIXES)
    files = [file.name for file in (PACKAGE / "_core").iterdir()]
    modules = sorted({f"hyperws._core.{name.partition('.')[0]}" for name in files if name.endswith(compiled)})
    assert modules
    (tmp_path / "allowed").write_text(ALLOWED)
    output = run(tmp_path, "mypy.stubtest", "--concise", "--allowlist", "allowed", *modules)
    assert output.strip() == ""


@pytest.mark.parametrize(
    "code",
    [CHAT, SEED, TASKS, GUIDE_TO_HTTP, GUIDE_TO_GROUPS, GUIDE_TO_BROWSERS],
    ids=["chat", "seed", "tasks", "http", "groups", "browser"],
)
def test_strict_mypy_accepts_code_of_users(tmp_path, code):
    (tmp_path / "user.py").write_text(code)
    assert run(tmp_path, "mypy", "--strict", "user.py") == "Success: no issues found in 1 source file\n"


def test_strict_mypy_finds_mistakes(tmp_path):
    (tmp_path / "user.py").write_text(MISTAKES)
    output = run(tmp_path, "mypy", "--strict", "user.py")
    found = {int(number) for number in re.findall(r"^user.py:(\d+): error:", output, re.MULTILINE)}
    wrong = {number for number, line in enumerate(MISTAKES.splitlines(), 1) if line.endswith("# wrong")}
    assert found == wrong, output
