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
def test_frequencies_count_what_the_architectures_have_at_every_place(name, rng):
    space = search_spaces.load(name)
    encodings = space.sample(rng, 40)
    names, places, share = curves.frequencies(space, encodings)
    assert share.shape == (len(names), len(places))
    if isinstance(space, Chain):
        assert np.nansum(share, axis=0) == pytest.approx(1)
        assert (~np.isnan(share)).sum(0).tolist() == list(space.choices)
        return
    edges = {edge for kind, graph in space.graphs(encodings[0]).items() for edge in ((kind, *e) for e in graph.edges)}
    names, places, share = curves.frequencies(space, encodings[:1])
    several = len(space.decisions.kinds) > 1
    wanted = {(op, f"{kind} {source} to {to}" if several else f"{source} to {to}") for kind, op, to, source in edges}
    assert {(names[k], places[e]) for k, e in np.argwhere(share == 1)} == wanted


@pytest.mark.parametrize("name", search_spaces.SPACES)
def test_every_decision_of_every_space_has_a_name_and_names_for_its_options(name, rng):
    space = search_spaces.load(name)
    found = curves.decisions(space)
    assert [len(decision.options) for decision in found] == list(space.choices)
    assert len({decision.name for decision in found}) == len(found)
    encoding = space.sample(rng, 1)[0]
    if isinstance(space, Chain):
        words = space.describe(encoding).replace("|", "").split()
        assert [found[k].options[option] for k, option in enumerate(encoding)] == words
