"""The server that a command line names, as in `app:server`."""

from __future__ import annotations

import importlib
import inspect
import os
import sys
from functools import reduce

from hyperws.errors import ConfigurationError
from hyperws.server import Server

HOW = "name a module and a server in it, as in app:server"


def load_server(target: str) -> Server:
    """Import the module of `module:attribute`, from the current folder too, and get the server.

    The attribute is a `Server`, or a function without arguments that returns one. Raises ConfigurationError
    where there is none, and what the module or the function raises.
    """
    name, _, attribute = target.partition(":")
    if not all(part.isidentifier() for part in [*name.split("."), *attribute.split(".")]):
        raise ConfigurationError(f"{target!r} can't be run: {HOW}")
    if (folder := os.getcwd()) not in sys.path:
        sys.path.insert(0, folder)
    importlib.invalidate_caches()
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise       # what it imports is missing
        raise ConfigurationError(f"{target!r} can't be run: there is no module {error.name!r}") from None
    try:
        found: object = reduce(getattr, attribute.split("."), module)
    except AttributeError:
        raise ConfigurationError(f"{target!r} can't be run: {name} has no {attribute!r}") from None
    if callable(found) and not isinstance(found, Server):
        try:
            inspect.signature(found).bind()
        except TypeError:
            raise ConfigurationError(f"{target!r} can't be run: it takes arguments") from None
        found = found()
    if not isinstance(found, Server):
        kind = type(found).__name__
        raise ConfigurationError(f"{target!r} can't be run: it gives an object of {kind}, and no Server")
    return found
