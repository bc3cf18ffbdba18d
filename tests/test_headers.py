"""Request headers: cookies."""

from http.cookies import SimpleCookie

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hyperws.cookies import parse_cookies

from .core.pieces import examples


@pytest.mark.parametrize(
    ("header", "cookies"),
    [
        ("", {}),
        ("a=b", {"a": "b"}),
        ("a=b; c=d", {"a": "b", "c": "d"}),
        ("a=b;c=d;", {"a": "b", "c": "d"}),
        ("a=1; a=2", {"a": "2"}),
        ("a==b=; empty=", {"a": "=b=", "empty": ""}),
        ('a="b c"', {"a": "b c"}),
        (r'a="\"\\\073\344\x"', {"a": '"\\;äx'}),
        ('a=b"c; d=e f; g=h,i; no name; =j; k[0]=l; m=n', {"m": "n"}),
        ('a="; b=c', {"b": "c"}),
    ],
)
def test_cookies(header, cookies):
    assert parse_cookies(header) == cookies


@examples(300)
@given(st.text(st.characters(max_codepoint=255)))
def test_what_the_standard_library_writes_is_read(value):
    written = SimpleCookie({"name": value}).output(attrs=[], header="").strip()
    assert parse_cookies(written) == {"name": value}
