"""robyn: a plain function in one process with one worker: half of what a coroutine costs it."""

import sys

from robyn import Robyn
from robyn.argument_parser import Config

config = Config()
config.log_level = "WARN"
config.disable_openapi = True
app = Robyn(__file__, config)


@app.get("/")
def hello() -> str:
    return "Hello, World!"


app.start(port=int(sys.argv[1]))
