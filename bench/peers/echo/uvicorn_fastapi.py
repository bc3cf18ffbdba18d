"""FastAPI under uvicorn, with its `websockets` protocol, without compression."""

import sys

import uvicorn
from fastapi import FastAPI, WebSocket, WebSocketDisconnect

app = FastAPI()


@app.websocket("/")
async def echo(socket: WebSocket) -> None:
    await socket.accept()
    try:
        while True:
            await socket.send_bytes(await socket.receive_bytes())
    except WebSocketDisconnect:
        pass


uvicorn.run(
    app, port=int(sys.argv[1]), loop="uvloop", log_level="error", ws_per_message_deflate=False
)
