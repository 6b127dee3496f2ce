"""Who survives: non-dominated sorting and crowding distance (NSGA-II, Deb et al. 2002). All objectives are minimised.

Shapes: N individuals, M objectives. Pure functions of arrays: (N, M) in, indices or values out.
"""

from functools import cache
from math import comb

import numpy as np
from pymoo.algorithms.moo.nsga3 import ReferenceDirectionSurvival
from pymoo.core.population import Population
from pymoo.core.problem import Problem
from pymoo.util.ref_dirs import get_reference_directions


def dominates(objectives: np.ndarray, violation: np.ndarray | None = None) -> np.ndarray:
    """(N, M) -> (N, N) bool: [i, j] says that i dominates j.

    With `violation` (N,) >= 0, constraint domination: whoever violates less dominates, and objectives
    decide only between feasible individuals (violation 0).
    """
    beats, _ = versus(objectives, objectives, violation, violation)
    return beats


def versus(
    ours: np.ndarray, theirs: np.ndarray, violation: np.ndarray | None = None, others: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """(N, M), (O, M), (N,), (O,) -> two (N, O) bool: who of ours dominates whom of theirs, and is dominated by whom.

    As `dominates`; the violations are of ours and of theirs, both or none.
    """
    no_worse = np.ones((len(ours), len(theirs)), dtype=bool)
    no_better = no_worse.copy()
    for a, b in zip(ours.T[:, :, None], theirs.T, strict=True):
        no_worse &= a <= b
        no_better &= a >= b
    beats, beaten = no_worse & ~no_better, no_better & ~no_worse
    if violation is None or not (violation.any() or others.any()):
        return beats, beaten
    feasible = (violation == 0)[:, None] & (others == 0)
    less, more = violation[:, None] < others, violation[:, None] > others
    return (beats & feasible) | less, (beaten & feasible) | more


def ranks(objectives: np.ndarray, violation: np.ndarray | None = None) -> np.ndarray:
    """(N, M) -> (N,) int: 0 for the non-dominated front, 1 for the front without it, and so on."""
    return fronts(dominates(objectives, violation), len(objectives))


def fronts(beats: np.ndarray, n: int) -> np.ndarray:
    """(N, N) as `dominates` says -> (N,) int ranks; whoever comes after the front that holds the nth, the next rank."""
    beaten_by, rank = beats.sum(0, dtype=np.int32), np.full(len(beats), -1)
    left, current = len(beats), 0
    while left > max(0, len(beats) - n):
        front = np.flatnonzero(beaten_by == 0)
        rank[front] = current
        beaten_by -= beats[front].sum(0, dtype=np.int32)
        beaten_by[front] = -1
        left -= len(front)
        current += 1
    rank[rank < 0] = current
    return rank


def crowding(objectives: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """(N, M) of one front -> (N,): the mean over objectives of the gap between the two neighbours, ends infinite.

    With `weights` (M,) some objectives' gaps count more (MoGA, arXiv 1908.01314, section 3.3). Among
    equal values the order of the rows decides, as in pymoo. An objective that is the same for all says nothing.
    """
    n, m = objectives.shape
    if n <= 2:
        return np.full(n, np.inf)
    distance = np.zeros(n)
    weights = np.ones(m) if weights is None else weights / weights.mean()
    for values, weight in zip(objectives.T, weights, strict=True):
        order = np.argsort(values, kind="stable")
        span = values[order[-1]] - values[order[0]]
        if span > 0 and weight > 0:
            distance[order[1:-1]] += weight * (values[order[2:]] - values[order[:-2]]) / span
            distance[order[[0, -1]]] = np.inf
    return distance / m


def survive(
    objectives: np.ndarray, beats: np.ndarray, n: int, weights: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The best n of N, whole fronts first, then the least crowded: indices, their ranks, their crowding, each (n,).

    `beats` (N, N) is what `dominates` says; `weights` (M,) are those of `crowding`.
    """
    rank = fronts(beats, n)
    distance = np.zeros(len(rank))
    for front in range(rank[np.argsort(rank, kind="stable")[:n]].max(initial=-1) + 1):
        distance[rank == front] = crowding(objectives[rank == front], weights)
    best = np.lexsort((-distance, rank))[:n]  # stable: among equals the older one stays
    return best, rank[best], distance[best]


def survive_many(objectives: np.ndarray, beats: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """As `survive`, for more than three objectives: of the last front, who fills the emptiest of evenly spread
    directions (NSGA-III, Deb and Jain 2014, by pymoo); where it misses limits, the older. Nobody is more crowded.
    """
    rank = fronts(beats, n)
    last = np.sort(rank)[:n].max()
    whole, cut = np.flatnonzero(rank < last), np.flatnonzero(rank == last)
    pool = np.concatenate([whole, cut])
    if (dominates(objectives[pool]) != beats[np.ix_(pool, pool)]).any():  # the last front misses a limit
        pool = pool[:n]
    elif len(pool) > n:
        survival = ReferenceDirectionSurvival(spread(objectives.shape[1], n))
        problem, rng = Problem(n_var=1, n_obj=objectives.shape[1]), np.random.default_rng(len(objectives))
        people = Population.new("X", pool[:, None], "F", objectives[pool])
        pool = survival.do(problem, people, n_survive=n, random_state=rng).get("X")[:, 0]
    best = pool[np.lexsort((pool, rank[pool]))]
    return best, rank[best], np.zeros(len(best))


@cache
def spread(m: int, n: int) -> np.ndarray:
    """At most n (but no fewer than m) directions, evenly spread (Das and Dennis 1998): (n', m)."""
    partitions = 1
    while comb(partitions + m, m - 1) <= n:
        partitions += 1
    return get_reference_directions("das-dennis", m, n_partitions=partitions)


def nondominated(objectives: np.ndarray) -> np.ndarray:
    """(N, M) -> (N,) bool: whom nobody dominates. For large N: each step keeps one and strikes all it dominates."""
    alive, keep = np.arange(len(objectives)), np.zeros(len(objectives), dtype=bool)
    alive = alive[np.lexsort(objectives.T)]  # nobody is dominated by a later one
    while len(alive):
        first, values = objectives[alive[0]], objectives[alive]
        keep[alive[0]] = True
        dominated = (first <= values).all(1) & (first < values).any(1)
        dominated[0] = True
        alive = alive[~dominated]
    return keep
