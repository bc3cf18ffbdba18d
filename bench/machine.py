"""Tells on what machine, and with which versions of the servers, figures were measured."""

import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGES = (
    "hyperws", "uvloop", "picows", "websockets", "aiohttp", "uvicorn", "fastapi", "socketify", "granian",
    "robyn",
)
PROGRAMS = {
    "Bun": ["bun", "--version"],
    "Node": ["node", "--version"],
    "ws": ["node", "--print", "require('ws/package.json').version"],
    "nginx": ["nginx", "-v"],
    "cc": [os.environ.get("CC", "cc"), "-dumpfullversion"],
}


def description() -> dict[str, str]:
    """What is measured on and with, by name."""
    told = {
        "processor": processor(),
        "cores": str(len(os.sched_getaffinity(0))),
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB",
        "system": f"{platform.system()} {platform.release()}",
        "Python": f"{platform.python_implementation()} {platform.python_version()}",
    }
    for package in PACKAGES:
        try:
            told[package] = version(package)
        except PackageNotFoundError:
            continue
    for name, command in PROGRAMS.items():
        try:
            answer = subprocess.run(command, capture_output=True, text=True, check=True)
        except (FileNotFoundError, subprocess.CalledProcessError):
            continue
        told[name] = (answer.stdout or answer.stderr).split()[-1].rpartition("/")[2].removeprefix("v")
    return told


def processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.machine()
