import numpy as np
import pytest

import search_spaces
from evo.archive import Generation
from evo.objectives import parse_limits, parse_objectives
from results import curves
from search_spaces.chain import Chain

TWO = parse_objectives(["accuracy", "madds"])


@pytest.fixture
def scored(rng):
    rows = np.column_stack([rng.random(300), rng.integers(1, 100, (300, 2))]).astype(float)
    return Generation(rng.integers(0, 6, (300, 6)), rows, list(rng.choice(["random", "evolution"], 300)))


def test_convergence_never_falls_and_all_end_at_one(scored):
    found = curves.convergence(scored, TWO, ())
    assert list(found) == [curves.ALL, *dict.fromkeys(scored.proposers)]
    for curve in found.values():
        assert (np.diff(curve, axis=0) >= 0).all()
        assert (curve[:, 1] <= found[curves.ALL][:, 1] + 1e-12).all()  # nobody alone is ahead of all
    assert tuple(found[curves.ALL][-1]) == (300, 1)


def test_convergence_counts_only_what_meets_the_limits(scored):
    free, tight = (curves.convergence(scored, TWO, limits) for limits in ((), parse_limits(max_madds="20")))
    first = np.flatnonzero(scored.rows[:, 1] <= 20)[0]
    assert (tight[curves.ALL][tight[curves.ALL][:, 0] <= first, 1] == 0).all()
    assert free[curves.ALL][1, 1] > 0
    assert curves.convergence(scored, TWO, parse_limits(max_madds="0.1")) == {}


@pytest.mark.parametrize("name", search_spaces.SPACES)
def test_frequencies_of_every_layer_add_up_to_one(name, rng):
    space = search_spaces.load(name)
    encodings = space.sample(rng, 40)
    names, share = curves.frequencies(space, encodings)
    assert share.shape == (len(names), len(space.choices))
    assert np.nansum(share, axis=0) == pytest.approx(1)
    assert (~np.isnan(share)).sum(0).tolist() == list(space.choices)
    if isinstance(space, Chain):
        words = space.describe(encodings[0]).replace("|", "").split()
        assert [curves.decisions(space)[k][1][option] for k, option in enumerate(encodings[0])] == words
