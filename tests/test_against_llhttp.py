"""Requests that are read alike by hyperws and by llhttp, and all that are not.

The inputs are those of the fuzz target `llhttp`. Behind each stands one more request.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from .fuzz.llhttp import END, Verdict, compare
from .fuzz.llhttp_differences import FRAMING_IN_TRAILER, NO_HANDSHAKE, OTHERWISE, STRICTER
from .fuzz.source import Source

ROOT = Path(__file__).parents[1]
CORPUS = ROOT / "tests" / "fuzz" / "corpus" / "llhttp"
DOCS = ROOT / "docs" / "security.md"

# of how many requests, the last of which is the one behind, both read the same
READ = {
    2: """
        a-request an-empty-line-first HTTP-1.0-kept-alive closed-is-not-close a-URL a-URL-without-a-path
        a-URL-of-a-WebSocket options-of-the-server odd-characters-in-a-target an-escape-of-no-digits
        two-slashes white-space-around-values high-bytes-in-a-value odd-characters-in-a-name
        a-length-with-zeros a-length-behind-tabs a-length-of-nothing a-body-of-GET
        a-body-that-looks-like-a-request a-body-of-line-ends expects-to-continue chunks
        chunks-in-a-row-of-sizes chunked-in-any-case chunk-extensions trailer-fields
        a-trailer-field-that-is-no-header
    """,
    3: "two-empty-lines-between",
    5: "requests-in-a-row",
}

# how both end without that one: (requests, hyperws, llhttp)
ENDED = {
    (1, "closed", ""): "the-least-of-HTTP-1.0 close close-in-a-second-header close-behind-a-tab",
    (1, "waits", "waits"): "a-body-that-does-not-end chunks-that-do-not-end",
    (1, "upgraded", "upgrades"): "a-handshake a-handshake-among-others",
    (1, "stopped", "upgrades"): "a-handshake-of-another-subprotocol a-handshake-where-no-socket-is",
}

# what both refuse, hyperws with this status
REFUSED = {
    400: """
        a-TLS-hello a-space-first bare-LF-everywhere bare-LF-behind-a-value bare-LF-at-the-end
        bare-CR-in-the-line bare-CR-behind-the-line bare-CR-in-a-value bare-CR-in-a-name CR-CR-LF
        a-folded-header a-folded-transfer-encoding a-folded-first-header a-header-folded-by-a-tab
        NUL-in-a-name NUL-in-a-value NUL-in-a-target DEL-in-a-value vertical-tab-before-chunked
        high-bytes-in-a-target high-bytes-in-a-name a-space-before-the-colon a-tab-before-the-colon no-name
        no-colon a-name-in-brackets a-tab-in-the-line a-space-behind-the-version a-space-in-the-target
        a-version-in-lower-case a-version-of-two-digits a-relative-target a-query-alone a-length-and-chunked
        chunked-and-a-length chunked-and-a-length-of-nothing two-lengths-alike two-lengths-unlike
        a-list-of-lengths a-length-with-a-plus a-length-below-zero a-length-in-hexadecimal
        a-length-with-a-space a-length-with-an-underscore a-length-with-a-fraction an-empty-length
        chunked-twice chunked-and-then-identity a-chunk-size-behind-a-space a-chunk-size-before-a-space
        a-chunk-size-before-a-tab a-chunk-size-with-0x a-chunk-size-below-zero
        a-chunk-size-with-an-underscore a-chunk-size-of-65-bits no-chunk-size a-chunk-size-and-bare-LF
        a-chunk-size-and-bare-CR chunk-data-and-bare-LF chunk-data-and-bare-CR chunk-data-that-is-too-long
        chunk-data-without-a-line-end a-last-chunk-and-bare-LF a-last-line-and-bare-LF
        bare-LF-in-a-chunk-extension bare-CR-in-a-chunk-extension bare-LF-in-a-quoted-extension
        a-chunk-extension-of-nothing a-space-in-a-chunk-extension a-folded-trailer-field
        a-trailer-field-without-a-colon a-trailer-field-and-bare-LF a-request-for-a-trailer
    """,
    413: "a-length-above-64-bits",
    501: """
        a-list-of-chunked chunked-before-another-coding identity a-coding-like-chunked
        chunked-with-a-parameter chunked-in-quotes an-empty-transfer-encoding chunked-with-an-empty-member
    """,
    505: "HTTP-3.0 HTTP-2-by-its-preface",
}

STRICTER = [*STRICTER, NO_HANDSHAKE]
OTHERWISE = [*OTHERWISE, FRAMING_IN_TRAILER]

ALIKE = {
    name: verdict
    for verdict, names in [
        *((Verdict(requests), names) for requests, names in READ.items()),
        *((Verdict(*ends), names) for ends, names in ENDED.items()),
        *((Verdict(0, status, "refuses"), names) for status, names in REFUSED.items()),
    ]
    for name in names.split()
}


def each_input(rows):
    return [
        pytest.param(row, name, id=name) for row in rows for name in row.shown_by.split()
    ]


def verdicts(name):
    """The Verdict on an input as a whole, in two pieces, and byte by byte."""
    source = Source((CORPUS / name).read_bytes())
    source.take(5)
    stream = source.rest() + END
    half = len(stream) // 2
    for pieces in ([stream], [stream[:half], stream[half:]], [bytes([byte]) for byte in stream]):
        yield compare(pieces)


@pytest.mark.parametrize("name", ALIKE)
def test_read_alike(name):
    for verdict in verdicts(name):
        assert verdict == ALIKE[name]


@pytest.mark.parametrize(("row", "name"), each_input(STRICTER))
def test_only_hyperws_refuses(row, name):
    for verdict in verdicts(name):
        assert verdict.differences == {row.name}
        assert verdict.ours in (*row.statuses, "stopped")
        assert verdict.theirs in ("reads on", "upgrades")


@pytest.mark.parametrize(("row", "name"), each_input(OTHERWISE))
def test_read_otherwise(row, name):
    for verdict in verdicts(name):
        assert verdict.differences == {row.name}
        assert verdict.ours in ("", "closed")


def test_every_input_is_told_of_once():
    told = Counter([*ALIKE, *(name for row in STRICTER + OTHERWISE for name in row.shown_by.split())])
    assert told == Counter(path.name for path in CORPUS.iterdir())


def test_the_documentation_tells_of_every_difference():
    text = DOCS.read_text(encoding="utf-8")
    _, _, section = text.partition("## Where requests are read more strictly than llhttp does\n")
    rows = [line for line in section.partition("\n## ")[0].splitlines() if line.startswith("| ")]
    told = [row for row in rows if not row.startswith(("| what", "| ---"))]
    assert told == [
        *(f"| {row.name} | {' or '.join(map(str, row.statuses))} | {row.rule} |" for row in STRICTER),
        *(f"| {row.name} | {row.rule} |" for row in OTHERWISE),
    ]
