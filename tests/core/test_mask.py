"""Masking, by every code that this machine can run."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hyperws._core.websocket import mask, use_mask_code

from .oracle_websocket import unmask
from .pieces import examples

CODES = ("scalar", "sse2", "avx2", "neon")    # the fastest last, of those that one machine may have
AVAILABLE = [code for code in CODES if use_mask_code(code)]    # which leaves the fastest in use

BYTES = bytes((i * 7 + 3) % 256 for i in range(70_000))
KEY = b"\x01\x20\xfe\x93"


@pytest.fixture(params=CODES)
def code(request):
    if request.param not in AVAILABLE:
        pytest.skip(f"this machine has no {request.param}")
    assert use_mask_code(request.param)
    yield request.param
    use_mask_code(AVAILABLE[-1])


def test_a_machine_has_scalar_code():
    assert "scalar" in AVAILABLE


def test_every_size_and_offset(code):
    for size in (*range(131), 255, 256, 257, 1000, 4095, 65536, 69_999):
        masked = unmask(BYTES[:size + 4], KEY)
        for offset in range(4):
            # the payload from `offset` on meets the key from there on
            assert mask(BYTES[offset:offset + size], KEY, offset) == masked[offset:offset + size]


@pytest.mark.parametrize("offset", [4, 5, 7, 8, 125, 2**32 - 1, 2**32, 2**63 + 2])
def test_large_offsets(code, offset):
    assert mask(BYTES[:100], KEY, offset) == mask(BYTES[:100], KEY, offset % 4)


def test_the_argument_is_left_alone(code):
    for size in (0, 1, 2, 40):
        data = bytes(range(size))
        mask(data, KEY)
        assert data == bytes(range(size))


@examples(100)
@given(data=st.binary(max_size=300), key=st.binary(min_size=4, max_size=4), cut=st.integers(0, 300))
def test_masking_twice_and_in_pieces(data, key, cut):
    masked = mask(data, key)
    assert masked == unmask(data, key)
    assert mask(masked, key) == data
    assert mask(data[:cut], key) + mask(data[cut:], key, min(cut, len(data))) == masked


@pytest.mark.parametrize("key", [b"", b"123", b"12345"])
def test_a_key_has_four_bytes(key):
    with pytest.raises(ValueError, match="4 bytes"):
        mask(b"hello", key)
