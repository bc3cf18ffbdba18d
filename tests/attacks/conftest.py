"""Targets, one for all the small attacks of a module, and others with limits of their own."""

from __future__ import annotations

import sys
from contextlib import ExitStack

import pytest

from .target import Target

if sys.platform == "linux":
    import resource


@pytest.fixture(scope="module", params=["reactor", "portable"])
def driver(request):
    if sys.platform != "linux":
        pytest.skip("what an attack costs the server is read from Linux' /proc")
    return request.param


@pytest.fixture(scope="session")
def descriptors():
    """How many an attacker has; a target has as many."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    many = min(hard, 20_000)
    resource.setrlimit(resource.RLIMIT_NOFILE, (many, hard))
    yield many
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture(scope="module")
def shared_target(driver):
    with Target(driver) as target:
        yield target


@pytest.fixture
def target(shared_target):
    """A server with the default limits. However it is attacked, it serves on."""
    yield shared_target
    shared_target.check()


@pytest.fixture
def target_with(driver):
    """`target_with(max_headers=5)` starts a server with these limits. It serves on as well."""
    with ExitStack() as stack:

        def start(**settings):
            target = stack.enter_context(Target(driver, **settings))
            stack.callback(target.check)
            return target

        yield start
