"""Promise: a search may go on for as long as one likes."""

import time

import numpy as np
import pytest
import soak

from evo.proposers import State
from evo.ratios import default_proposers

EVALUATIONS, CHOICES = 3000, (6,) * 19


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    return soak.run(tmp_path_factory.mktemp("soak"), EVALUATIONS)


def test_memory_stays_flat(found):
    assert found.evaluations[-1] == EVALUATIONS
    assert max(found.memory) - found.memory[0] < 50  # MiB


def test_the_archive_grows_by_the_same_for_every_architecture(found):
    assert max(found.bytes_each) < 400
    assert sum(found.bytes_each[5:]) < 1.2 * sum(found.bytes_each[:5])


def test_a_later_generation_takes_no_longer_than_an_early_one(found):
    assert min(found.seconds_each[5:]) < 2 * min(found.seconds_each[1:5])


def state_after(told: int) -> State:
    """Of a search that was told so much, with a small front."""
    rng, newest = np.random.default_rng(0), np.arange(told - 70, told)
    values = rng.integers(CHOICES, size=(told, len(CHOICES))), rng.random((told, 2)), np.zeros(told)
    survivors = newest, np.zeros(70), np.ones(70), newest[:20]
    return State(CHOICES, *values, *survivors, lambda encodings: encodings, {1: lambda encodings: encodings.sum(1)})


@pytest.mark.parametrize("proposer", default_proposers(CHOICES), ids=lambda proposer: proposer.name)
def test_a_proposal_takes_as_long_after_half_a_million_evaluations_as_after_a_thousand(proposer):
    def seconds(state: State) -> float:
        start = time.process_time()
        proposer.propose(np.random.default_rng(0), state, 35)
        return time.process_time() - start

    few, many = state_after(1000), state_after(500_000)
    seconds(few), seconds(many)  # the first of each chooses a kernel
    assert min(seconds(many) for _ in range(5)) < 1.5 * min(seconds(few) for _ in range(5)) + 0.002
