"""Counts the instructions that one call of a piece takes, by callgrind: unlike time, they hardly vary.

    python bench/instructions.py [--libraries hyperws,picows,websockets,aiohttp]

The pieces are those of test_pieces.py, which says what they include and hide; `test_instructions.py` holds
those of hyperws below a ceiling. Prints a table. Needs Linux, a C compiler, and valgrind with its headers.
"""

import argparse
import ctypes
import gc
import importlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from itertools import repeat
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

if __name__ == "__main__":
    sys.path.append(str(Path(__file__).resolve().parent.parent))  # last: an installed hyperws goes first

from bench.native import HERE, build
from bench.pieces._given import given_and_expected, result
from bench.pieces._loop import made
from bench.pieces._transport import HANDSHAKE

LIBRARIES = {
    "hyperws": ["hyperws_server", "hyperws"],  # the first that has the piece
    "picows": ["picows"],
    "websockets": ["websockets"],
    "aiohttp": ["aiohttp"],
}
NAMES = ("mask", "utf8, ASCII", "utf8, multi-byte", "decode", "encode", "echo", "receive", "publish")
SIZES = (32, 256)  # from 512 bytes on, Python leaves memory to malloc, whose ways are less regular
WARM_UP = 100
CALLS = 500


def missing() -> str | None:
    """Why nothing can be counted here, or None."""
    compiler = os.environ.get("CC", "cc")
    if sys.platform != "linux":
        return "instructions are counted on Linux only"
    for program in ("valgrind", compiler):
        if shutil.which(program) is None:
            return f"there is no {program}"
    probe = [compiler, "-E", "-x", "c", "-include", "valgrind/callgrind.h", os.devnull]
    if subprocess.run(probe, capture_output=True).returncode:
        return "there is no <valgrind/callgrind.h>"
    return None


def instructions(library: str) -> dict[str, float]:
    """Of one call of each piece of a library."""
    with TemporaryDirectory() as folder:
        valgrind = ["valgrind", "-q", "--tool=callgrind", "--instr-atstart=no"]
        dumps, counting = f"--callgrind-out-file={folder}/out", [sys.executable, "-P", __file__, "--count"]
        subprocess.run(
            [*valgrind, dumps, *counting, library, "--callgrind", build(HERE / "callgrind.c", shared=True)],
            env={**os.environ, "PYTHONHASHSEED": "0"},
            check=True,
        )
        paths = sorted(Path(folder).glob("out.*"), key=lambda path: int(path.suffix[1:]))
        (_, _), (_, nothing), *counts = map(read_dump, paths)
    return {label: (total - nothing) / CALLS for label, total in counts}


def read_dump(path: Path) -> tuple[str, int]:
    """What was counted, and how many instructions it took. "totals" would have what was before `zero` too."""
    text = path.read_text()
    label = re.search(r"^desc: Trigger: Client Request: (.+)$", text, re.MULTILINE)
    total = re.search(r"^summary: (\d+)$", text, re.MULTILINE)
    assert label, path
    assert total, path
    return label[1], int(total[1])


# ------------------------------------------------------------------------------ under callgrind


def count(library: str, callgrind: ctypes.CDLL) -> None:
    """Dump what each piece of the library takes, and what the loop takes that calls it."""
    gc.disable()  # it would run now and then
    callgrind.start()
    for label in (b"the first loop, which looks for functions", b"nothing"):
        callgrind.zero()
        for _ in repeat(None, CALLS):
            pass
        callgrind.dump(label)
    modules = [importlib.import_module(f"bench.pieces.{name}") for name in LIBRARIES[library]]
    for name, size in [*((name, size) for name in NAMES for size in SIZES), ("parse_head", len(HANDSHAKE))]:
        makers = [getattr(module, name.partition(",")[0], None) for module in modules]
        if maker := next(filter(None, makers), None):
            count_piece(maker, name, size, callgrind)


def count_piece(
    maker: Callable[[], Callable[..., Any]], name: str, size: int, callgrind: ctypes.CDLL
) -> None:
    """Dump what so many calls of a piece take, and check that it works."""
    given, expected = given_and_expected(name, size)
    with made(maker) as piece:
        call(piece, given, WARM_UP)
        if name == "publish":
            for written in piece(*given):
                written.clear()
        callgrind.zero()
        call(piece, given, CALLS)
        callgrind.dump(f"{name}, {size} bytes".encode())
        if name == "publish":
            expected = [each * (CALLS + 1) for each in expected]
        assert result(name, piece(*given), given) == expected, (name, size)


def call(piece: Callable[..., Any], given: tuple[bytes, ...], times: int) -> None:
    for _ in repeat(None, times):
        piece(*given)


# ------------------------------------------------------------------------------------ the table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--libraries", type=lambda names: names.split(","), default=list(LIBRARIES))
    parser.add_argument("--count", help=argparse.SUPPRESS)
    parser.add_argument("--callgrind", type=ctypes.CDLL, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.count:
        return count(options.count, options.callgrind)
    if reason := missing():
        sys.exit(f"Nothing is counted: {reason}.")
    counted = {}
    for library in options.libraries:
        if find_spec(library) is None:
            print(f"{library} is not installed", file=sys.stderr)
        else:
            counted[library] = instructions(library)
    print("| instructions a call |", " | ".join(counted), "|")
    print("| --- |", " | ".join("---:" for _ in counted), "|")
    for label in dict.fromkeys(label for figures in counted.values() for label in figures):
        row = (f"{figures[label]:,.0f}" if label in figures else "" for figures in counted.values())
        print(f"| {label} |", " | ".join(row), "|")


if __name__ == "__main__":
    main()
