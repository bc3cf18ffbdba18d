"""The direction of imports: csrc → hyperws._core → hyperws → demo, cli, bench, one way only."""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

import pytest

import hyperws

ROOT = Path(__file__).parents[1]
CSRC = ROOT / "csrc"
PACKAGE = ROOT / "hyperws"
CORE = PACKAGE / "_core"

# modules of the package that its lower half may use: they import nothing of it
LEAVES = {"hyperws.errors"}
# what may be on top of the package, and beneath nothing but itself
ABOVE = ("hyperws.demo", "hyperws.cli", "hyperws.__main__", "bench", "tests")

IMPORT = re.compile(
    r"""^[ ]* (?: from [ ]+ ([\w.]+) [ ]+ c?import \b | c?import [ ]+ ([\w., ]+?) [ ]* (?:\#.*)? $
        | include [ ]+ ["'](.+)["'] )""",
    re.MULTILINE | re.VERBOSE,
)


def sources(folder, *patterns):
    """{path from the root: text}"""
    return {
        path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
        for pattern in patterns for path in sorted(folder.glob(pattern))
    }


def needs(folder):
    return pytest.mark.skipif(not folder.is_dir(), reason=f"the sources of {folder.name} are not here")


def cython_imports(text):
    """The modules that Cython source imports or cimports."""
    for origin, names, included in IMPORT.findall(text):
        assert not included, "include of .pxi"
        yield from [origin] if origin else [name.split(" as ")[0].strip() for name in names.split(",")]


def python_imports(path, text):
    """(module, name) of each import in Python source; name is None for a plain import."""
    package = path.split("/")[:-1]
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from ((alias.name, None) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[:len(package) + 1 - node.level] if node.level else []
            module = ".".join([*base, node.module] if node.module else base)
            yield from ((module, alias.name) for alias in node.names)


def is_within(module, *packages):
    return any(module == package or module.startswith(package + ".") for package in packages)


def levels():
    """{module of the core: its line in the list that its docstring gives}"""
    docstring = ast.get_docstring(ast.parse((CORE / "__init__.py").read_text(encoding="utf-8")))
    lines = [re.match(r"    ((?:\w+, )*\w+)(?:  |$)", line) for line in docstring.splitlines()]
    lists = [match[1].split(", ") for match in lines if match]
    return {name: level for level, names in enumerate(lists) for name in names}


@needs(CSRC)
def test_c_includes_nothing_of_python():
    own = {path.name for path in CSRC.glob("*.h")}
    for path, text in sources(CSRC, "*.[ch]").items():
        for name in re.findall(r'#\s*include\s*"(.+?)"', text):
            assert name in own, path
        for name in re.findall(r"#\s*include\s*<(.+?)>", text):
            assert not re.match("python|cpython|structmember|pyconfig", name, re.IGNORECASE), path
        assert not re.search(r"\bPy[A-Z]\w*|\bPy_\w+", text), path


@needs(CORE)
def test_the_list_of_the_core_is_complete():
    modules = {path.stem for path in CORE.glob("*.pyx")}
    if not modules:
        pytest.skip("the Cython sources are not here")
    assert set(levels()) == modules


@needs(CORE)
def test_the_core_imports_only_what_stands_above():
    order = levels()
    for path, text in sources(CORE, "*.pyx", "*.pxd").items():
        own = order.get(Path(path).stem, len(order))    # one that the list lacks is another test's matter
        for module in cython_imports(text):
            if is_within(module, "hyperws._core"):
                other = order.get(module.removeprefix("hyperws._core."), 0)
                assert other <= own, f"{path} imports {module}, which stands below it"
            elif is_within(module, "hyperws"):
                assert module in LEAVES, f"{path} imports {module}"
            else:
                known = {"cython", "cpython", "libc", *sys.stdlib_module_names}
                assert module.partition(".")[0] in known, f"{path} imports {module}"


@needs(PACKAGE)
def test_leaves_import_nothing_of_the_package():
    for leaf in LEAVES:
        path = leaf.replace(".", "/") + ".py"
        for module, _ in python_imports(path, (ROOT / path).read_text(encoding="utf-8")):
            assert not is_within(module, "hyperws"), path


@needs(PACKAGE)
def test_the_package_imports_nothing_of_what_is_built_on_it():
    for path, text in sources(PACKAGE, "*.py", "_core/*.py").items():
        for module, name in python_imports(path, text):
            if Path(path).name == "cli.py":
                assert not is_within(module, "bench", "tests"), path
            elif Path(path).name != "__main__.py":
                assert not is_within(module, *ABOVE), path
                assert not is_within(f"{module}.{name}", *ABOVE), path


@needs(PACKAGE)
def test_the_package_needs_no_other_but_uvloop():
    for path, text in sources(PACKAGE, "**/*.py").items():
        known = {"hyperws", "uvloop", *sys.stdlib_module_names}
        if path.startswith("hyperws/demo/"):
            known |= {"msgspec", "pycrdt"}      # `hyperws demo` says how to get them
        optional = {module for part in attempts(text) for module, _ in python_imports(path, part)}
        for module, _ in python_imports(path, text):
            assert module.partition(".")[0] in known or module in optional, f"{path} imports {module}"


def attempts(text):
    """The source of each `try` that does without what can't be imported."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Try) and "except ImportError:" in ast.unparse(node):
            yield "\n".join(ast.unparse(statement) for statement in node.body)


@needs(PACKAGE / "demo")
def test_the_demo_imports_public_names_only():
    for path, text in sources(PACKAGE / "demo", "**/*.py").items():
        for module, name in python_imports(path, text):
            if is_within(module, "hyperws.demo"):
                continue
            if module == "hyperws":
                assert name in [*hyperws.__all__, "browser"], f"{path} imports {name}"
            assert not is_within(module, "hyperws") or module == "hyperws", f"{path} imports {module}"


@needs(PACKAGE)
def test_nothing_imports_the_benchmark():
    for path, text in sources(PACKAGE, "**/*.py", "**/*.pyx", "**/*.pxd").items():
        if path.endswith(".py"):
            modules = [module for module, _ in python_imports(path, text)]
        else:
            modules = cython_imports(text)
        assert not any(is_within(module, "bench") for module in modules), path


def test_these_tests_see_imports():
    text = "from a.b cimport (\n    c, d\n)\nimport e, f.g as h\ncimport i  # why\n    from j import k\n"
    assert list(cython_imports(text)) == ["a.b", "e", "f.g", "i", "j"]
    text = "from . import y\nfrom ..errors import z\nimport a.b\nfrom c import d"
    found = python_imports("hyperws/demo/x.py", text)
    assert list(found) == [("hyperws.demo", "y"), ("hyperws.errors", "z"), ("a.b", None), ("c", "d")]
