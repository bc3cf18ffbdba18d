"""What settings are checked with."""

from __future__ import annotations


def is_int(value: object, low: int, high: int) -> bool:
    """Whether `value` is a whole number between two others."""
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high
