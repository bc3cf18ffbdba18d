"""Builds the compiled core. Everything else about the package is in pyproject.toml.

The environment variable HYPERWS_BUILD chooses how: release (the default), debug, sanitize (ASan and UBSan),
fuzz (the same by clang, for tests/fuzz), profile (symbols and frame pointers), or coverage.
"""

import os
import sys
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.errors import CompileError, LinkError, PlatformError

POSIX = sys.platform != "win32"

# the compiled modules, each with the C sources of which it is the only user
MODULES = {
    "admission": [],
    "body": ["chunked"],
    "bounds": [],
    "buffer": [],
    "connection": [],
    "context": [],
    "deflate": [],
    "event_writer": [],
    "http": ["head"],
    "http_session": [],
    "inbox": [],
    "message_writer": [],
    "poll": [],
    "listener": [],
    "portable": [],
    "request_reader": [],
    "timers": ["wheel"],
    "topics": [],
    "waiter": [],
    "websocket": ["frame", "mask", "utf8"],
    "websocket_session": [],
}
if POSIX:
    MODULES["reactor"] = ["poller"]

SANITIZE = ["-fsanitize=address,undefined", "-fno-sanitize-recover=undefined"]
FLAGS = {
    "release": (["-O3"], []),
    "debug": (["-O0", "-g"], []),
    "sanitize": (["-O1", "-g", "-fno-omit-frame-pointer", *SANITIZE], SANITIZE),
    "fuzz": (["-O1", "-g", "-fno-omit-frame-pointer", "-fsanitize=fuzzer-no-link", *SANITIZE], SANITIZE),
    "profile": (["-O3", "-g", "-fno-omit-frame-pointer"], []),
    "coverage": (["-O0", "-g", "--coverage"], ["--coverage"]),
}


class BuildExtensions(build_ext):
    """Compiles on every CPU, and tells a missing compiler or header in one sentence."""

    def finalize_options(self):
        super().finalize_options()
        self.parallel = self.parallel or os.cpu_count()

    def build_extension(self, ext):
        try:
            super().build_extension(ext)
        except (CompileError, LinkError, PlatformError, OSError):
            raise SystemExit(
                f"hyperws: {ext.name} could not be compiled. Building needs a C11 compiler and the headers "
                f"of Python {sys.version_info.major}.{sys.version_info.minor} (Debian: apt install gcc "
                f"python3-dev; Fedora: dnf install gcc python3-devel; macOS: xcode-select --install; "
                f"Windows: the Microsoft C++ Build Tools). What the compiler said stands above."
            ) from None


def extensions():
    build = os.environ.get("HYPERWS_BUILD") or "release"
    if build not in FLAGS:
        raise SystemExit(f"hyperws: HYPERWS_BUILD is one of {', '.join(FLAGS)}, not {build!r}")
    compile_flags, link_flags = FLAGS[build]
    if POSIX:
        compile_flags = ["-std=c11", "-D_GNU_SOURCE", *compile_flags]
    else:
        compile_flags, link_flags = ["/std:c11", "/O2"], []
    headers = [str(path) for path in sorted(Path("csrc").glob("*.h"))]
    return [
        Extension(
            f"hyperws._core.{name}",
            [f"hyperws/_core/{name}.pyx", *(f"csrc/{source}.c" for source in sources)],
            include_dirs=["csrc"],
            depends=headers,
            extra_compile_args=compile_flags,
            extra_link_args=link_flags,
        )
        for name, sources in MODULES.items()
    ]


setup(
    ext_modules=cythonize(
        extensions(),
        build_dir="build/cython",
        compiler_directives={
            "language_level": 3,
            "binding": False,
            "embedsignature": True,
            "embedsignature.format": "clinic",  # the form that inspect.signature reads
            "auto_pickle": False,
        },
        nthreads=0 if sys.platform == "win32" else os.cpu_count() or 1,
    ),
    cmdclass={"build_ext": BuildExtensions},
)
