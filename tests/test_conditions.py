"""Conditional requests and ranges, by the letter of RFC 9110 and its examples."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hyperws.conditions import (
    failed_precondition,
    judge,
    matches,
    parse_date,
    parse_range,
    requested_range,
)

ETAG = '"xyzzy"'
BEFORE, THEN, AFTER = (f"Sat, 29 Oct 1994 19:43:{second} GMT" for second in (30, 31, 32))


@pytest.mark.parametrize("text", [
    "Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994",
])
def test_the_three_forms_of_a_date(text):
    assert parse_date(text) == datetime(1994, 11, 6, 8, 49, 37, tzinfo=UTC)


@pytest.mark.parametrize("text", ["", " ", "yesterday", "Sun, 41 Nov 1994 08:49:37 GMT", "0", '"xyzzy"'])
def test_what_is_no_date(text):
    assert parse_date(text) is None


@given(st.text(max_size=60) | st.text("Sun, 06 Nov1994:37GMT+-", max_size=40))
def test_any_text_is_a_date_or_none(text):
    assert parse_date(text) is None or parse_date(text).tzinfo is not None


# section 8.8.3.2
@pytest.mark.parametrize(("one", "other", "strong", "weak"), [
    ('W/"1"', 'W/"1"', False, True),
    ('W/"1"', 'W/"2"', False, False),
    ('W/"1"', '"1"', False, True),
    ('"1"', '"1"', True, True),
])
def test_entity_tags_are_compared_strongly_or_weakly(one, other, strong, weak):
    for listed, own in ((one, other), (other, one)):
        assert matches(listed, own, weak=False) == strong
        assert matches(listed, own, weak=True) == weak


@pytest.mark.parametrize(("listed", "expected"), [
    ("*", True),
    ('"xyzzy", "r2d2xxxx", "c3piozzzz"', True),
    ('"r2d2xxxx","xyzzy"', True),
    ('W/"xyzzy" ,\t"c3piozzzz"', True),
    ('"r2d2xxxx"', False),
    ("xyzzy", False),
    ('x"xyzzy"', False),
    ('"xyzzy', False),
    ("", False),
])
def test_lists_of_entity_tags(listed, expected):
    assert matches(listed, ETAG, weak=True) == expected


@pytest.mark.parametrize(("expected", "headers"), [
    (None, {}),
    (None, {"if-match": ETAG}),
    (None, {"if-match": "*"}),
    (412, {"if-match": '"other"'}),
    (412, {"if-match": 'W/"xyzzy"'}),
    (412, {"if-match": "xyzzy"}),
    (None, {"if-match": ETAG, "if-unmodified-since": BEFORE}),
    (None, {"if-unmodified-since": THEN}),
    (412, {"if-unmodified-since": BEFORE}),
    (None, {"if-unmodified-since": "some day"}),
    (304, {"if-none-match": ETAG}),
    (304, {"if-none-match": 'W/"xyzzy"'}),
    (304, {"if-none-match": "*"}),
    (None, {"if-none-match": '"other"'}),
    (None, {"if-none-match": '"other"', "if-modified-since": AFTER}),
    (304, {"if-none-match": ETAG, "if-modified-since": BEFORE}),
    (304, {"if-modified-since": THEN}),
    (304, {"if-modified-since": AFTER}),
    (None, {"if-modified-since": BEFORE}),
    (None, {"if-modified-since": "some day"}),
    (412, {"if-match": '"other"', "if-none-match": ETAG}),
    (304, {"if-match": ETAG, "if-none-match": ETAG}),
    (412, {"if-unmodified-since": BEFORE, "if-none-match": ETAG}),
])
def test_preconditions_in_their_order(expected, headers):
    assert failed_precondition("GET", headers, ETAG, THEN) == expected
    assert failed_precondition("HEAD", headers, ETAG, THEN) == expected


def test_preconditions_of_other_methods():
    assert failed_precondition("POST", {"if-none-match": ETAG}, ETAG, THEN) == 412
    assert failed_precondition("POST", {"if-modified-since": AFTER}, ETAG, THEN) is None


# section 14.1.2: the examples are of 10000 bytes
@pytest.mark.parametrize(("value", "expected"), [
    ("bytes=0-499", range(500)),
    ("bytes=500-999", range(500, 1000)),
    ("bytes=-500", range(9500, 10000)),
    ("bytes=9500-", range(9500, 10000)),
    ("bytes=0-0", range(1)),
    ("bytes=-1", range(9999, 10000)),
    ("BYTES= 0-499 ", range(500)),
    ("bytes=0-999999999999999999", range(10000)),
    ("bytes=-20000", range(10000)),
    # several, of which none need be sent
    ("bytes=0-0,-1", None),
    ("bytes= 0-999, 4500-5499, -1000", None),
    ("bytes=500-700,601-999", None),
    # not ranges
    ("bytes=5-4", None),
    ("bytes=-", None),
    ("bytes=", None),
    ("bytes", None),
    ("bytes=a-b", None),
    ("bytes=+1-2", None),
    ("bytes=1-2-3", None),
    ("bytes=0 - 4", None),
    ("bytes=\u0660-\u0664", None),
    ("bytes=0-" + "9" * 5000, None),
    ("lines=1-2", None),
])
def test_ranges(value, expected):
    assert parse_range(value, 10000) == expected


@pytest.mark.parametrize(("value", "size"), [
    ("bytes=10000-", 10000),
    ("bytes=10000-10001", 10000),
    ("bytes=-0", 10000),
    ("bytes=0-", 0),
    ("bytes=-0", 0),
])
def test_ranges_of_nothing(value, size):
    found = parse_range(value, size)
    assert found is not None
    assert len(found) == 0


def test_the_last_bytes_of_an_empty_file_are_all_of_it():
    assert parse_range("bytes=-5", 0) is None


@given(st.integers(0, 100), st.none() | st.integers(0, 100), st.none() | st.integers(0, 100))
def test_a_range_is_what_slicing_gives(size, first, last):
    if first is None and last is None:
        return
    content = bytes(range(size))
    text = "bytes={}-{}".format(*("" if number is None else number for number in (first, last)))
    if first is None:
        expected = (content[-last:] or None) if last else b""
    elif last is not None and last < first:
        expected = None
    else:
        expected = content[first:] if last is None else content[first:last + 1]
    found = parse_range(text, size)
    assert expected == (None if found is None else content[found.start:found.stop])


@pytest.mark.parametrize(("validator", "expected"), [
    (ETAG, range(1)),
    (THEN, range(1)),
    ('"other"', None),
    ('W/"xyzzy"', None),
    (AFTER, None),
    (BEFORE, None),
    ("", None),
])
def test_if_range_asks_for_all_that_is_new(validator, expected):
    headers = {"range": "bytes=0-0", "if-range": validator}
    assert requested_range("GET", headers, ETAG, THEN, 10) == expected


def test_if_range_needs_a_strong_entity_tag():
    headers = {"range": "bytes=0-0", "if-range": 'W/"1"'}
    assert requested_range("GET", headers, 'W/"1"', THEN, 10) is None


def test_ranges_are_for_get():
    assert requested_range("HEAD", {"range": "bytes=0-0"}, ETAG, THEN, 10) is None


def test_conditions_come_before_ranges():
    asked = {"range": "bytes=20-"}
    assert judge("GET", asked, ETAG, THEN, 10) == (416, None)
    assert judge("GET", asked | {"if-none-match": ETAG}, ETAG, THEN, 10) == (304, None)
    assert judge("GET", asked | {"if-match": '"other"'}, ETAG, THEN, 10) == (412, None)
    assert judge("GET", asked | {"if-range": '"other"'}, ETAG, THEN, 10) == (200, range(10))
    assert judge("GET", {"range": "bytes=2-"}, ETAG, THEN, 10) == (206, range(2, 10))
