"""What the report's figures draw, as plain arrays: shapes N architectures scored, L decisions, K options."""

from collections.abc import Sequence

import numpy as np

from evo.archive import Generation
from evo.objectives import MEASURES, Limit, Objective, minimised, violation
from evo.survival import nondominated
from results import front
from search_spaces import SearchSpace
from search_spaces.chain import Chain

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


def decisions(space: SearchSpace) -> list[tuple[int, list[str]]]:
    """Per decision its stage and the names of its options."""
    if isinstance(space, Chain):
        return [(stage, list(layer.options)) for stage, layers in enumerate(space.stages) for layer in layers]
    return [(0, [str(option) for option in range(k)]) for k in space.choices]


def frequencies(space: SearchSpace, encodings: np.ndarray) -> tuple[list[str], np.ndarray]:
    """The names of all options, and (K, L) how often each decision takes each; NaN where it has no such option."""
    named = [options for _, options in decisions(space)]
    names = list(dict.fromkeys(name for options in named for name in options))
    share = np.full((len(names), len(named)), np.nan)
    for layer, options in enumerate(named):
        for option, name in enumerate(options):
            share[names.index(name), layer] = (encodings[:, layer] == option).mean()
    return names, share
