"""Promise: a search may go on for as long as one likes."""

import pytest
import soak

EVALUATIONS = 3000


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    return soak.run(tmp_path_factory.mktemp("soak"), EVALUATIONS)


def test_memory_stays_flat(found):
    assert found.evaluations[-1] == EVALUATIONS
    assert found.memory[-1] - found.memory[0] < 50  # MiB


def test_the_archive_grows_by_the_same_for_every_architecture(found):
    assert max(found.bytes_each) < 400
    assert sum(found.bytes_each[5:]) < 1.2 * sum(found.bytes_each[:5])


def test_a_later_generation_takes_no_longer_than_an_early_one(found):
    assert min(found.seconds_each[5:]) < 2 * min(found.seconds_each[1:5])
