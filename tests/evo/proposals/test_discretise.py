"""From weights to architectures."""

import numpy as np
import pytest
import torch

import search_spaces
from evo.proposals.discretise import discretise
from evo.proposals.relaxation import Mixture, Relaxation


@pytest.fixture(scope="module")
def space():
    return search_spaces.load("darts")


def mixture(options) -> Mixture:
    return Mixture({name: torch.as_tensor(w) for name, w in options.items()}, {}, 0.0)


def random_weights(groups, rng) -> dict[str, np.ndarray]:
    shapes = {name: (len(group.to), len(group.options[0])) for name, group in groups.items()}
    return {name: rng.random(shape) for name, shape in shapes.items()}


def brute_force(group, weights, threshold: float) -> set[tuple[str, int, int]]:
    """The strongest pair of edges of each node, over all pairs."""
    kept = set()
    for node in set(group.to):
        into = [e for e, to in enumerate(group.to) if to == node]
        best = {
            e: max((w, name) for w, name in zip(weights[e], group.options[e], strict=True) if name != "none")
            for e in into
        }
        for e in sorted(into, key=lambda e: best[e][0])[-2:]:
            if best[e][0] >= threshold:
                kept.add((best[e][1], node, group.source[e]))
    return kept


@pytest.mark.parametrize("none", [True, False])
def test_a_node_keeps_its_two_strongest_edges_without_none(space, rng, none):
    groups = Relaxation(none=none).groups(space)
    for _ in range(30):
        weights = random_weights(groups, rng)
        if none:
            for w in weights.values():
                w[:, 0] += 1.0  # none is the strongest everywhere
        graphs = space.graphs(discretise(space, groups, mixture(weights)))
        for kind, group in groups.items():
            assert set(graphs[kind].edges) == brute_force(group, weights[kind], 0.0)
            assert len(graphs[kind].edges) == 8


def test_a_threshold_leaves_nodes_with_one_edge_or_none(space, rng):
    groups = Relaxation("sigmoid", none=False).groups(space)
    sizes = set()
    for _ in range(50):
        weights = random_weights(groups, rng)
        for w in weights.values():
            w[:] = np.where(rng.random(w.shape) < 0.85, 0.05, 0.94 + 0.02 * w)  # as published ones end
        graphs = space.graphs(discretise(space, groups, mixture(weights), threshold=0.85))
        for kind, group in groups.items():
            expected = brute_force(group, weights[kind], 0.85)
            alive = {0, 1}
            for edge in sorted(expected, key=lambda edge: edge[1]):
                alive |= {edge[1]} if edge[2] in alive else set()
            assert set(graphs[kind].edges) == {edge for edge in expected if edge[2] in alive}
            sizes |= {sum(edge.to == node for edge in graphs[kind].edges) for node in (2, 3, 4, 5)}
    assert sizes == {0, 1, 2}


def test_nothing_above_the_threshold_is_the_lone_skip(space):
    groups = Relaxation("sigmoid", none=False).groups(space)
    weak = {name: np.full((14, 7), 0.1) for name in groups}
    graphs = space.graphs(discretise(space, groups, mixture(weak), threshold=0.85))
    assert all(graph.edges == (("skip_connect", 2, 1),) for graph in graphs.values())


def test_ties_go_to_the_earlier_state_and_the_earlier_option(space):
    groups = Relaxation(none=False).groups(space)
    graphs = space.graphs(discretise(space, groups, mixture({name: np.ones((14, 7)) for name in groups})))
    assert {edge.operation for edge in graphs["normal"].edges} == {"max_pool_3x3"}
    assert {edge.source for edge in graphs["normal"].edges} == {0, 1}


@pytest.mark.parametrize("name", ["digits", "nas_bench_201"])
def test_layers_and_edges_that_must_have_one_take_the_strongest(name, rng):
    space = search_spaces.load(name)
    groups = Relaxation().groups(space)
    weights = random_weights(groups, rng)
    expected = np.concatenate([w.argmax(1) for w in weights.values()])
    assert (np.array(discretise(space, groups, mixture(weights))) == expected).all()


def test_an_edge_may_be_relaxed_without_none_and_still_is_numbered_with_it(rng):
    space = search_spaces.load("nas_bench_201")
    groups = Relaxation(none=False).groups(space)
    weights = random_weights(groups, rng)
    assert (np.array(discretise(space, groups, mixture(weights))) == weights["cell"].argmax(1) + 1).all()


def test_drawn_options_have_the_probabilities_of_their_weights(rng):
    space = search_spaces.load("digits")
    groups = Relaxation().groups(space)
    weights = {name: np.array([[0.5, 0.2, 0.15, 0.1, 0.05, 0.0]]) for name in groups}
    drawn = np.array([discretise(space, groups, mixture(weights), rng=rng) for _ in range(1500)])
    shares = np.bincount(drawn.ravel(), minlength=6) / drawn.size
    assert shares == pytest.approx(weights["layer 0"][0], abs=0.015)
