"""Conditional requests and ranges (RFC 9110, sections 13 and 14).

Everywhere, `headers` are the request's, and `etag` and `last_modified` what the response says of its content.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

ENTITY_TAG = re.compile(r'(?:^|,)[ \t]*((?:W/)?"[\x21\x23-\x7e\x80-\xff]*")[ \t]*(?=,|$)')
BYTE_RANGE = re.compile(
    r"bytes=[ \t]*(?:([0-9]{1,18})-([0-9]{0,18})|-([0-9]{1,18}))[ \t]*", re.IGNORECASE
)


def judge(
    method: str, headers: Mapping[str, str], etag: str, last_modified: str, size: int
) -> tuple[int, range | None]:
    """The status that answers a request for `size` bytes, and which of them go with it.

    None for 304, 412 and 416, with which none of them go.
    """
    if (status := failed_precondition(method, headers, etag, last_modified)) is not None:
        return status, None
    part = requested_range(method, headers, etag, last_modified, size)
    if part is None:
        return 200, range(size)
    return (206, part) if part else (416, None)


def failed_precondition(
    method: str, headers: Mapping[str, str], etag: str, last_modified: str
) -> int | None:
    """The status that answers the request in place of the content, 304 or 412, or None (section 13.2.2)."""
    reads = method in ("GET", "HEAD")
    if "if-match" in headers:
        is_wanted = matches(headers["if-match"], etag, weak=False)
    else:
        is_wanted = is_newer(last_modified, headers.get("if-unmodified-since")) is not True
    if not is_wanted:
        return 412
    if "if-none-match" in headers:
        is_known = matches(headers["if-none-match"], etag, weak=True)
    else:
        is_known = reads and is_newer(last_modified, headers.get("if-modified-since")) is False
    if is_known:
        return 304 if reads else 412
    return None


def requested_range(
    method: str, headers: Mapping[str, str], etag: str, last_modified: str, size: int
) -> range | None:
    """The only part of `size` bytes that is asked for (section 14.2); empty where there is no such part.

    None where all of it is to be sent: that answers several ranges too, and those that can't be read.
    """
    value = headers.get("range")
    if value is None or method != "GET":
        return None
    validator = headers.get("if-range")
    if validator is not None and (validator not in (etag, last_modified) or validator.startswith("W/")):
        return None     # the part that the client has is of something else, or may be (section 13.1.5)
    return parse_range(value, size)


def parse_range(value: str, size: int) -> range | None:
    """What a Range header means for `size` bytes, as `requested_range` tells it."""
    match = BYTE_RANGE.fullmatch(value)
    if match is None:
        return None
    first, last, suffix = match.groups()
    if suffix is not None:
        # the last bytes of nothing are nothing, which no Content-Range can say
        return range(max(size - int(suffix), 0), size) if size or not int(suffix) else None
    if last and int(last) < int(first):
        return None
    return range(int(first), min(int(last) + 1, size) if last else size)


def matches(value: str, etag: str, *, weak: bool) -> bool:
    """Whether an entity tag is among those of a header (section 8.8.3.2)."""
    if value.strip(" \t") == "*":
        return True
    listed = ENTITY_TAG.findall(value)
    if weak:
        return etag.removeprefix("W/") in [tag.removeprefix("W/") for tag in listed]
    return etag in listed and not etag.startswith("W/")


def is_newer(last_modified: str, date: str | None) -> bool | None:
    """Whether the content was modified after a date; None where that can't be told."""
    since = None if date is None else parse_date(date)
    modified = None if since is None else parse_date(last_modified)
    return None if since is None or modified is None else modified > since


def parse_date(text: str) -> datetime | None:
    """A date as in section 5.6.7, in any of its three forms; None for anything else."""
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return date.replace(tzinfo=UTC) if date.tzinfo is None else date
