"""The fuzz targets that are written in Python, on their seeds and on all that they once found."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

FUZZ = Path(__file__).parent / "fuzz"
INPUTS = [
    pytest.param(path, id=f"{path.parent.name}-{path.name}")
    for folder in ("corpus", "regressions")
    for path in sorted((FUZZ / folder).glob("*/*"))
    if (FUZZ / f"{path.parent.name}.py").exists()
]


@pytest.mark.parametrize("path", INPUTS)
def test_an_input_finds_nothing(path):
    target = importlib.import_module(f".fuzz.{path.parent.name}", __package__)
    target.one_input(path.read_bytes())
