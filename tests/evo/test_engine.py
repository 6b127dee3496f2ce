import numpy as np
import pytest

from evo.engine import NSGA2, minimise


def leading_ones_trailing_zeros(encodings):
    """Two objectives at odds; the front is known: 1...10...0."""
    ones = np.cumprod(encodings == 1, axis=1).sum(1)
    zeros = np.cumprod(encodings[:, ::-1] == 0, axis=1).sum(1)
    return -np.stack([ones, zeros], axis=1).astype(float)


def test_no_architecture_is_ever_asked_twice():
    encodings, values = minimise((3,) * 8, leading_ones_trailing_zeros, 700, seed=1, population=30)
    assert len(encodings) == len(np.unique(encodings, axis=0)) == 700
    assert (values == leading_ones_trailing_zeros(encodings)).all()


def test_a_space_that_is_exhausted_ends_the_search():
    choices = (2, 3, 1, 4)
    encodings, _ = minimise(choices, leading_ones_trailing_zeros, 1000, population=10)
    assert len(np.unique(encodings, axis=0)) == len(encodings) == 24


def test_finds_a_front_that_random_sampling_does_not():
    choices, n = (2,) * 16, 2000
    encodings, values = minimise(choices, leading_ones_trailing_zeros, n, seed=0, population=50)
    assert (encodings < 2).all()
    front = {(-i, i - 16.0) for i in range(17)}
    assert len(front & {tuple(row) for row in values}) >= 12
    random = np.random.default_rng(0).integers(choices, size=(n, 16))
    assert len(front & {tuple(row) for row in leading_ones_trailing_zeros(random)}) <= 2


def test_same_seed_same_search_and_different_seeds_differ():
    runs = [minimise((4,) * 6, leading_ones_trailing_zeros, 150, seed)[0] for seed in (1, 1, 2)]
    assert (runs[0] == runs[1]).all()
    assert (runs[0] != runs[2]).any()


@pytest.mark.parametrize("m", [1, 2, 5])
def test_any_number_of_objectives(m):
    weights = np.random.default_rng(0).random((8, m))
    _, values = minimise((3,) * 8, lambda encodings: encodings @ weights, 300, population=20)
    assert values.shape == (300, m)
    assert values.sum(1).min() == 0  # all zeros is best for each


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_values_that_are_not_finite_name_their_architecture(bad):
    def poisoned(encodings):
        values = leading_ones_trailing_zeros(encodings)
        values[3, 1] = bad
        return values

    with pytest.raises(ValueError, match=r"architecture \[.*\] has objectives"):
        minimise((3,) * 5, poisoned, 50)


@pytest.mark.parametrize("shape", [(3, 2), (10,)])
def test_values_of_the_wrong_shape_are_refused(shape):
    with pytest.raises(ValueError, match="must be"):
        minimise((3,) * 5, lambda encodings: np.zeros(shape), 10, population=10)


@pytest.mark.parametrize(
    "arguments", [{"choices": ()}, {"choices": (3, 0)}, {"population": 1}, {"evaluations": 0}], ids=str
)
def test_impossible_searches_are_refused(arguments):
    with pytest.raises(ValueError, match="at least"):
        minimise(**{"choices": (3, 3), "objectives": leading_ones_trailing_zeros, "evaluations": 5, **arguments})


def test_equal_networks_count_once():
    def canonical(encodings):
        return np.sort(encodings, axis=1)

    engine = NSGA2((3, 3, 3), 10, canonical)
    asked = []
    for generation in range(5):
        batch, _ = engine.ask(np.random.default_rng(generation))
        asked += [tuple(row) for row in batch]
        if len(batch):
            engine.tell(batch, leading_ones_trailing_zeros(batch))
    assert len(asked) == len(set(asked)) == 10  # multisets of 3 out of 3
    assert all(row == tuple(sorted(row)) for row in asked)


def test_free_limits_are_kept_by_every_candidate():
    # One encoding in 10 ** 6 meets the limit by chance.
    engine = NSGA2((10,) * 10, 20, free_violation=lambda encodings: np.maximum(0.0, encodings.sum(1) - 6.0))
    seen = set()
    for generation in range(8):
        batch, _ = engine.ask(np.random.default_rng(generation), 20)
        assert len(batch) == 20
        assert (batch.sum(1) <= 6).all()
        seen |= {tuple(row) for row in batch}
        engine.tell(batch, batch[:, :2].astype(float))
    assert len(seen) == 160


def test_limits_that_nobody_meets_end_the_search_at_once():
    engine = NSGA2((3,) * 30, 20, free_violation=lambda encodings: np.ones(len(encodings)))
    assert len(engine.ask(np.random.default_rng(0)).encodings) == 0
