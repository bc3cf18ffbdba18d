"""Parts of csrc, compiled by themselves and loaded into Python."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
from pathlib import Path

import pytest

CSRC = Path(__file__).parents[2] / "csrc"
COMPILER = os.environ.get("CC") or shutil.which("cc")


def build(folder, part, more=""):
    """`csrc/<part>.c` as a ctypes library, with `more` C on its header. Skips where that can't be."""
    if not CSRC.is_dir():
        pytest.skip("the C sources are not here")
    if not COMPILER:
        pytest.skip("there is no C compiler")
    source = folder / f"{part}_test.c"
    source.write_text(f'#include "{part}.h"\n{more}')
    library = folder / f"{part}.so"
    warnings = ["-Wall", "-Wextra", "-Werror"]
    command = [*COMPILER.split(), "-std=c11", "-O1", *warnings, "-shared", "-fPIC", f"-I{CSRC}"]
    subprocess.run([*command, CSRC / f"{part}.c", source, "-o", library], check=True)
    return ctypes.CDLL(str(library))
