"""Request headers as a mapping, and names of headers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

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
