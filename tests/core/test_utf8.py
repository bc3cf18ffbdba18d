"""The incremental UTF-8 check, which names the first bad byte, against Python's own decoder."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hyperws._core.websocket import valid_utf8_prefix

from .oracle_utf8 import is_text, may_become_text
from .pieces import examples

# Both ends of each range of RFC 3629, section 4, and their neighbours outside
EDGES = [bytes([byte]) for byte in (
    0x00, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xC1, 0xC2, 0xDF,
    0xE0, 0xE1, 0xEC, 0xED, 0xEE, 0xEF, 0xF0, 0xF1, 0xF3, 0xF4, 0xF5, 0xF8, 0xFF,
)]

INSIDE = -1


def valid_prefix(data):
    """What `valid_utf8_prefix` is to say."""
    for size in range(len(data)):
        if not may_become_text(data[:size + 1]):
            return size
    return len(data) if is_text(data) else INSIDE


def test_every_two_bytes():
    for pair in product(range(256), repeat=2):
        data = bytes(pair)
        expected = valid_prefix(data)
        assert valid_utf8_prefix(data) == expected, data
        assert valid_utf8_prefix(data, 1) == expected, data


def test_edges_of_three_bytes():
    for parts in product(EDGES, repeat=3):
        data = b"".join(parts)
        assert valid_utf8_prefix(data) == valid_prefix(data), data


def test_edges_of_four_bytes():
    for parts in product(EDGES[EDGES.index(b"\xe0"):], EDGES, EDGES[1:8], EDGES[1:9]):
        data = b"".join(parts)
        assert valid_utf8_prefix(data) == valid_prefix(data), data


def test_every_character():
    characters = [chr(point) for point in range(0x110000) if not 0xD800 <= point < 0xE000]
    data = "".join(characters).encode()
    assert valid_utf8_prefix(data) == len(data)
    assert valid_utf8_prefix(data, *range(1, len(data))) == len(data)


@pytest.mark.parametrize("point", [0xD800, 0xDBFF, 0xDC00, 0xDFFF])
def test_surrogates(point):
    assert valid_utf8_prefix(b"a" + chr(point).encode("utf-8", "surrogatepass")) == 2


@pytest.mark.parametrize("text", [
    b"", b"plain ASCII, longer than a machine word", "aé€\U0001f600z".encode(), b"ascii \xf4\x8f\xbf\xbf end",
    b"12345678\x80", b"1234567\xc3", b"\xe2\x82", b"\xf0\x9f\x98\xe2\x82\xac", b"\xc3\xa9\xc3",
    b"ok\xed\xa0\x80ok",
])
def test_every_cut_in_three(text):
    expected = valid_prefix(text)
    for first in range(len(text) + 1):
        for second in range(first, len(text) + 1):
            assert valid_utf8_prefix(text, first, second) == expected


def test_a_bad_byte_in_every_place():
    """In and behind the runs of ASCII that are looked at several bytes at a time."""
    for size in range(40):
        for place in range(size):
            data = b"a" * place + b"\xff" + b"a" * (size - place - 1)
            assert valid_utf8_prefix(data) == place


chunks = st.one_of(st.binary(max_size=4), st.text(max_size=4).map(str.encode), st.sampled_from(EDGES))


@examples(300)
@given(data=st.lists(chunks).map(b"".join), cuts=st.lists(st.integers(0, 60), max_size=6))
def test_anything_cut_anywhere(data, cuts):
    cuts = sorted(cut for cut in cuts if cut <= len(data))
    assert valid_utf8_prefix(data, *cuts) == valid_prefix(data)
