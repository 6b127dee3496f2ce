"""The attacks are also called by hand, by benchmarks/reliability.py: they lie there."""

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))

import kills


@pytest.fixture(scope="session")
def server():
    """Runs small chains of commands in processes that are quick to start."""
    found = kills.Server()
    yield found
    found.close()


@pytest.fixture(scope="session")
def whole(server, tmp_path_factory):
    """A small run from the supernet to the report, with a relaxation and a trained pick; copy it before changing it."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    ended = server.run(folder)
    assert ended.code == 0, ended.said
    return folder
