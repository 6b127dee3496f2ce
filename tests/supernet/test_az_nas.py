import math

import numpy as np
import pytest
import torch
from scipy.stats import kurtosis, skew
from torch import nn

import search_spaces
from supernet import az_nas
from supernet.az_nas import AzNas, State, assembled, expressivity, through, trainability


def features(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


def rotation(channels: int) -> nn.Module:
    """A 1 x 1 convolution that is an isometry."""
    conv = nn.Conv2d(channels, channels, 1, bias=False)
    conv.weight.data = torch.linalg.qr(features(channels, channels)).Q[:, :, None, None]
    return conv.requires_grad_(False)


@pytest.mark.parametrize("directions", [1, 2, 4])
def test_features_that_spread_evenly_over_some_directions_have_the_logarithm_of_their_number(directions):
    x = torch.zeros(2 * directions, 4, 1, 1)
    for i in range(directions):
        x[2 * i, i], x[2 * i + 1, i] = 1, -1
    assert expressivity(x) == pytest.approx(math.log(directions), abs=1e-6)
    assert expressivity(rotation(4)(3 * x) + 5) == pytest.approx(math.log(directions), abs=1e-5)


def test_features_without_variance_express_nothing():
    assert expressivity(torch.ones(3, 4, 2, 2)) == 0


@pytest.mark.parametrize("scale", [0.25, 1.0, 3.0])
def test_a_block_is_the_more_trainable_the_nearer_to_an_isometry(scale):
    state = State((features(64, 4, 16, 16),), (0.0,))
    for block in (lambda x: scale * x, lambda x: scale * rotation(4)(x)):
        (found,) = through(block, state, 0).norms
        assert found == pytest.approx(2 - scale - 1 / scale, abs=0.1)


def test_a_block_that_ignores_its_input_is_the_least_trainable():
    state = State((features(2, 4, 4, 4),), (0.0,))
    worst = through(lambda x: torch.ones(2, 4, 4, 4), state, 0).norms[0]
    assert worst < -1e5
    assert trainability(torch.zeros(2, 4, 4, 4), torch.ones(2, 4, 4, 4)) == pytest.approx(worst)


def test_a_block_that_halves_the_image_meets_all_pixels_it_reads():
    x = features(64, 2, 8, 8)
    (found,) = through(nn.PixelUnshuffle(2), State((x,), (0.0,)), 0).norms  # moves values, changes none
    assert found == pytest.approx(0, abs=0.1)


def test_blocks_that_overwrite_their_input_leave_it_to_others():
    x = features(2, 4, 4, 4)
    state = State((x.clone(), x.clone()), (0.0,))
    after = through(lambda before, last: before + nn.ReLU(inplace=True)(last), state, 0)
    assert all(torch.equal(output, x) for output in state.outputs)
    assert torch.equal(after.outputs[0], x)
    assert torch.equal(after.outputs[1], x + x.relu())


def test_what_is_better_by_every_measure_is_better_and_units_do_not_matter(rng):
    reference, measures = rng.normal(size=(50, 3)), rng.normal(size=(20, 3))
    found = assembled(measures, reference)
    assert (assembled(measures + 0.1, reference) > found).all()
    np.testing.assert_allclose(assembled(7 * measures - 2, 7 * reference - 2), found)
    order = assembled(measures[:, :1], reference[:, :1])
    assert (np.argsort(order) == np.argsort(measures[:, 0])).all()


def test_ranks_that_owe_nothing_to_one_another_make_a_normal_score(rng):
    found = assembled(rng.normal(size=(4000, 4)), rng.normal(size=(4000, 4)))
    assert abs(skew(found)) < 0.15
    assert abs(kurtosis(found)) < 0.3


def test_what_is_bad_by_one_measure_is_not_saved_by_another_and_outliers_are_no_worse(rng):
    reference = rng.normal(size=(50, 2))
    balanced, lopsided, worse = assembled(np.array([[0.0, 0.0], [3.0, -9.0], [3.0, -1e9]]), reference)
    assert balanced > lopsided
    assert worse == lopsided
    assert np.isfinite(assembled(reference, np.zeros((50, 2)))).all()


@pytest.mark.parametrize("name", ["digits", "nas_bench_201", "darts"])
def test_a_network_is_measured_by_itself_with_weights_of_the_seed(name, digits, rng, monkeypatch):
    monkeypatch.setattr(az_nas, "REFERENCE", 5)
    monkeypatch.setattr(az_nas, "IMAGES", 16)
    small = {"darts": {"channels": 4, "cells": 3}, "nas_bench_201": {"channels": 4, "cells": 1}}.get(name, {})
    space = search_spaces.load(name, image_size=8, num_classes=10, in_channels=1, **small)
    encodings = space.sample(rng, 5)
    judge = AzNas(space, digits, seed=0)
    found = judge.measures(encodings)
    assert np.isfinite(found).all()
    np.testing.assert_array_equal(judge.measures(encodings[::-1])[::-1], found)
    np.testing.assert_array_equal(judge.measures(encodings, walk=False), found)
    np.testing.assert_array_equal(judge(encodings), assembled(found, judge.reference))
    np.testing.assert_array_equal(AzNas(space, digits, seed=0)(encodings[3:]), judge(encodings)[3:])
    assert (AzNas(space, digits, seed=1).measures(encodings)[:, 0] != found[:, 0]).all()
    assert judge(encodings[:0]).shape == (0,)


def test_measures_of_larger_and_smaller_networks_are_told_from_their_blocks(digits):
    space = search_spaces.load("digits")
    judge = AzNas(space, digits, seed=0)
    encodings = space.sample(np.random.default_rng(0), 3)
    states = [judge._states(net, encodings, walk=True) for net in judge.nets]
    entropies = np.mean([[state.entropies for state in found] for found in states], axis=0)
    assert entropies.shape == (3, 1 + len(space.choices))
    expressive, progressive, trainable, size = judge.measures(encodings).T
    np.testing.assert_allclose(expressive, entropies.sum(1))
    np.testing.assert_allclose(progressive, np.diff(entropies).min(1))
    np.testing.assert_allclose(trainable, np.mean([[s.norms for s in found] for found in states], axis=(0, 2)))
    np.testing.assert_allclose(np.exp(size), space.cost(encodings)[:, 0])
