import numpy as np
import pytest
from scipy.stats import zscore

import search_spaces
from evo import correction
from evo.mending import Mending, known
from results import ranking

SPACES = ["digits", "nas_bench_macro", "nas_bench_201", "darts"]


@pytest.mark.parametrize("name", SPACES)
def test_smoothing_takes_out_what_is_more_than_the_sum_of_the_options(name, rng):
    space = search_spaces.load(name)
    encodings = np.unique(space.sample(rng, 600), axis=0)
    weights = rng.random(correction.options(space, encodings).shape[1])

    def truth(encodings):
        return 0.5 + 0.1 * correction.options(space, encodings) @ weights

    def noisy(encodings):  # and always equally wrong of the same network, as a supernet is
        seeds = [np.random.default_rng(encoding).normal() for encoding in encodings]
        return truth(encodings) + truth(encodings).std() * np.array(seeds)

    others, found = encodings[:200], Mending(300).of(space, noisy, seed=0)
    before, after = (ranking.kendall(scores, truth(others)) for scores in (noisy(others), found(others)))
    assert after > before + (0.02 if name == "darts" else 0.1)  # whose options are as many as the networks
    assert (Mending(300).of(space, noisy, seed=0)(others) == found(others)).all()


@pytest.mark.parametrize("name", SPACES)
def test_a_word_for_the_size_orders_noisy_scores_that_underrate_it_better(name, rng):
    space = search_spaces.load(name)
    encodings = np.unique(space.sample(rng, 400), axis=0)
    size = np.log(space.cost(encodings)[:, 0])
    size = (size - size.mean()) / size.std()
    quality = rng.normal(size=len(size))
    truth, scores = quality + size, 0.5 + 0.05 * (quality + 0.3 * size + 0.5 * rng.normal(size=len(size)))
    sized = Mending(size_weight=0.5).fitted(space, encodings, scores)(encodings, scores)
    assert ranking.kendall(sized, truth) > ranking.kendall(scores, truth) + 0.05


def test_one_deviation_of_the_size_weighs_as_much_as_so_many_of_the_error(rng):
    space = search_spaces.load("nas_bench_macro")
    encodings = np.unique(space.sample(rng, 300), axis=0)
    scores = rng.uniform(0.3, 0.9, len(encodings))
    size, error = np.log(space.cost(encodings)[:, 0]), np.log(1 - scores)
    for weight in (0.0, 0.5, 2.0):
        sized = Mending(size_weight=weight).fitted(space, encodings, scores)(encodings, scores)
        moved = (np.log(1 - sized) - error) / error.std()
        inside = sized > 0
        np.testing.assert_allclose(moved[inside], -weight * ((size - size.mean()) / size.std())[inside], atol=1e-9)


def test_sized_scores_are_accuracies_even_where_all_are_equal_or_perfect(rng):
    space = search_spaces.load("digits")
    encodings = space.sample(rng, 50)
    for scores in (np.full(50, 0.7), np.linspace(0, 1, 50), np.ones(50)):
        sized = Mending(size_weight=5.0).fitted(space, encodings, scores)(encodings, scores)
        assert np.isfinite(sized).all()
        assert sized.min() >= 0
        assert sized.max() <= 1


def test_both_together_are_the_sizes_word_on_smoothed_scores(rng):
    space = search_spaces.load("nas_bench_macro")
    encodings = space.sample(rng, 50)

    def accuracy(encodings):
        return 0.5 + 0.3 * np.sin(encodings.sum(1))

    smoothed = Mending(smooth=40).of(space, accuracy, 0)
    drawn = np.unique(space.sample(np.random.default_rng(0), 40), axis=0)
    sized = Mending(size_weight=0.5).fitted(space, drawn, smoothed(drawn))
    both = Mending(40, 0.5).of(space, accuracy, 0)(encodings)
    assert (both == sized(encodings, smoothed(encodings))).all()
    assert (both != smoothed(encodings)).any()
    assert Mending().of(space, accuracy, 0) is accuracy


def test_words_add_up_whatever_their_order(rng):
    space = search_spaces.load("nas_bench_macro")
    encodings = np.unique(space.sample(rng, 200), axis=0)
    scores, naswot = rng.uniform(0.4, 0.6, len(encodings)), rng.normal(size=len(encodings))
    told = {"naswot": known(encodings, naswot)}

    def gained(size, weight):
        mended = Mending(size_weight=size, naswot_weight=weight).fitted(space, encodings, scores, told)
        return np.log(1 - mended(encodings, scores)) - np.log(1 - scores)

    np.testing.assert_allclose(gained(0.5, 0.3), gained(0.5, 0) + gained(0, 0.3), atol=1e-12)
    np.testing.assert_allclose(gained(0, 0.3), -0.3 * np.log(1 - scores).std() * zscore(naswot), atol=1e-12)


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"smooth": 9}, "--smooth needs 0, or 10 to 2,000 networks, got 9"),
        ({"smooth": 2001}, "--smooth needs 0, or 10 to 2,000 networks, got 2001"),
        ({"size_weight": -0.1}, "--size-weight must be a number from 0 on, got -0.1"),
        ({"naswot_weight": np.nan}, "--naswot-weight must be a number from 0 on, got nan"),
        ({"az_nas_weight": -1.0}, "--az-nas-weight must be a number from 0 on, got -1.0"),
        ({"size_weight": np.inf}, "--size-weight must be a number from 0 on, got inf"),
    ],
)
def test_wrong_mendings(how, message):
    with pytest.raises(ValueError, match=message):
        Mending(**how)


@pytest.mark.parametrize(
    ("mending", "name", "flags"),
    [
        (Mending(), "", ""),
        (Mending(300), "smoothed", "--smooth 300"),
        (Mending(size_weight=0.5), "sized", "--size-weight 0.5"),
        (Mending(300, 1.0), "smoothed and sized", "--smooth 300 --size-weight 1"),
        (Mending(az_nas_weight=1.0), "az-nas", "--az-nas-weight 1"),
        (Mending(300, 1.0, 2.0), "smoothed, sized and naswot", "--smooth 300 --size-weight 1 --naswot-weight 2"),
    ],
)
def test_a_mending_says_what_it_is_and_how_to_ask_for_it(mending, name, flags):
    assert (mending.name, mending.flags, bool(mending)) == (name, flags, bool(name))
