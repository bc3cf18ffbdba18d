"""Query strings and forms."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl

from hyperws.errors import BadRequest, UsageError

MAX_FIELDS = 1000


class Values(Mapping[str, str]):
    """Values by name; of a name that comes several times the last. `getall` has all of them."""

    __slots__ = ("_values",)

    def __init__(self, pairs: Iterable[tuple[str, str]]) -> None:
        self._values: dict[str, list[str]] = {}
        for name, value in pairs:
            self._values.setdefault(name, []).append(value)

    def __getitem__(self, name: str) -> str:
        return self._values[name][-1]

    def getall(self, name: str) -> list[str]:
        """Every value of a name, in the order they came; an empty list where there is none."""
        return list(self._values.get(name, ()))

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({dict(self)!r})"


@dataclass(frozen=True, slots=True)
class Upload:
    """A file in a form."""

    name: str
    """Of the field that it was chosen in."""
    filename: str
    """As the client calls it: never a path to write to."""
    content_type: str
    data: bytes


class Form(Values):
    """The fields of a form, and the files in it."""

    __slots__ = ("files",)

    def __init__(self, pairs: Iterable[tuple[str, str]], files: Iterable[Upload] = ()) -> None:
        super().__init__(pairs)
        self.files = list(files)


def parse_query(text: str) -> Values:
    """The values in the query of a URL."""
    return Values(parse_qsl(text, keep_blank_values=True))


def parse_form(content_type: str, body: bytes) -> Form:
    """The form in a request's body (HTML, section 4.10.21). Raises BadRequest.

    Forms with files, multipart/form-data (RFC 7578), need the package multipart, or else raise UsageError.
    """
    kind = content_type.partition(";")[0].strip().lower()
    if kind == "application/x-www-form-urlencoded":
        try:
            return Form(parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=MAX_FIELDS))
        except UnicodeDecodeError:
            raise BadRequest(400, "the form is not UTF-8") from None
        except ValueError:
            raise BadRequest(413, f"the form has more than {MAX_FIELDS} fields") from None
    if kind == "multipart/form-data":
        return parse_multipart(content_type, body)
    raise BadRequest(415, "a form is application/x-www-form-urlencoded or multipart/form-data")


def parse_multipart(content_type: str, body: bytes) -> Form:
    try:
        import multipart
    except ImportError:
        text = "forms with files need the package multipart: pip install 'hyperws[forms]'"
        raise UsageError(text) from None
    _, options = multipart.parse_options_header(content_type)
    pairs: list[tuple[str, str]] = []
    files: list[Upload] = []
    data = bytearray()
    try:
        with multipart.PushMultipartParser(
            options.get("boundary", ""), content_length=len(body), max_segment_count=MAX_FIELDS
        ) as parser:
            for event in [*parser.parse(body), *parser.parse(b"")]:
                if isinstance(event, multipart.MultipartSegment):
                    part = event
                    data.clear()
                elif event:
                    data += event
                elif part.filename is None:
                    pairs.append((part.name, data.decode()))
                else:
                    kind = part.content_type or "application/octet-stream"
                    files.append(Upload(part.name, part.filename, kind, bytes(data)))
    except multipart.ParserLimitReached:
        raise BadRequest(413, f"the form has more than {MAX_FIELDS} fields, or one too long a name") from None
    except (multipart.MultipartError, UnicodeDecodeError, ValueError):
        raise BadRequest(400, "the form is not written as multipart/form-data has it") from None
    return Form(pairs, files)
