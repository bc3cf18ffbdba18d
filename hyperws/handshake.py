"""What is negotiated in a WebSocket's handshake: the subprotocol, and the offers of extensions."""

from __future__ import annotations

import re
from collections.abc import Iterator

from hyperws.errors import BadRequest
from hyperws.response import TOKEN

Parameters = list[tuple[str, str | None]]
"""Of an extension, in their order: (name, value)."""

# As TOKEN does, each starts where the one before it ended, and gives up nothing that it has taken: linear in
# any input.
SPACE = re.compile(r"[ \t]*+")
QUOTED = re.compile(r'"((?:[\t \x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t\x20-\x7e\x80-\xff])*+)"')
QUOTED_PAIR = re.compile(r"\\(.)")


class Reader:
    """Takes a header's value apart, from left to right."""

    def __init__(self, header: str, value: str) -> None:
        self.header = header
        self.value = value
        self.at = SPACE.match(value).end()  # type: ignore[union-attr]

    @property
    def ended(self) -> bool:
        return self.at == len(self.value)

    def take(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        """What stands here, with the white space behind it, or None."""
        if match := pattern.match(self.value, self.at):
            self.at = SPACE.match(self.value, match.end()).end()  # type: ignore[union-attr]
        return match

    def takes(self, mark: str) -> bool:
        """Whether a character stands here, and is passed over with the white space behind it."""
        if not self.value.startswith(mark, self.at):
            return False
        self.at = SPACE.match(self.value, self.at + 1).end()  # type: ignore[union-attr]
        return True

    def token(self) -> str:
        if match := self.take(TOKEN):
            return match[0]
        raise self.error()

    def quoted(self) -> str | None:
        """The text in quotation marks that stands here (RFC 9110, section 5.6.4), or None."""
        match = self.take(QUOTED)
        return match and QUOTED_PAIR.sub(r"\1", match[1])

    def token_or_quoted(self) -> str:
        """A token, which may stand in quotation marks (RFC 6455, section 9.1)."""
        text = self.quoted()
        if text is None:
            return self.token()
        if not TOKEN.fullmatch(text):
            raise self.error()
        return text

    def elements(self) -> Iterator[None]:
        """Stops at each element of a comma-separated list, of which some may be empty (RFC 9110, 5.6.1)."""
        found = False
        while not self.ended:
            if self.takes(","):
                continue
            found = True
            yield
            if not self.ended and not self.takes(","):
                raise self.error()
        if not found:
            raise self.error()

    def error(self) -> BadRequest:
        return BadRequest(400, f"the {self.header} header is not written as RFC 6455 has it")


def parse_subprotocols(value: str) -> list[str]:
    """The members of a Sec-WebSocket-Protocol header (RFC 6455, section 11.3.4). Raises BadRequest."""
    reader = Reader("Sec-WebSocket-Protocol", value)
    names = [reader.token() for _ in reader.elements()]
    if len(set(names)) != len(names):
        raise BadRequest(400, "the Sec-WebSocket-Protocol header names a subprotocol twice")
    return names


def parse_extensions(value: str) -> list[tuple[str, Parameters]]:
    """The offers of a Sec-WebSocket-Extensions header (RFC 6455, section 9.1). Raises BadRequest."""
    reader = Reader("Sec-WebSocket-Extensions", value)
    offers = []
    for _ in reader.elements():
        name = reader.token()
        parameters: Parameters = []
        while reader.takes(";"):
            parameter = reader.token()
            parameters.append((parameter, reader.token_or_quoted() if reader.takes("=") else None))
        offers.append((name, parameters))
    return offers


def choose_subprotocol(offered: str | None, supported: tuple[str, ...]) -> str | None:
    """The first of `supported` that a Sec-WebSocket-Protocol header has. Raises BadRequest."""
    if offered is None:
        return None
    names = parse_subprotocols(offered)
    return next((name for name in supported if name in names), None)
