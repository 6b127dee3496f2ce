"""What the report's figures draw, as plain arrays: shapes N architectures scored, L decisions, K options."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from evo.archive import Generation
from evo.objectives import MEASURES, Limit, Objective, minimised, violation
from evo.survival import nondominated
from results import front
from search_spaces import SearchSpace
from search_spaces.cell import Cell
from search_spaces.chain import Chain
from search_spaces.decisions import Edge

STEPS = 60  # points of a convergence curve
MOST = 12  # proposers with a curve
ALL = "all"  # the curve of everybody together


def proposers(scored: Generation) -> list[str]:
    """Who found anything, in the order of their first finds; not more than a figure can tell apart."""
    return list(dict.fromkeys(scored.proposers))[:MOST]


def convergence(
    scored: Generation, objectives: Sequence[Objective], limits: Sequence[Limit], names: Sequence[str] = MEASURES
) -> dict[str, np.ndarray]:
    """Per proposer, and for all together: (S, 2) evaluations so far, hypervolume of what it alone has found.

    As a share of what all have found in the end. The box lies between the best and the worst values scored; `names`
    are those of the rows.
    """
    values = minimised(scored.rows, objectives, names)
    feasible = violation(scored.rows, limits, names) == 0
    if not feasible.any():
        return {}
    best, worst = values[feasible].min(0), values[feasible].max(0)
    ends = np.unique(np.linspace(0, len(values), min(STEPS, len(values)) + 1).astype(int))
    by = np.array(scored.proposers)
    members = {ALL: feasible} | {name: feasible & (by == name) for name in proposers(scored)}
    curves = {name: _hypervolumes(values, mask, ends, best, worst) for name, mask in members.items()}
    final = max(curves[ALL][-1], np.finfo(float).tiny)
    return {name: np.column_stack([ends, curve / final]) for name, curve in curves.items()}


def _hypervolumes(values: np.ndarray, mask: np.ndarray, ends: np.ndarray, best, worst) -> np.ndarray:
    """Of the values (N, M) under the mask, after each of `ends` evaluations."""
    points, found, start = np.empty((0, values.shape[1])), [], 0
    for end in ends:
        points = np.concatenate([points, values[start:end][mask[start:end]]])
        points, start = points[nondominated(points)], end
        found.append(front.hypervolume(points, best, worst))
    return np.array(found)


class Decision(NamedTuple):
    """Its name, its stage, and the names of its options."""

    name: str
    stage: int
    options: list[str]


def decisions(space: SearchSpace) -> list[Decision]:
    """Every decision of the space in words."""
    if isinstance(space, Chain):
        layers = [(stage, layer) for stage, layers in enumerate(space.stages) for layer in layers]
        return [Decision(f"layer {k:02}", stage, list(layer.options)) for k, (stage, layer) in enumerate(layers, 1)]
    found = {}
    for i, (edges, which, option) in enumerate(space.decisions.layout()):
        same, place = len({edge.options for edge in edges}) == 1, f"slot {i + 1:02}"
        names = list(edges[0].options) if same else [str(k) for k in range(len(edges[0].options))]
        found[option] = Decision(f"{place}, on the edge", 0, names)
        if which is not None:
            found[which] = Decision(f"{place}, from", 0, [str(edge.source) for edge in edges])
    return [found[k] for k in sorted(found)]


def frequencies(space: SearchSpace, encodings: np.ndarray) -> tuple[list[str], list[str], np.ndarray]:
    """Names of all options (K), of all places for them (P: a chain's layers, a cell's edges), and (K, P): the share of
    the architectures (N, L) that have the option there; NaN where there is no such option.
    """
    if isinstance(space, Chain):
        named = [decision.options for decision in decisions(space)]
        places, picked = [str(k + 1) for k in range(len(named))], (np.arange(len(named)), encodings)
    else:
        edges = space.decisions.edges
        named, places = [list(edge.options) for edge in edges], [_edge(space, edge) for edge in edges]
        picked = space.decisions.picked(space.canonical(encodings))
    names = list(dict.fromkeys(name for options in named for name in options))
    share = np.full((len(names), len(named)), np.nan)
    for place, options in enumerate(named):
        for option, name in enumerate(options):
            there = (picked[0] == place) & (picked[1] == option)
            share[names.index(name), place] = there.any(1).mean()
    if not isinstance(space, Chain) and space.decisions.sparse:  # their first option is no edge at all
        names, share = names[1:], share[1:]
    return names, places, share


def _edge(space: Cell, edge: Edge) -> str:
    kind = f"{edge.kind} " if len(space.decisions.kinds) > 1 else ""
    return f"{kind}{edge.source} to {edge.to}"
