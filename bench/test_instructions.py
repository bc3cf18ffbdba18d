"""Holds what a call of each piece of hyperws takes below a ceiling: in instructions, which hardly vary.

A ceiling is what was measured when it was set, plus 10 %, as compilers and builds of Python differ. Whoever
makes a piece cheaper lowers its ceiling: `python bench/instructions.py` prints what each takes.
"""

import platform
import sys

import pytest

from bench.instructions import instructions, missing

CEILINGS = {
    "mask, 32 bytes": 651,
    "mask, 256 bytes": 692,
    "utf8, ASCII, 32 bytes": 3_800,
    "utf8, ASCII, 256 bytes": 3_980,
    "utf8, multi-byte, 32 bytes": 4_130,
    "utf8, multi-byte, 256 bytes": 7_270,
    "decode, 32 bytes": 3_360,
    "decode, 256 bytes": 3_510,
    "encode, 32 bytes": 1_130,
    "encode, 256 bytes": 1_160,
    "echo, 32 bytes": 7_400,
    "echo, 256 bytes": 7_570,
    "receive, 32 bytes": 7_190,
    "receive, 256 bytes": 7_320,
    "publish, 32 bytes": 185_000,
    "publish, 256 bytes": 189_000,
    "parse_head, 283 bytes": 39_000,
}
HERE = platform.python_implementation(), sys.version_info[:2], platform.machine()

pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.skipif(
        HERE != ("CPython", (3, 11), "x86_64"), reason="the ceilings are those of CPython 3.11 on x86_64"
    ),
]


@pytest.fixture(scope="module")
def taken():
    if reason := missing():
        pytest.skip(reason)
    return instructions("hyperws")


@pytest.mark.parametrize("piece", CEILINGS)
def test_instructions(taken, piece):
    assert taken[piece] <= CEILINGS[piece], (
        f"a call of {piece} took {taken[piece]:,.0f} instructions: its ceiling is {CEILINGS[piece]:,}"
    )


def test_every_piece_has_a_ceiling(taken):
    assert list(taken) == list(CEILINGS)
