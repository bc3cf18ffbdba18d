"""Request headers as a mapping, the cookies in them, and names of headers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from hyperws.response import TOKEN

SEC_WEBSOCKET_KEY = "sec-websocket-key"


class Headers(Mapping[str, str]):
    """Headers by name, in any letter case (RFC 9110, section 5.1).

    A header that came several times has its values joined by ", " (section 5.2); `getall` keeps them apart.
    """

    __slots__ = ("_values",)

    def __init__(self, lines: Iterable[tuple[bytes, bytes]]) -> None:
        self._values: dict[str, list[str]] = {}
        for name, value in lines:
            self._values.setdefault(name.decode("latin-1").lower(), []).append(value.decode("latin-1"))

    def __getitem__(self, name: str) -> str:
        return ", ".join(self._values[name.lower()])

    def getall(self, name: str) -> list[str]:
        """Every value of a header, in the order they came; an empty list where there is none."""
        return list(self._values.get(name.lower(), ()))

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"Headers({dict(self)!r})"


COOKIE_VALUE = re.compile(r'[\x21\x23-\x2b\x2d-\x3a\x3c-\x7e]*|"(?:[^"\\]|\\.)*"')
ESCAPE = re.compile(r"\\([0-3][0-7]{2}|.)")


def parse_cookies(header: str) -> dict[str, str]:
    """The cookies of a Cookie header (RFC 6265, section 4.2), without those that can't be read.

    A value in quotation marks is taken as `http.cookies` writes it. That module is not used for reading: its
    time grows with the square of the escapes (CVE-2024-7592, still in many a Python 3.11 and 3.12).
    """
    cookies = {}
    for pair in header.split(";"):
        name, _, value = pair.strip(" \t").partition("=")
        if TOKEN.fullmatch(name) and COOKIE_VALUE.fullmatch(value):
            cookies[name] = ESCAPE.sub(unescaped, value[1:-1]) if value.startswith('"') else value
    return cookies


def unescaped(escape: re.Match[str]) -> str:
    return chr(int(escape[1], 8)) if len(escape[1]) == 3 else escape[1]
