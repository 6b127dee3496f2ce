import numpy as np
import pytest
from scipy.stats import norm, rankdata

from evo import gaussian_process as gp

CHOICES = (3, 4, 1, 6, 40)
KERNEL = gp.Kernel(reach=1.6, share=0.5, noise=0.01)


def encodings(rng, n):
    return rng.integers(CHOICES, size=(n, len(CHOICES)))


def test_normal_scores_are_quantiles_of_mean_ranks(rng):
    values = rng.integers(0, 9, (50, 2)).astype(float)
    expected = np.stack([norm.ppf((rankdata(column) - 0.5) / 50) for column in values.T], axis=1)
    assert gp.normal_scores(values) == pytest.approx(expected)


def test_normal_scores_see_only_the_order(rng):
    values = rng.random((50, 1))
    assert (gp.normal_scores(values) == gp.normal_scores(np.exp(30 * values))).all()


def test_values_of_scores_are_the_values_and_go_on_beyond_the_best(rng):
    values = rng.random(80)
    scores = gp.normal_scores(values[:, None])[:, 0]
    assert gp.values_of(scores, scores, values) == pytest.approx(values)
    assert gp.values_of(np.array([scores.min() - 1]), scores, values)[0] < values.min()
    assert gp.values_of(np.array([0.3]), np.zeros(1), np.ones(1)) == pytest.approx([1.0])


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_correlation_falls_with_the_distance_it_is_defined_by(share, rng):
    """exp(-reach / L * (different decisions, or distance relative to the largest))."""
    choices = (3, 4, 2, 6)
    a, b = rng.integers(choices, size=(2, 30, 4))
    codes = [gp.code(choices, each, gp.Kernel(1.6, share, 0.0)) for each in (a, b)]
    different = (a[:, None] != b).sum(2)
    far = (np.abs(a[:, None] - b) / (np.array(choices) - 1)).sum(2)
    expected = np.exp(-1.6 / 4 * (share * different + (1 - share) * far))
    assert gp.correlation(*codes) == pytest.approx(expected)


def test_predictions_equal_the_textbook(rng):
    known, new, scores = encodings(rng, 40), encodings(rng, 10), rng.standard_normal((40, 2))
    model = gp.Model(CHOICES, known, scores, KERNEL)
    a, b = gp.code(CHOICES, known, KERNEL), gp.code(CHOICES, new, KERNEL)
    inverse = np.linalg.inv(gp.correlation(a, a) + 0.01 * np.eye(40))
    towards = gp.correlation(b, a)
    assert model.mean(new) == pytest.approx(towards @ inverse @ scores, abs=1e-4)
    scale = np.einsum("fu,fg,gu->u", scores, inverse, scores) / 40
    left = 1 - np.einsum("nf,fg,ng->n", towards, inverse, towards) + 0.01
    assert model.deviation(new) == pytest.approx(np.sqrt(left[:, None] * scale), rel=1e-3)


def test_the_evidence_knows_what_the_values_depend_on(rng):
    choices = (12,) * 4
    x = rng.integers(choices, size=(150, 4))
    labels = ((x % 2) * [1.0, -2.0, 0.5, 3.0]).sum(1)  # which option, not how far
    slopes = (x * [1.0, -2.0, 0.5, 3.0]).sum(1)
    assert gp.best_kernel(choices, x, gp.normal_scores(labels[:, None])).share >= 0.5
    assert gp.best_kernel(choices, x, gp.normal_scores(slopes[:, None])).share == 0.0


def test_it_predicts_what_it_never_saw(rng):
    choices = (4,) * 8
    weights, pairs = rng.standard_normal((8, 4)), rng.standard_normal((7, 4, 4))
    x = rng.integers(choices, size=(500, 8))
    y = weights[np.arange(8), x].sum(1) + 0.5 * pairs[np.arange(7), x[:, :-1], x[:, 1:]].sum(1)
    scores = gp.normal_scores(y[:300, None])
    model = gp.Model(choices, x[:300], scores, gp.best_kernel(choices, x[:150], scores[:150]))
    assert np.corrcoef(model.mean(x[300:])[:, 0], y[300:])[0, 1] > 0.9
