"""JSON, by msgspec where it is installed, else by the standard library."""

from __future__ import annotations

import json
from functools import cache
from importlib import import_module
from typing import Any, TypeVar

from hyperws.errors import BadRequest, UsageError

T = TypeVar("T")


@cache
def installed_msgspec() -> Any:
    """msgspec or None. Imported when JSON is first seen, as it takes more than a megabyte."""
    try:
        return import_module("msgspec")
    except ImportError:
        return None


def encode(value: Any) -> bytes:
    """The JSON of a value, as UTF-8. Raises UsageError for one that has none."""
    msgspec = installed_msgspec()
    try:
        if msgspec is not None:
            encoded: bytes = msgspec.json.encode(value)
            return encoded
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise UsageError(f"a {type(value).__name__} has no JSON: {error}") from None


def decode(data: bytes, kind: type[T] | None = None) -> T | Any:
    """The value of some JSON. Raises BadRequest for what is none, or is not of the `kind` that is asked for.

    `kind` is a type that msgspec can build, such as a `msgspec.Struct`.
    """
    msgspec = installed_msgspec()
    if kind is not None and msgspec is None:
        raise UsageError("JSON of a given type needs msgspec: pip install 'hyperws[json]'")
    try:
        if msgspec is not None:
            return msgspec.json.decode(data, type=Any if kind is None else kind)
        return json.loads(data, parse_constant=refuse)
    except (ValueError, RecursionError) as error:
        raise BadRequest(400, f"the body is not the JSON that is expected: {error}") from None


def refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")
