import numpy as np
import pytest

import search_spaces
from evo import correction
from evo.correction import Correction, Trained
from results import ranking

SPACES = ["digits", "nas_bench_macro", "nas_bench_201", "darts"]


def biased(space, rng, n: int = 200) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Encodings (n, L), what they reach alone, and scores that place the dear ones far too low."""
    encodings = np.unique(space.sample(rng, n), axis=0)
    size = np.log(space.cost(encodings)[:, 0])
    quality = rng.normal(0, 0.02, len(encodings))
    truth = 0.7 + 0.05 * (size - size.mean()) / size.std() + quality
    return encodings, truth, 0.4 + quality - 0.1 * (size - size.mean()) / size.std()


@pytest.mark.parametrize("name", SPACES)
def test_a_bias_of_size_is_taken_away(name, rng):
    space = search_spaces.load(name)
    encodings, truth, scores = biased(space, rng)
    rng.shuffle(order := np.arange(len(truth)))
    known, rest = order[:30], order[30:]
    trained = Trained(encodings[known], truth[known])
    corrected = Correction(space, trained, scores[known])(encodings[rest], scores[rest])
    assert ranking.kendall(scores[rest], truth[rest]) < 0
    assert ranking.kendall(corrected, truth[rest]) > 0.8
    assert np.abs(corrected - truth[rest]).mean() < 0.02
    alone = Correction(space, trained)(encodings[rest])
    assert ranking.kendall(corrected, truth[rest]) > ranking.kendall(alone, truth[rest])  # the scores are used


def test_scores_that_say_nothing_are_told_from_the_rest(rng):
    space = search_spaces.load("nas_bench_macro")
    encodings, truth, _ = biased(space, rng)
    trained = Trained(encodings[:40], truth[:40])
    constant = np.full(len(truth), 0.3)
    told = Correction(space, trained, constant[:40])(encodings, constant)
    np.testing.assert_allclose(told, Correction(space, trained)(encodings), atol=0.02)


def test_equal_accuracies_are_told_of_all(rng):
    space = search_spaces.load("digits")
    encodings = space.sample(rng, 30)
    told = Correction(space, Trained(encodings[:10], np.full(10, 0.8)))(encodings)
    np.testing.assert_allclose(told, 0.8)


def test_options_that_divide_the_error_are_told_from_few_networks(rng):
    space = search_spaces.load("nas_bench_macro")
    encodings = np.unique(space.sample(rng, 500), axis=0)
    rng.shuffle(encodings)
    error = 0.8 * np.array([1, 0.8, 0.6])[encodings].prod(1)  # from 0.8 to 0.01
    told = Correction(space, Trained(encodings[:60], 1 - error[:60]))(encodings[60:])
    assert np.median(np.abs((1 - told) / error[60:] - 1)) < 0.05


def test_corrected_accuracies_are_accuracies(rng):
    space = search_spaces.load("digits")
    encodings, _, scores = biased(space, rng)
    trained = Trained(encodings[:20], np.linspace(0, 1, 20))
    told = Correction(space, trained, scores[:20])(encodings, 100 * scores)
    assert told.min() >= 0
    assert told.max() <= 1


@pytest.mark.parametrize("name", SPACES)
def test_equal_networks_have_equal_options_and_others_have_others(name, rng):
    space = search_spaces.load(name)
    encodings = space.sample(rng, 100)
    found = correction.options(space, encodings)
    assert (found == correction.options(space, space.canonical(encodings))).all()
    assert len(np.unique(found, axis=0)) == len(np.unique(space.canonical(encodings), axis=0))
    decisions = space.picked(encodings)[0].shape[1]
    np.testing.assert_allclose(found.sum(1), np.sqrt(decisions))


def test_the_weights_are_the_mean_of_ridge_regressions_that_count_as_they_tell_networks_left_out(rng):
    group, truth = rng.normal(size=(30, 3)), rng.normal(size=30)
    group -= group.mean(0)
    truth += group @ [0.6, -0.4, 0.0] - truth.mean()

    def ridge(x, y, variance):
        return np.linalg.solve(x.T @ x + np.eye(3) / variance, x.T @ y)

    def density(variance):  # of networks left out, as normal errors have it at their own deviation
        others = [np.arange(30) != i for i in range(30)]
        errors = [truth[i] - group[i] @ ridge(group[o], truth[o], variance) for i, o in enumerate(others)]
        return np.mean(np.square(errors)) ** (-30 / 2)

    counts = np.array([density(variance) for variance in correction.VARIANCES])
    mean = sum(c * ridge(group, truth, v) for c, v in zip(counts / counts.sum(), correction.VARIANCES, strict=True))
    (weights,) = correction.mean_weights([group], truth)
    np.testing.assert_allclose(weights, mean)


def test_a_score_never_counts_against_a_network(rng):
    space = search_spaces.load("nas_bench_201")
    encodings = np.unique(space.sample(rng, 40), axis=0)
    truth, scores = 0.9 + 0.02 * rng.normal(size=(2, len(encodings)))
    for found in (scores, 1.8 - truth):  # which say nothing, or the contrary
        corrected = Correction(space, Trained(encodings[:10], truth[:10]), found[:10])
        good, bad = (corrected(encodings, np.full(len(encodings), score)) for score in (0.9, 0.1))
        assert (good >= bad).all()


def test_where_the_scores_may_not_count_the_rest_is_told_as_without_them(rng):
    group, truth = rng.normal(size=(30, 3)), rng.normal(size=30)
    weights, against = correction.mean_weights([group, -truth[:, None]], truth, scored=True)
    assert against == 0
    np.testing.assert_allclose(weights, correction.mean_weights([group], truth)[0])
