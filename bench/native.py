"""Compiles the C programs and libraries of this folder on demand, into a cache outside the repository."""

import hashlib
import os
import subprocess
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
FLAGS = ["-std=c11", "-O2", "-Wall", "-Wextra", f"-I{HERE}"]


def build(source: Path, shared: bool = False) -> Path:
    """The program, or the shared library, made from `source`; compiled unless the same sources and flags were
    compiled before."""
    flags = [*FLAGS, "-shared", "-fPIC"] if shared else FLAGS
    digest = hashlib.sha256(" ".join(flags).encode())
    for part in (source, *sorted(HERE.glob("*.h"))):
        digest.update(part.read_bytes())
    cache = Path(tempfile.gettempdir()) / f"hyperws-bench-{os.getuid()}"
    cache.mkdir(mode=0o700, exist_ok=True)
    program = cache / f"{source.stem}-{digest.hexdigest()[:16]}"
    if not program.exists():
        unfinished = program.with_suffix(f".{os.getpid()}")
        subprocess.run([os.environ.get("CC", "cc"), *flags, source, "-o", unfinished], check=True)
        unfinished.rename(program)
    return program
