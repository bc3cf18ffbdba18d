"""The demo: one server, and on it every application from the article that hyperws implements.

``hyperws demo`` serves it. Each application is a folder beside this file, written to be read and copied:
its ``__init__.py`` has one ``mount(server)`` and states its messages in its docstring, its ``page/`` is what
a browser gets. What all of them share is in ``messages.py``, ``leader.py``, ``pages.py`` and ``shared/``.

To add one: its folder here, its line in ``create_server``, its card in ``front/page/index.html``.
"""

from __future__ import annotations

import os
from pathlib import Path

from hyperws import Server

from . import broadcast, chat, collab, dashboard, echo, game, mux, pages, resilience, trading

__all__ = ["create_server"]


def create_server(host: str = "127.0.0.1", port: int = 60000, folder: str | None = None) -> Server:
    """A server, not yet running, with the front page and all applications mounted.

    Documents are kept in `folder`, by default where the system's user keeps data of programs.
    """
    server = Server(host=host, port=port, compression=True)
    pages.mount(server)
    echo.mount(server)
    chat.mount(server)
    dashboard.mount(server)
    mux.mount(server)
    broadcast.mount(server)
    game.mount(server)
    trading.mount(server)
    collab.mount(server, Path(folder) if folder else data_folder())
    resilience.mount(server)
    return server


def data_folder() -> Path:
    home = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(home) / "hyperws-demo"
