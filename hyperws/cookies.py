"""Cookies (RFC 6265), read and written."""

from __future__ import annotations

import re
from http.cookies import CookieError, SimpleCookie
from typing import Literal

from hyperws.errors import UsageError
from hyperws.response import TOKEN

SameSite = Literal["Strict", "Lax", "None"]

ATTRIBUTE = re.compile(r"[\x20-\x3a\x3c-\x7e]*")     # all but controls and the semicolon
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


def write_cookie(
    name: str,
    value: str,
    *,
    max_age: int | None,
    path: str,
    domain: str | None,
    secure: bool,
    http_only: bool,
    same_site: SameSite | None,
) -> str:
    """The value of a Set-Cookie header (RFC 6265, section 4.1). Raises UsageError for what it can't have."""
    cookies: SimpleCookie = SimpleCookie()
    try:
        cookies[name] = value
    except (CookieError, TypeError):
        raise UsageError(f"{name!r} is no name of a cookie: use letters, digits and hyphens") from None
    morsel = cookies[name]
    for attribute, text in (("path", path), ("domain", domain), ("samesite", same_site)):
        if text is None:
            continue
        if not isinstance(text, str) or not ATTRIBUTE.fullmatch(text):
            raise UsageError(f"a cookie can't have the {attribute} {text!r}")
        morsel[attribute] = text
    if same_site not in (None, "Strict", "Lax", "None"):
        raise UsageError(f"same_site takes 'Strict', 'Lax' or 'None', not {same_site!r}")
    if max_age is not None:
        morsel["max-age"] = str(int(max_age))
    morsel["secure"], morsel["httponly"] = secure, http_only
    written = morsel.OutputString()
    if not written.isascii() or not written.isprintable():
        raise UsageError(f"the cookie {name!r} has a character that can't be sent: encode its value first")
    return written
