"""aiohttp: a coroutine handler, on uvloop."""

from aiohttp import web

from bench.peers._uvloop import serve


async def hello(request: web.Request) -> web.Response:
    return web.Response(text="Hello, World!")


async def start(port: int) -> object:
    app = web.Application()
    app.router.add_get("/", hello)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    return runner


serve(start)
