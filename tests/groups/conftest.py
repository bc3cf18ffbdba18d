"""Brokers that tests start, and start again."""

from __future__ import annotations

import pytest


@pytest.fixture
def started(tmp_path):
    """Starts brokers of a class, with options for the command line, and kills them all in the end."""
    brokers = []

    def start(kind, *options, **more):
        folder = tmp_path / str(len(brokers))
        folder.mkdir()
        brokers.append(kind(folder, *options, **more))
        return brokers[-1]

    yield start
    for broker in brokers:
        broker.kill()
