"""A client of Yjs in Python: pycrdt over a plain WebSocket."""

from __future__ import annotations

import json
import socket
from typing import Any, Protocol

from pycrdt import Doc, Text, create_sync_message, create_update_message, handle_sync_message
from websockets.sync.client import connect

from .conftest import Demo

TIMEOUT = 10  # seconds


class Writer:
    def __init__(self, demo: Demo, document: str) -> None:
        self.url = demo.socket(f"/collab/{document}")
        self.doc: Any = Doc()
        self.shared = self.doc.get("text", type=Text)
        self.unsent: list[bytes] = []
        self.learns = False
        self.doc.observe(self.note)
        self.pings = 0
        self.errors: list[str] = []
        self.connect()

    @property
    def text(self) -> str:
        return str(self.shared)

    def note(self, event: Any) -> None:
        if not self.learns:
            self.unsent.append(event.update)

    # ------------------------------------------------------------------------ writing

    def insert(self, at: int, text: str) -> None:
        self.shared.insert(len(self.text[:at].encode()), text)

    def delete(self, at: int, count: int) -> None:
        text = self.text
        start = len(text[:at].encode())
        end = start + len(text[at : at + count].encode())
        if start < end:
            del self.shared[start:end]

    def write(self, text: str) -> None:
        """At the end, and until the server has stored it."""
        self.insert(len(self.text), text)
        self.settle()

    # ---------------------------------------------------------------------- connection

    def connect(self) -> None:
        self.socket = connect(self.url, open_timeout=TIMEOUT).__enter__()
        self.socket.send(create_sync_message(self.doc))
        self.asked = False

    def cut(self) -> None:
        """As trouble would."""
        self.socket.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()

    def send(self) -> None:
        """All changes; what was written before the server asks goes with the answer."""
        while not self.asked:
            self.take()
        for update in self.unsent:
            self.socket.send(create_update_message(update))
        self.unsent.clear()

    def settle(self) -> None:
        """Until the server has stored what was written here; what it sent before is here too."""
        self.send()
        self.ping()
        while (answer := self.take()) != self.pings:
            if answer == "step 1":
                self.ping()

    def ping(self) -> None:
        self.pings += 1
        self.socket.send(json.dumps({"type": "ping", "id": self.pings}))

    def wait_for(self, text: str) -> None:
        while self.text != text:
            self.take()

    def take(self) -> object:
        """One message. Returns "step 1", or the id of a pong."""
        message = self.socket.recv(TIMEOUT)
        if isinstance(message, str):
            content = json.loads(message)
            if content["type"] == "error":
                self.errors.append(content["text"])
            return content.get("id")
        if message[0] != 0:
            return None
        self.learns = True
        reply = handle_sync_message(message[1:], self.doc)
        self.learns = False
        if reply is None:
            return None
        self.asked = True
        self.unsent.clear()
        self.socket.send(reply)
        return "step 1"


class Join(Protocol):
    def __call__(self, demo: Demo, document: str) -> Writer: ...
