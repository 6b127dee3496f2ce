"""How well an order predicts the true one: pure functions on arrays.

Scores are what somebody says of the networks (a supernet, their multiply-adds), the truth what they reach when trained
alone; higher is better in both, and no two networks may be equal.
Shapes: N networks, T times (epochs, steps), S seeds, R bootstrap resamples, O operations.
"""

from itertools import combinations
from typing import NamedTuple

import numpy as np
from scipy import stats

FEWEST = 10  # networks: on fewer Kendall's tau means nothing
RESAMPLES, FEWER = 1000, 200
MANY = 2000  # networks: for more, whose intervals are narrow, fewer resamples do
CONFIDENCE = 0.95
NEAR = 0.02  # share by which two costs may differ that count as equal; within a tenth they still tell some orders
ROWS = 500  # of a matrix of pairs that are in memory at a time


class Estimate(NamedTuple):
    """A figure and the ends of its bootstrap confidence interval (95 %)."""

    value: float
    low: float
    high: float


def kendall(scores: np.ndarray, truth: np.ndarray) -> float:
    """Kendall's tau-b of (N,) and (N,), which counts ties in neither's favour; 0 where one of them is constant, NaN
    where one holds a NaN.
    """
    varied = np.ptp(scores) and np.ptp(truth)
    return float(stats.kendalltau(scores, truth, method="asymptotic").statistic) if varied else 0.0


def spearman(scores: np.ndarray, truth: np.ndarray) -> float:
    """Correlation of the ranks of (N,) and (N,), ties sharing their mean rank; 0 where one of them is constant, NaN
    where one holds a NaN.
    """
    a, b = stats.rankdata(scores), stats.rankdata(truth)
    return float(np.corrcoef(a, b)[0, 1]) if np.ptp(a) and np.ptp(b) else 0.0


def resample(n: int, rng: np.random.Generator, resamples: int | None = None) -> np.ndarray:
    """How often each of n networks is drawn when n are drawn with replacement: (R, n)."""
    resamples = resamples or (RESAMPLES if n <= MANY else FEWER)
    return rng.multinomial(n, np.full(n, 1 / n), size=resamples)


def kendall_at_equal_cost(scores: np.ndarray, truth: np.ndarray, cost: np.ndarray) -> float:
    """`kendall`, of the pairs alone whose costs (N,) are equal: what an order says beyond the cost."""
    return float(kendall_resampled(scores, truth, np.ones((1, len(truth))), cost)[0])


def equal(cost: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Which costs (A,) are those of others (B,), up to NEAR: (A, B)."""
    return np.abs(np.log(cost)[:, None] - np.log(others)) <= np.log1p(NEAR)


def equal_pairs(cost: np.ndarray) -> int:
    """How many pairs of the costs (N,) are equal."""
    logs = np.sort(np.log(cost))
    return int((np.searchsorted(logs, logs + np.log1p(NEAR), "right") - np.arange(1, len(logs) + 1)).sum())


def kendall_resampled(
    scores: np.ndarray, truth: np.ndarray, times: np.ndarray, cost: np.ndarray | None = None
) -> np.ndarray:
    """`kendall` of every resample (R, N), where a network drawn twice is a tie in both orders: (R,).

    With costs (N,), of the pairs alone whose costs are equal. Without them, of many networks it sorts each resample,
    which of few takes longer than looking at all their pairs at once.
    """
    if cost is None and len(truth) > MANY:
        return np.array([kendall(np.repeat(scores, row), np.repeat(truth, row)) for row in times.astype(int)])
    cost = np.ones(len(truth)) if cost is None else cost
    order = np.argsort(cost, kind="stable")
    scores, truth = (stats.rankdata(values, "dense").astype(np.float32)[order] for values in (scores, truth))
    cost, times = cost[order], times[:, order].astype(np.float32)
    sums = np.zeros((3, len(times)))  # over all pairs: concordant less discordant, untied in scores, untied in truth
    for rows in np.array_split(np.arange(len(truth)), -(-len(truth) // ROWS)):
        near = slice(*np.searchsorted(cost, (cost[rows[0]] / (1 + 2 * NEAR), cost[rows[-1]] * (1 + 2 * NEAR))))
        same = equal(cost[rows], cost[near])
        a, b = (np.sign(values[rows, None] - values[near]) * same for values in (scores, truth))
        for total, signs in zip(sums, (a * b, a * a, b * b), strict=True):
            total += (times[:, rows] @ signs * times[:, near]).sum(1, dtype=float)
    untied = np.sqrt(sums[1] * sums[2])
    return np.divide(sums[0], untied, out=np.zeros(len(times)), where=untied != 0)


def estimate(value: float, resampled: np.ndarray) -> Estimate:
    """The value with the percentile interval of its resamples (R,)."""
    low, high = np.quantile(resampled, ((1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2))
    return Estimate(float(value), float(low), float(high))


def gt_tau(scores: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Kendall's tau at every time: (T, N), (N,) -> (T,). GT-Tau of arXiv 2001.01431, section 3."""
    return np.array([kendall(row, truth) for row in scores])


def s_tau(scores: np.ndarray) -> float:
    """Mean tau between all pairs of seeds: (S, N) -> number. S-Tau of arXiv 2001.01431, section 3."""
    return float(np.mean([kendall(a, b) for a, b in combinations(scores, 2)]))


def first(scores: np.ndarray, truth: np.ndarray, n: int) -> np.ndarray:
    """Indices (n,) of the n networks with the highest scores; ties count against the scores."""
    return np.lexsort((truth, -scores))[:n]


def true_rank(scores: np.ndarray, truth: np.ndarray, n: int) -> int:
    """The best true rank, from 1, among the n with the highest scores. TnR of arXiv 2001.01431, section 3."""
    return int(1 + (truth > truth[first(scores, truth, n)].max()).sum())


def regret(scores: np.ndarray, truth: np.ndarray, n: int) -> float:
    """How far the truly best among the n with the highest scores stays behind the truly best of all."""
    return float(truth.max() - truth[first(scores, truth, n)].max())


def regret_within(scores: np.ndarray, truth: np.ndarray, cost: np.ndarray, n: int, shares: np.ndarray) -> float:
    """`regret`, in the mean over limits on the cost (N,) within which are these shares of the networks."""
    within = (cost <= limit for limit in np.quantile(cost, shares))
    return float(np.mean([regret(scores[rows], truth[rows], n) for rows in within]))


def best(truth: np.ndarray, share: float) -> np.ndarray:
    """Indices of the truly best networks: this share of them, and all that equal the last of these."""
    return np.flatnonzero(truth >= np.sort(truth)[-max(1, round(share * len(truth)))])


def rank_error(scores: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """(N,) in -1..1: the share of the networks by which the scores place a network too high."""
    return (stats.rankdata(scores) - stats.rankdata(truth)) / len(truth)


def operation_bias(error: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """What one operation in place of the average one adds to the rank error: (N,), how often (N, O) -> (O,).

    By least squares over all networks; the counts of a network sum to its length, so only differences are defined, and
    the smallest solution is the one around the average.
    """
    centred = counts - counts.mean(0)
    return np.linalg.lstsq(centred, error - error.mean(), rcond=None)[0]


def size_bias(error: np.ndarray, size: np.ndarray, parts: int = 4) -> np.ndarray:
    """Mean rank error in equal parts of the networks, from the smallest to the largest: (N,), (N,) -> (parts,)."""
    order = np.argsort(size, kind="stable")
    return np.array([error[part].mean() for part in np.array_split(order, parts)])
