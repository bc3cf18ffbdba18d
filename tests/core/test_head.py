"""The scan for a head's end, which goes on where it stopped, in pieces of every size."""

from __future__ import annotations

import ctypes

import pytest

from .c_library import build
from .pieces import corpus, cut_points
from .test_http import ALL


@pytest.fixture(scope="module")
def head_end(tmp_path_factory):
    function = build(tmp_path_factory.mktemp("head"), "head").hw_head_end
    function.argtypes = (ctypes.c_char_p, ctypes.c_size_t, ctypes.POINTER(ctypes.c_size_t))
    function.restype = ctypes.c_ssize_t
    return function


def scan(head_end, pieces):
    """The first result but 0, of a head that comes in `pieces`, and how many bytes had come by then."""
    position = ctypes.c_size_t()
    data = b""
    for piece in pieces:
        data += piece
        # bytes object that ends where the data ends: nothing behind it may be looked at
        if result := head_end(data, len(data), position):
            return result, len(data)
    return 0, len(data)


@corpus("data", ALL)
def test_every_cut_in_two(head_end, data):
    whole, _ = scan(head_end, [data])
    for point in cut_points(len(data)):
        assert scan(head_end, [data[:point], data[point:]])[0] == whole, point


@corpus("data", ALL)
def test_byte_by_byte_it_ends_with_its_last_byte(head_end, data):
    whole, _ = scan(head_end, [data])
    result, came = scan(head_end, [data[i:i + 1] for i in range(len(data))])
    assert result == whole
    if whole > 0:
        assert came == whole
