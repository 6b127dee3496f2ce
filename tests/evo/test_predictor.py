import numpy as np
import pytest
from scipy.stats import norm
from threadpoolctl import threadpool_limits

from evo import survival
from evo.engine import NSGA2, generation_rng, minimise
from evo.gaussian_process import Kernel
from evo.hypervolume import Ruler, directions
from evo.predictor import FITTED, Outlook, Predictor, fitted, greedy

CHOICES = (4,) * 6
WEIGHTS = np.random.default_rng(1).random((6, 4, 2))


def values(encodings):
    """Two objectives at odds, the second cheap."""
    first, second = WEIGHTS[np.arange(6), encodings].sum(1).T
    return np.stack([first + 0.3 * (encodings[:, 0] == encodings[:, 1]), second - first], axis=1)


def told_engine(n=60, cheap=True, violation=None) -> NSGA2:
    costs = {1: lambda encodings: values(encodings)[:, 1]} if cheap else {}
    engine = NSGA2(CHOICES, 30, cheap=costs, proposers={Predictor(): 1.0})
    encodings = np.unique(np.random.default_rng(0).integers(CHOICES, size=(n, 6)), axis=0)
    engine.tell(encodings, values(encodings), None if violation is None else violation(encodings))
    return engine


def outlook(engine) -> Outlook:
    return Outlook(engine._state({}), Kernel(1.6, 1.0, 0.01))


def test_lead_is_the_quantile_of_the_probability_that_nobody_dominates(rng):
    view = outlook(told_engine())
    candidates = rng.integers(CHOICES, size=(20, 6))
    mean, deviation = view.mean(candidates), view.deviation(candidates)
    draws = mean[:, None] + deviation[:, None] * rng.standard_normal((20, 4000, 2))
    front = view.scores[view.front]
    free = [1 - survival.versus(each, front)[1].any(1).mean() for each in draws]
    assert norm.cdf(view.lead(mean, deviation)) == pytest.approx(free, abs=0.04)


def test_cheap_objectives_are_exact_and_samples_surround_the_prediction(rng):
    view = outlook(told_engine())
    candidates = rng.integers(CHOICES, size=(20, 6))
    mean, deviation = view.mean(candidates), view.deviation(candidates)
    assert (mean[:, 1] == values(candidates)[:, 1]).all()
    assert (deviation[:, 1] == 0).all()
    samples = view.samples(rng, mean, deviation)
    assert (samples[:, :, 1] == mean[:, None, 1]).all()
    assert (np.ptp(samples[:, :, 0], axis=1) > 0).all()


def test_greedy_takes_the_largest_gain_first_and_never_the_same_twice(rng):
    front, points = np.array([[0.5, 0.5]]), np.array([[0.4, 0.4], [0.41, 0.41], [0.1, 0.9], [0.6, 0.6]])
    ruler = Ruler(front, np.zeros(2), np.ones(2), directions(rng, 2000, 2))
    order = greedy(ruler, np.repeat(points[:, None], 3, axis=1), 4)
    assert order.tolist()[:2] == [0, 2]  # the second best is nothing beside the best
    assert sorted(order) == [0, 1, 2, 3]


@pytest.mark.parametrize("cheap", [True, False])
def test_its_proposals_are_new_and_beat_random_ones(cheap):
    engine = told_engine(cheap=cheap)
    asked, names = engine.ask(generation_rng(0, 1), 20)
    assert set(names) == {"predictor"}
    everything = np.stack(np.unravel_index(np.arange(4**6), CHOICES), axis=1)
    true = values(everything)
    asked_shares, all_shares = (survival.versus(each, true)[1].mean(1) for each in (values(asked), true))
    assert np.median(asked_shares) < 0.2 * np.median(all_shares)


def test_whoever_only_explores_proposes_others_than_whoever_never_does():
    def asked(explore):
        return minimise(CHOICES, values, 60, proposers={Predictor(explore): 1.0})[0]

    assert (asked(1.0) != asked(0.0)).any()


def test_where_limits_are_missed_it_goes_where_they_are_met():
    def missed(encodings):  # known only after an evaluation
        return np.maximum(0.0, encodings.sum(1) - 5.0)

    for start in (missed, lambda encodings: missed(encodings) + 1):  # some meet it; nobody does
        engine = told_engine(violation=start)
        asked, _ = engine.ask(generation_rng(0, 1), 20)
        assert (missed(asked) == 0).mean() > 0.5  # of random ones, 13 %


def test_the_kernel_depends_on_what_was_told_and_not_on_when_it_was_asked_for():
    early, late = told_engine(), told_engine()
    early.ask(generation_rng(0, 1), 5)
    more = np.unique(np.random.default_rng(9).integers(CHOICES, size=(80, 6)), axis=0)
    for engine in (early, late):
        engine.tell(more, values(more))
    a, b = (engine.ask(generation_rng(0, 2), 20)[0] for engine in (early, late))
    assert (a == b).all()


def test_proposals_do_not_depend_on_how_many_threads_there_are():
    found = []
    for threads in (1, 2):
        with threadpool_limits(threads):
            found.append(told_engine(300).ask(generation_rng(0, 1), 40).encodings.tolist())
    assert found[0] == found[1]


@pytest.mark.parametrize("told", [1, 50, FITTED, 5 * FITTED])
@pytest.mark.parametrize("share", [0.0, 0.1, 1.0])
def test_the_model_is_fitted_to_the_front_and_the_newest_others(rng, told, share):
    front = rng.permutation(told)[: int(share * min(told, FITTED // 2))]
    others = np.setdiff1d(np.arange(told), front)
    newest = others[::-1][: FITTED - len(front)][::-1]
    assert (fitted(front, told) == np.concatenate([front, newest])).all()
