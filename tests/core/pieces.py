"""How inputs are cut into pieces, and how hard Hypothesis looks."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import HealthCheck, settings


def examples(count):
    """Hypothesis settings under which a test does the same in each of its runs."""
    clocks = [HealthCheck.too_slow]     # a busy machine is no fault of the test
    return settings(
        max_examples=count, deadline=None, derandomize=True, database=None, suppress_health_check=clocks
    )


def cut_points(size):
    """Every place between two bytes; of a long input those near its ends, and some between."""
    if size <= 400:
        return range(1, size)
    return sorted({*range(1, 64), *range(64, size - 64, size // 64), *range(size - 64, size)})


def cut(data, points):
    """`data` in pieces, cut at `points`, which may be any numbers."""
    edges = [0, *sorted(point % (len(data) + 1) for point in points), len(data)]
    return [data[begin:end] for begin, end in pairwise(edges)]


def corpus(arguments, inputs):
    """Parametrize a test by the values of a dict, whose keys say what is special about each."""
    return pytest.mark.parametrize(arguments, [
        pytest.param(
            *(value if isinstance(value, tuple) else (value,)), id=name.replace(" ", "_"),
        )
        for name, value in inputs.items()
    ])
