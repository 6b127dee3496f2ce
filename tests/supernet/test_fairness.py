import numpy as np
import pytest

import search_spaces
from supernet.fairness import SAMPLERS, dealt, expectation, rounds, sampler, strict, turns, uniform

EQUAL, UNEQUAL = (6,) * 19, (7, 6, 2, 3, 1, 7)


def counts(sampler, choices, steps, seed=0) -> list[np.ndarray]:
    """Updates of every option, layer by layer."""
    paths = np.concatenate([sampler(choices, seed, step) for step in range(steps)])
    return [np.bincount(column, minlength=options) for column, options in zip(paths.T, choices, strict=True)]


def test_every_strict_step_uses_every_block_exactly_once():
    for step in range(100):
        paths = strict(EQUAL, 0, step)
        assert paths.shape == (6, 19)
        assert (np.sort(paths, axis=0) == np.arange(6)[:, None]).all()


@pytest.mark.parametrize("steps", [1, 7, 40])
def test_after_any_number_of_strict_steps_update_counts_are_equal(steps):
    for layer in counts(strict, EQUAL, steps):
        assert layer.min() == layer.max() == steps


@pytest.mark.parametrize("steps", [1, 2, 5, 12, 41])
def test_unequal_layers_never_differ_by_more_than_one_and_meet_at_whole_decks(steps):
    for options, layer in zip(UNEQUAL, counts(strict, UNEQUAL, steps), strict=True):
        assert layer.sum() == 7 * steps
        assert layer.max() - layer.min() <= (1 if 7 * steps % options else 0)


def test_uniform_counts_are_not_equal():
    layers = counts(uniform, EQUAL, 6 * 40)
    assert all(layer.sum() == 240 for layer in layers)
    assert any(layer.min() < layer.max() for layer in layers)


def test_uniform_counts_have_the_variance_of_the_paper():
    # FairNAS, section 3.2: after n updates the variance of a block's count is n (m - 1) / m^2.
    n, m = 60, 6
    first = counts(uniform, (m,) * 3000, n)
    assert np.var([layer[0] for layer in first]) == pytest.approx(n * (m - 1) / m**2, rel=0.1)


def test_layers_and_steps_are_shuffled_independently():
    pairs = {tuple(path) for step in range(300) for path in strict((3, 3), 0, step)}
    assert len(pairs) == 9
    orders = {tuple(strict((3,), 0, step)[:, 0]) for step in range(300)}
    assert len(orders) == 6


def test_expectation_fair_steps_have_as_many_paths_but_equal_counts_in_expectation_alone():
    steps = 400
    layers = counts(expectation, EQUAL, steps)
    assert all(layer.sum() == 6 * steps for layer in layers)
    assert any(layer.min() < layer.max() for layer in layers)
    assert np.mean(layers, axis=0) == pytest.approx(np.full(6, steps), rel=0.03)


def test_every_architecture_takes_its_turn_once_in_a_round_and_rounds_are_shuffled():
    choices = (4, 4, 2)
    rounds = [np.concatenate([turns(choices, 0, 32 * number + step) for step in range(32)]) for number in range(3)]
    for each in rounds:
        assert len(np.unique(each, axis=0)) == 32
    assert (rounds[0] != rounds[1]).any()


def test_turns_are_refused_where_a_round_would_not_end():
    with pytest.raises(ValueError, match="turns is for spaces of at most 100,000 encodings; this one has 609,"):
        turns(EQUAL, 0, 0)


@pytest.mark.parametrize("name", ["proxyless", "darts", "nas_bench_201"])
def test_dealt_paths_are_those_of_strictly_fair_steps_one_by_one(name):
    space = search_spaces.load(name)
    one, many = sampler("dealt", space), sampler("strict", space)
    m = len(many(0, 0))
    for step in range(3):
        assert (np.concatenate([one(0, step * m + i) for i in range(m)]) == many(0, step)).all()


@pytest.mark.parametrize("sample", [strict, expectation, dealt, uniform, turns])
def test_paths_depend_on_seed_and_step_alone(sample):
    choices = EQUAL[:6]
    assert (sample(choices, 3, 5) == sample(choices, 3, 5)).all()
    assert (sample(choices, 3, 5) != sample(choices, 4, 5)).any()
    assert (sample(choices, 3, 5) != sample(choices, 3, 6)).any()


@pytest.mark.parametrize("choices", [EQUAL, UNEQUAL])
def test_samplers_are_matched_by_passes(choices):
    choices = choices[:6]
    passes = {len(sample(choices, 0, 0)) * rounds(name, choices) for name, sample in SAMPLERS.items()}
    assert passes == {max(choices)}
