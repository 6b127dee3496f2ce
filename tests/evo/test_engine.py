import math

import numpy as np
import pytest
from pymoo.indicators.hv import HV

from evo import survival
from evo.engine import NSGA2, minimise
from evo.peers import Peer, Pymoo
from evo.proposers import Natural
from evo.ratios import Ratios, default_proposers


def leading_ones_trailing_zeros(encodings):
    """Two objectives at odds; the front is known: 1...10...0."""
    ones = np.cumprod(encodings == 1, axis=1).sum(1)
    zeros = np.cumprod(encodings[:, ::-1] == 0, axis=1).sum(1)
    return -np.stack([ones, zeros], axis=1).astype(float)


def test_no_architecture_is_ever_asked_twice():
    encodings, values = minimise((3,) * 8, leading_ones_trailing_zeros, 300, seed=1, population=30)
    assert len(encodings) == len(np.unique(encodings, axis=0)) == 300
    assert (values == leading_ones_trailing_zeros(encodings)).all()


def test_a_space_that_is_exhausted_ends_the_search():
    choices = (2, 3, 1, 4)
    encodings, _ = minimise(choices, leading_ones_trailing_zeros, 1000, population=10)
    assert len(np.unique(encodings, axis=0)) == len(encodings) == 24


def test_finds_a_front_that_random_sampling_does_not():
    choices, n = (2,) * 16, 500
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


def planted(encodings):
    """Two objectives at odds and a third; neighbours matter."""
    weights = np.random.default_rng(0).random((10, 4, 3))
    values = weights[np.arange(10), encodings].sum(1)
    return values * [1.0, -1.0, 1.0] + 0.3 * (encodings[:, 1:] == encodings[:, :-1]).sum(1)[:, None] * [1, 0, 0]


def volume(values, n, ideal, worst):
    return HV(ref_point=np.ones(values.shape[1]))((values[:n] - ideal) / (worst - ideal))


@pytest.mark.parametrize("cheap", [None, (1, 2), {1: lambda e: planted(e)[:, 1], 2: lambda e: planted(e)[:, 2]}])
def test_it_needs_fewer_evaluations_than_pymoo(cheap):
    choices, n = (4,) * 10, 150
    _, ours = minimise(choices, planted, n, seed=3, cheap=cheap)
    theirs, engine = [], Peer(Pymoo(choices, 3, 20))
    while sum(map(len, theirs)) < 2 * n:
        batch, _ = engine.ask(np.random.default_rng((3, len(theirs))))
        engine.tell(batch, planted(batch))
        theirs.append(planted(batch))
    theirs = np.concatenate(theirs)
    everything = np.concatenate([ours, theirs])
    scale = everything.min(0), everything.max(0)
    assert volume(ours, n, *scale) > volume(theirs, 2 * n, *scale)


def test_cheap_columns_by_number_and_by_function_are_the_same_search():
    first, _ = minimise((4,) * 10, planted, 80, cheap=[1, 2])
    second, _ = minimise((4,) * 10, planted, 80, cheap={m: lambda e, m=m: planted(e)[:, m] for m in (1, 2)})
    assert (first == second).all()


@pytest.mark.parametrize("cheap", [[-1], {3: lambda e: planted(e)[:, 2]}], ids=["before", "behind"])
def test_cheap_columns_that_there_are_not_are_refused(cheap):
    with pytest.raises(ValueError, match=r"cheap names column .*: the objectives have 3, counted from 0"):
        minimise((4,) * 10, planted, 80, cheap=cheap)


def test_two_proposers_of_one_name_are_refused():
    with pytest.raises(ValueError, match="different names, got natural, natural"):
        minimise((4,) * 10, planted, 80, proposers={Natural(0.5): 1.0, Natural(0.9): 1.0})


def test_with_cheap_functions_nothing_is_scored_twice():
    scored = []

    def counted(encodings):
        scored.extend(map(tuple, encodings))
        return planted(encodings)

    minimise((4,) * 10, counted, 120, cheap={1: lambda e: planted(e)[:, 1]})
    assert len(set(scored)) == len(scored) == 120


@pytest.mark.parametrize(
    "cheap", [None, [1], {1: lambda e: [e.sort(axis=1), planted(e)[:, 1]][1]}], ids=["none", "by number", "of its own"]
)
def test_a_black_box_may_change_what_it_is_given(cheap):
    def sorting(encodings):
        encodings.sort(axis=1)
        return planted(encodings)

    encodings, values = minimise((4,) * 10, sorting, 100, cheap=cheap)
    assert len(np.unique(encodings, axis=0)) == 100
    assert (values == planted(np.sort(encodings, axis=1))).all()


@pytest.mark.parametrize(
    "choices",
    [(7,), (1,) * 5, (5000,), (2,) * 60, (1000, 1, 3) * 5, (3, 200_000)],
    ids=lambda choices: f"{len(choices)}x{max(choices)}",
)
@pytest.mark.parametrize("m", [1, 2, 4])
def test_any_box_of_integers(choices, m):
    targets = np.random.default_rng(0).random((m, len(choices))) * (np.array(choices) - 1)

    def distances(encodings):
        return (np.abs(encodings[:, None] - targets) / np.array(choices)).sum(2)

    n = min(60, math.prod(choices))
    encodings, values = minimise(choices, distances, 60)
    assert len(np.unique(encodings, axis=0)) == len(encodings) == n
    assert (encodings >= 0).all()
    assert (encodings < choices).all()
    if m == 1 and n == 60:
        blind = np.random.default_rng(1).integers(choices, size=(n, len(choices)))
        assert values.min() < distances(blind).min()


def test_the_front_is_that_of_everything_told_that_meets_the_limits(rng):
    engine = NSGA2((4,) * 6, 10)
    encodings = rng.permutation(np.stack(np.unravel_index(np.arange(4**6), (4,) * 6), axis=1))[:200]
    values, missed = rng.integers(0, 6, (200, 2)).astype(float), rng.integers(0, 2, 200).astype(float)
    for part in np.split(np.arange(200), 10):
        engine.tell(encodings[part], values[part], missed[part], ["natural"] * 20)
    met = np.flatnonzero(missed == 0)
    assert set(engine.front) == set(met[survival.ranks(values[met]) == 0])


def test_every_proposer_has_its_say_and_is_named():
    engine, names = NSGA2((4,) * 10, 70, cheap={1: lambda e: planted(e)[:, 1]}), []
    for generation in range(16):
        asked = engine.ask(np.random.default_rng(generation))
        assert len(asked.proposers) == len(asked.encodings)
        engine.tell(asked.encodings, planted(asked.encodings), None, asked.proposers)
        names += asked.proposers
    assert set(names) == {"random", "predictor", "natural", "controller", "roulette", "regulator"}


def test_what_is_told_alone_decides_what_is_asked_next():
    """So that a resumed search goes on as the whole one: proposers learn from what is told, not from asking."""
    whole, resumed = NSGA2((4,) * 10), NSGA2((4,) * 10)
    told = []
    for generation in range(12):
        asked = whole.ask(np.random.default_rng(generation))
        whole.tell(asked.encodings, planted(asked.encodings), None, asked.proposers)
        told.append(asked)
    for asked in told[:6]:
        resumed.tell(asked.encodings, planted(asked.encodings), None, asked.proposers)
    for generation in range(6, 12):
        asked = resumed.ask(np.random.default_rng(generation))
        assert (asked.encodings == told[generation].encodings).all()
        assert asked.proposers == told[generation].proposers
        resumed.tell(asked.encodings, planted(asked.encodings), None, asked.proposers)


@pytest.mark.parametrize(("name", "value"), [("predictor", -0.1), ("mutation", 2.0), ("floor", 0.5)])
def test_impossible_ratios_are_refused(name, value):
    with pytest.raises(ValueError, match=f"--{name} must be"):
        Ratios(**{name: value})


def test_ratios_are_the_published_ones_and_add_up():
    shares = {proposer.name: share for proposer, share in default_proposers((6,) * 19, Ratios(predictor=0.0)).items()}
    assert shares == pytest.approx({"natural": 0.2, "controller": 0.455, "roulette": 0.195, "regulator": 0.15})
    assert sum(default_proposers((6,) * 19).values()) == pytest.approx(1)


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
