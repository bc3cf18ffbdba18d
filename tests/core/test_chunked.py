"""Bodies in chunks, in pieces of every size, against the grammar."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from . import oracle_chunked as oracle
from .c_library import build
from .pieces import corpus, cut, cut_points, examples

# enum hw_chunked_error
SIZE, EXTENSION, LINE_END, DATA_END, FIELD, TOO_MANY_EXTRAS = range(-1, -7, -1)

MOST_EXTRAS = 8192


def hello(extension=b"", trailer=b""):
    return b"5" + extension + b"\r\nhello\r\n0\r\n" + trailer + b"\r\n"


def with_extras(size, payload=b"hello"):
    """A body with so many bytes of extensions."""
    return b"%x;" % len(payload) + b"e" * (size - 1) + b"\r\n" + payload + b"\r\n0\r\n\r\n"


# body: payload
BODIES = {
    "nothing": (b"0\r\n\r\n", b""),
    "one chunk": (hello(), b"hello"),
    "chunks": (b"1\r\na\r\n2\r\nbc\r\n10\r\n" + b"d" * 16 + b"\r\n0\r\n\r\n", b"abc" + b"d" * 16),
    "digits in either case": (b"a\r\n0123456789\r\nB\r\n0123456789a\r\n0\r\n\r\n", b"01234567890123456789a"),
    "fifteen digits": (b"000000000000005\r\nhello\r\n000000000000000\r\n\r\n", b"hello"),
    "payload that looks like framing": (b"7\r\n\r\n0\r\n\r\n\r\n0\r\n\r\n", b"\r\n0\r\n\r\n"),
    "payload of any bytes": (b"100\r\n" + bytes(range(256)) + b"\r\n0\r\n\r\n", bytes(range(256))),
    "an extension": (hello(b";a"), b"hello"),
    "extensions": (hello(b";a=b;c;!#$%&'*+-.^_`|~=0"), b"hello"),
    "a quoted extension": (hello(b';a="b;\t \\"\\\\\\ \xff=c";d=""'), b"hello"),
    "an extension of the last chunk": (b"0;a=b\r\n\r\n", b""),
    "trailer fields": (hello(trailer=b"A: b\r\nX-Sum:\t1;\xff \r\nC:\r\n"), b"hello"),
    "as many extras as are allowed": (with_extras(MOST_EXTRAS), b"hello"),
    "as long a trailer as is allowed": (hello(trailer=b"A: " + b"b" * (MOST_EXTRAS - 7) + b"\r\n"), b"hello"),
    "a large chunk": (b"2000\r\n" + b"x" * 8192 + b"\r\n0\r\n\r\n", b"x" * 8192),
    "extras that payload makes up for": (
        (b"400;" + b"e" * 1023 + b"\r\n" + b"x" * 1024 + b"\r\n") * 20 + b"0\r\n\r\n", b"x" * 1024 * 20,
    ),
}

# body: the error, and how many bytes it takes to see it
REFUSED = {
    "no size": (b"\r\n", SIZE, 1),
    "a sign": (b"+5\r\n", SIZE, 1),
    "a minus": (b"-5\r\n", SIZE, 1),
    "a prefix": (b"0x5\r\n", EXTENSION, 2),
    "an underscore": (b"1_0\r\n", EXTENSION, 2),
    "a letter too far": (b"g\r\n", SIZE, 1),
    "a letter too far, behind a digit": (b"5G\r\n", EXTENSION, 2),
    "a space in front": (b" 5\r\n", SIZE, 1),
    "a space behind": (b"5 \r\n", EXTENSION, 2),
    "a space before a semicolon": (b"5 ;a\r\n", EXTENSION, 2),
    "a tab behind": (b"5\t\r\n", EXTENSION, 2),
    "a NUL behind": (b"5\0\r\n", EXTENSION, 2),
    "an extension without its semicolon": (b"5a=b\r\n", EXTENSION, 3),
    "a comma": (b"5,5\r\n", EXTENSION, 2),
    "sixteen digits": (b"0000000000000005\r\n", SIZE, 16),
    "a size of more than 64 bits": (b"10000000000000005\r\n", SIZE, 16),
    "no end of digits": (b"0" * 1_000_000, SIZE, 16),
    "only a semicolon": (b";\r\n", SIZE, 1),
    "no extension behind the semicolon": (b"5;\r\n", EXTENSION, 3),
    "a bare LF behind a semicolon": (b"5;\n", LINE_END, 3),
    "two semicolons": (b"5;;a\r\n", EXTENSION, 3),
    "a space before an extension": (b"5; a\r\n", EXTENSION, 3),
    "a space behind an extension": (b"5;a \r\n", EXTENSION, 4),
    "an extension without a name": (b"5;=a\r\n", EXTENSION, 3),
    "no value of an extension": (b"5;a=\r\n", EXTENSION, 5),
    "a space before a value": (b"5;a= b\r\n", EXTENSION, 5),
    "two equals signs": (b"5;a=b=c\r\n", EXTENSION, 6),
    "a control in an extension": (b"5;a\x01\r\n", EXTENSION, 4),
    "a high byte in an extension": (b"5;a=\xff\r\n", EXTENSION, 5),
    "a bare LF in an extension": (b"5;a\nhello", LINE_END, 4),
    "a bare CR in an extension": (b"5;a\rb\r\n", LINE_END, 5),
    "a quote that does not end": (b'5;a="b\r\n', EXTENSION, 7),
    "a bare LF in quotes": (b'5;a="b\nc"\r\n', LINE_END, 7),
    "a control in quotes": (b'5;a="\x7f"\r\n', EXTENSION, 6),
    "an escaped CR": (b'5;a="\\\r\n', EXTENSION, 7),
    "a quoted value and more": (b'5;a="b"c\r\n', EXTENSION, 8),
    "a quote in a token": (b'5;a=b"c"\r\n', EXTENSION, 6),
    "a bare LF behind a size": (b"5\nhello\r\n0\r\n\r\n", LINE_END, 2),
    "a bare CR behind a size": (b"5\rhello\r\n", LINE_END, 3),
    "two CRs behind a size": (b"5\r\r\nhello", LINE_END, 3),
    "a chunk that ends in LF": (b"5\r\nhello\n", DATA_END, 9),
    "a chunk that ends in CR": (b"5\r\nhello\r0\r\n\r\n", DATA_END, 10),
    "a chunk that is too long": (b"5\r\nhello!\r\n", DATA_END, 9),
    "a chunk that is too short": (b"6\r\nhello\r\n0\r\n\r\n", DATA_END, 10),
    "a chunk without an end": (b"5\r\nhello0\r\n\r\n", DATA_END, 9),
    "a bare LF behind the last size": (b"0\n\r\n", LINE_END, 2),
    "a bare LF at the end": (b"0\r\n\n", LINE_END, 4),
    "a bare CR at the end": (b"0\r\n\rG", LINE_END, 5),
    "a request for a trailer": (b"0\r\nGET / HTTP/1.1\r\n", FIELD, 7),
    "a size for a trailer": (b"0\r\n5\r\n", FIELD, 5),
    "a trailer field without a name": (b"0\r\n: a\r\n", FIELD, 4),
    "a space before a colon": (b"0\r\nA : b\r\n", FIELD, 5),
    "a folded trailer field": (b"0\r\nA: b\r\n c\r\n", FIELD, 10),
    "a control in a trailer field": (b"0\r\nA: \0\r\n", FIELD, 7),
    "a bare LF in a trailer": (b"0\r\nA: b\n\r\n", LINE_END, 8),
    "a bare CR in a trailer": (b"0\r\nA: b\rc\r\n", LINE_END, 9),
    "an extension too long": (b"5;" + b"a" * 10_000, TOO_MANY_EXTRAS, 2 + MOST_EXTRAS + 1),
    "a quoted extension too long": (b'5;a="' + b"\\a" * 5_000, TOO_MANY_EXTRAS, 2 + MOST_EXTRAS + 1),
    "a trailer too long": (b"0\r\n" + b"A: b\r\n" * 2_000, TOO_MANY_EXTRAS, 3 + MOST_EXTRAS + 1),
    "a trailer field too long": (b"0\r\nA:" + b" " * 10_000, TOO_MANY_EXTRAS, 3 + MOST_EXTRAS + 1),
    # 100 bytes of extension to 1 of payload, 99 of which count
    "many small chunks with extensions": (
        (b"1;" + b"e" * 99 + b"\r\nx\r\n") * 1_000, TOO_MANY_EXTRAS, 82 * 106 + 2 + MOST_EXTRAS - 82 * 99 + 1,
    ),
}
ALL = {name: body for name, (body, *_) in (BODIES | REFUSED).items()}


class State(ctypes.Structure):
    _fields_ = (
        ("left", ctypes.c_uint64), ("extras", ctypes.c_uint16), ("digits", ctypes.c_uint8),
        ("state", ctypes.c_uint8),
    )


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    more = "size_t sizes[] = {sizeof(struct hw_chunked), HW_CHUNKED_EXTRAS};"
    library = build(tmp_path_factory.mktemp("chunked"), "chunked", more)
    assert list((ctypes.c_size_t * 2).in_dll(library, "sizes")) == [ctypes.sizeof(State), MOST_EXTRAS]
    size, state = ctypes.c_size_t, ctypes.POINTER(State)
    library.hw_chunked_decode.argtypes = (state, ctypes.c_char_p, size, ctypes.POINTER(size))
    library.hw_chunked_decode.restype = ctypes.c_ssize_t
    library.hw_chunked_done.argtypes = (state,)
    library.hw_chunked_done.restype = ctypes.c_bool
    library.hw_chunked_error_text.restype = ctypes.c_char_p
    return library


@dataclass
class Decoded:
    payload: bytes
    size: int    # how many bytes of the input belong to the body
    is_done: bool
    error: int = 0


def decode(library, pieces):
    state, size = State(), ctypes.c_size_t()
    payload = b""
    taken = 0
    for piece in pieces:
        buffer = ctypes.create_string_buffer(piece, len(piece))
        result = library.hw_chunked_decode(state, buffer, len(piece), size)
        payload += buffer[:size.value]
        if result < 0:
            return Decoded(payload, 0, False, result)
        taken += result
        is_done = library.hw_chunked_done(state)
        assert 0 <= size.value <= result <= len(piece)
        assert is_done or result == len(piece)
    return Decoded(payload, taken, is_done)


@corpus("body, payload", BODIES)
def test_a_body(library, body, payload):
    assert decode(library, [body]) == Decoded(payload, len(body), True)


@corpus("body, payload", BODIES)
def test_what_comes_behind_a_body_is_left(library, body, payload):
    for behind in (b"\r\n", b"0", b"GET / HTTP/1.1\r\n\r\n", b"\0" * 10):
        assert decode(library, [body + behind]) == Decoded(payload, len(body), True)
        assert decode(library, [body, behind]) == Decoded(payload, len(body), True)


@corpus("body, error, seen", REFUSED)
def test_a_body_that_is_refused(library, body, error, seen):
    """At its first wrong byte, however much more there is or is not."""
    assert decode(library, [body]).error == error
    assert decode(library, [body[:seen]]).error == error
    assert decode(library, [body[:seen - 1]]).error == 0


@corpus("body", ALL)
def test_every_cut_in_two(library, body):
    whole = decode(library, [body])
    for point in cut_points(len(body)):
        assert decode(library, [body[:point], body[point:]]) == whole, point


@corpus("body", ALL)
def test_byte_by_byte(library, body):
    pieces = (body[i:i + 1] for i in range(len(body)))
    assert decode(library, pieces) == decode(library, [body])


@corpus("body", {name: body[:300] for name, body in ALL.items()})
def test_every_beginning_is_judged_by_the_grammar(library, body):
    for size in range(len(body) + 1):
        agree(library, [body[:size]])


LIMITED = {name: body for name, (body, error, _) in REFUSED.items() if error == TOO_MANY_EXTRAS}


@corpus("body", LIMITED | {"as many as are allowed": BODIES["as long a trailer as is allowed"][0]})
def test_every_end_near_the_limit_is_judged_by_the_grammar(library, body):
    for size in range(MOST_EXTRAS - 20, MOST_EXTRAS + 20):
        agree(library, [body[:size]])


def test_a_chunk_that_does_not_come(library):
    """The largest size there is, of which only what came is told."""
    assert decode(library, [b"f" * 15 + b"\r\n", b"hello"]) == Decoded(b"hello", 22, False)


def test_extras_are_forgiven_only_behind_them(library):
    """Payload in front of an extension pays for none of it."""
    body = b"4000\r\n" + b"x" * 0x4000 + b"\r\n" + with_extras(MOST_EXTRAS + 1)
    assert decode(library, [body]).error == TOO_MANY_EXTRAS


def test_each_error_has_a_sentence_of_its_own(library):
    texts = {library.hw_chunked_error_text(error) for error in range(-7, 1)}
    assert len(texts) == 7    # one of them for what is no error


PARTS = [
    b"\r\n", b"\r", b"\n", b";", b"a", b"=", b'"', b"\\", b" ", b"\t", b"0", b"5", b"F", b":", b"\0", b"\xff",
    b"0\r\n", b"\r\n0\r\n\r\n", b"5\r\nhello\r\n", b"1\r\n", b";a=b", b';a="b"', b"A: b\r\n", b"x",
]

extensions = st.sampled_from([b"", b";a", b";a=b", b';a="\\"b"'])
chunks = st.builds(
    lambda zeros, payload, ext: b"0" * zeros + b"%x%b\r\n%b\r\n" % (len(payload), ext, payload),
    st.integers(0, 13), st.binary(min_size=1, max_size=40), extensions,
)
bodies = st.builds(
    lambda chunks, trailer: b"".join(chunks) + b"0\r\n" + trailer + b"\r\n",
    st.lists(chunks, max_size=4), st.sampled_from([b"", b"A: b\r\n", b"A:b\r\nC:\r\n"]),
)
anything = st.lists(st.sampled_from(PARTS), max_size=20).map(b"".join)
cuts = st.lists(st.integers(0, 1000), max_size=4)


@st.composite
def damaged_bodies(draw):
    body = draw(bodies)
    begin = draw(st.integers(0, len(body)))
    end = begin + draw(st.integers(0, 3))
    return body[:begin] + draw(st.sampled_from([b"", *PARTS])) + body[end:]


def agree(library, pieces):
    try:
        expected = oracle.decode(b"".join(pieces))
    except oracle.Refused:
        assert decode(library, pieces).error
    else:
        assert decode(library, pieces) == Decoded(expected.payload, expected.size, expected.is_done)


@examples(1000)
@given(body=st.one_of(bodies, damaged_bodies(), anything), behind=st.binary(max_size=3), points=cuts)
def test_anything_cut_anywhere(library, body, behind, points):
    agree(library, cut(body + behind, points))
