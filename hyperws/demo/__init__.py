"""The demo: one server, one page, and on it every application from the article that hyperws implements.

``hyperws demo`` serves it. Each application is a module beside this one, written to be read and copied:
it has one ``mount(server)`` and states its messages in its docstring.

To add one: its module here, its name in ``APPLICATIONS``, its section in ``static/index.html`` and its
script in ``static/``.
"""

from __future__ import annotations

from hyperws import Server

from . import chat, data, echo, pages

__all__ = ["create_server"]

APPLICATIONS = (echo, chat, data)


def create_server(host: str = "127.0.0.1", port: int = 60000) -> Server:
    """A server, not yet running, with the page and all applications mounted."""
    server = Server(host=host, port=port, compression=True)
    for part in (pages, *APPLICATIONS):
        part.mount(server)
    return server
