"""The request parser against RFC 9110 and RFC 9112 as the oracle reads them, for beginnings of a head too.

Input: two cuts, then the head and what may stand behind it.
"""

from __future__ import annotations

from hyperws._core.http import RequestParser

from ..core.test_http import LIMITS, agree, outcome
from .source import Source

parser = RequestParser(*LIMITS)


def one_input(data):
    source = Source(data)
    cut = source.cuts()
    beginning = b""
    for piece in cut(source.rest()):
        beginning += piece
        agree(outcome(parser, beginning), beginning)
