"""socketify: uWebSockets under Python, without compression."""

import sys
from typing import Any

from socketify import App, AppListenOptions, OpCode


def echo(socket: Any, message: Any, opcode: OpCode) -> None:
    socket.send(message, opcode)


app = App()
app.ws("/", {"compression": 0, "message": echo})
app.listen(AppListenOptions(port=int(sys.argv[1]), host="127.0.0.1"))
app.run()
