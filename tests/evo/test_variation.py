import numpy as np
import pytest

from evo import variation

CHOICES = (2, 3, 6, 1, 4)


@pytest.fixture
def parents(rng):
    return rng.integers(CHOICES, size=(2, 400, len(CHOICES)))


def test_crossover_takes_every_block_from_one_of_the_parents(parents, rng):
    mothers, fathers = parents
    children = variation.crossover(rng, mothers, fathers)
    assert ((children == mothers) | (children == fathers)).all()
    from_mother = (children == mothers)[mothers != fathers].mean()
    assert from_mother == pytest.approx(0.5, abs=0.05)


def test_mutation_stays_in_the_space_and_reaches_every_option(parents, rng):
    children = variation.mutate(rng, CHOICES, parents[0], 0.7)
    assert (children >= 0).all()
    assert (children < CHOICES).all()
    for layer, options in enumerate(CHOICES):
        assert set(children[:, layer]) == set(range(options))


@pytest.mark.parametrize("rate", [0.0, 0.25, 1.0])
def test_mutation_changes_the_share_it_is_asked_to(parents, rng, rate):
    several = np.array(CHOICES) > 1
    changed = variation.mutate(rng, CHOICES, parents[0], rate) != parents[0]
    assert changed[:, several].mean() == pytest.approx(rate, abs=0.03)
    assert not changed[:, ~several].any()


def test_mutation_prefers_no_option(rng):
    children = variation.mutate(rng, (5,), np.full((10_000, 1), 2), 1.0)
    counts = np.bincount(children[:, 0], minlength=5)
    assert counts[2] == 0
    assert counts[[0, 1, 3, 4]] == pytest.approx(np.full(4, 2500), rel=0.1)


def test_tournament_prefers_rank_then_space(rng):
    rank, crowding = np.array([1, 0, 0, 2]), np.array([9.0, 1.0, 5.0, 9.0])
    wins = np.bincount(variation.tournament(rng, rank, crowding, 20_000), minlength=4) / 20_000
    assert wins == pytest.approx([3 / 16, 5 / 16, 7 / 16, 1 / 16], abs=0.02)


def test_a_step_changes_one_decision_that_has_options(parents, rng):
    changed = variation.step(rng, CHOICES, parents[0]) != parents[0]
    assert (changed.sum(1) == 1).all()
    assert not changed[:, 3].any()
    alone = np.zeros((5, 2), dtype=np.int64)
    assert (variation.step(rng, (1, 1), alone) == alone).all()


def test_where_there_are_many_options_steps_are_near_and_far(rng):
    start = np.full((4000, 1), 500)
    far = np.abs(variation.step(rng, (1000,), start) - start)
    assert far.min() > 0
    assert far.max() <= 500
    assert (far <= 10).mean() > 0.15
    assert (far > 100).mean() > 0.4
