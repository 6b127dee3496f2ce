"""What the accuracies published with "Deeper Insights into Weight Sharing" (arXiv 2001.01431) say of a supernet's
order: 64 networks at its last 128 steps, against their accuracies alone.

    python benchmarks/deeper_insights.py --tables DIR
"""

from itertools import pairwise
from pathlib import Path

import numpy as np
import record
from ranking import by_weight

import search_spaces
from results import ranking, verdict
from supernet.oracle import TableOracle

STEPS, TRUTH = "deeper_insights_64_supernet_last128steps.csv", "deeper_insights_64_truth.csv"
FIRST = (1, 5, 10)
WORST = 0.25  # share of the networks that a filter would leave out
APART = 64  # steps: a whole round of the networks
AVERAGED = (4, 16, 64)  # steps
LATER = 16  # steps from one that is corrected to the next


def spread(values) -> dict[str, float]:
    return {"mean": float(np.mean(values)), "low": float(np.min(values)), "high": float(np.max(values))}


def kept(scores: np.ndarray, truth: np.ndarray) -> float:
    """Of the truly best tenth, the share that stays if the networks with the worst scores are left out."""
    best = ranking.best(truth, 0.1)
    return float((scores[best] > np.quantile(scores, WORST)).mean())


def gained(changed: np.ndarray, scores: np.ndarray, truth: np.ndarray) -> ranking.Estimate:
    """What a change adds to tau, on the mean over (T, 64) and (T, 64), with its interval over the networks."""
    times = ranking.resample(len(truth), np.random.default_rng(0))
    value = ranking.gt_tau(changed, truth) - ranking.gt_tau(scores, truth)
    drawn = [[ranking.kendall_resampled(row, truth, times) for row in side] for side in (changed, scores)]
    return ranking.estimate(value.mean(), np.mean(drawn[0], axis=0) - np.mean(drawn[1], axis=0))


def mended(encodings: np.ndarray, scores: np.ndarray, truth: np.ndarray) -> dict[str, dict]:
    """By mending tau and what it gains: of scores (T, 64), in the mean over them, and of their mean."""
    space, mean, found = search_spaces.load("three_edge"), scores.mean(0), {}
    rows = [verdict.mended(space, encodings, row) for row in (*scores, mean)]
    for name in rows[0]:
        *each, of_mean = (row[name] for row in rows)
        found[name] = {
            "gt_tau": spread(ranking.gt_tau(np.stack(each), truth)),
            "gained": gained(np.stack(each), scores, truth),
            "of_the_mean": ranking.kendall(of_mean, truth),
            "gained_of_the_mean": gained(of_mean[None], mean[None], truth),
        }
    return found


def by_size_weight(encodings: np.ndarray, scores: np.ndarray, truth: np.ndarray) -> dict[str, dict]:
    """Tau by the weight of the size: of scores (T, 64), in the mean over them, and of their mean."""
    space = search_spaces.load("three_edge")
    each = [by_weight("size", space, encodings, row, truth) for row in scores]
    steps = {weight: float(np.mean([tau[weight] for tau in each])) for weight in each[0]}
    return {"at one step": steps, "mean of all steps": by_weight("size", space, encodings, scores.mean(0), truth)}


def equal_cost(scores: np.ndarray, truth: np.ndarray, madds: np.ndarray) -> dict:
    """Tau of the pairs of equal cost alone: of scores (T, 64), and of their mean."""
    *each, of_mean = (ranking.kendall_at_equal_cost(row, truth, madds) for row in (*scores, scores.mean(0)))
    return {"pairs": ranking.equal_pairs(madds), "gt_tau": spread(each), "of_the_mean": of_mean}


def corrected(encodings: np.ndarray, rows: np.ndarray, truth: np.ndarray) -> dict:
    """What networks trained alone make of scores (T, 64): by their number, each order's mean tau over the rows."""
    space = search_spaces.load("three_edge")
    found = [verdict.by_trained(space, encodings, row, truth, truth, np.random.default_rng(0)) for row in rows]
    return {
        n: {order: float(np.mean([each[n][order] for each in found])) for order in orders}
        for n, orders in found[0].items()
    }


def figures(encodings: np.ndarray, scores: np.ndarray, truth: np.ndarray, madds: np.ndarray) -> dict:
    """Encodings (64, 3), scores (T, 64) at every step, truth (64,) and multiply-adds (64,)."""
    mean = scores.mean(0)
    averaged = {n: np.stack([scores[end - n : end].mean(0) for end in range(n, len(scores) + 1)]) for n in AVERAGED}
    return {
        "steps": len(scores),
        "networks": len(truth),
        "gt_tau": spread(ranking.gt_tau(scores, truth)),
        "gt_tau_averaged": {str(n): spread(ranking.gt_tau(rows, truth)) for n, rows in averaged.items()},
        "tau_of_the_mean": ranking.kendall(mean, truth),
        "mended": mended(encodings, scores, truth),
        "by_size_weight": by_size_weight(encodings, scores, truth),
        "gained_by_averaging": gained(mean[None], scores, truth),
        "equal_cost": equal_cost(scores, truth, madds),
        "tau_of_multiply_adds": ranking.kendall(madds, truth),
        "tau_next_step": spread([ranking.kendall(a, b) for a, b in pairwise(scores)]),
        "tau_next_round": spread([ranking.kendall(a, b) for a, b in zip(scores, scores[APART:], strict=False)]),
        "true_rank": {str(n): spread([ranking.true_rank(row, truth, n) for row in scores]) for n in FIRST},
        "true_rank_of_the_mean": {str(n): ranking.true_rank(mean, truth, n) for n in FIRST},
        "corrected": corrected(encodings, scores[::LATER], truth),
        "corrected_mean": corrected(encodings, mean[None], truth),
        "best_tenth_kept": spread([kept(row, truth) for row in scores]),
    }


def main() -> None:
    parser = record.parser(__doc__)
    parser.add_argument("--tables", required=True, help=f"folder with {STEPS} and {TRUTH}")
    folder = Path(parser.parse_args().tables)
    encodings = np.stack(np.unravel_index(np.arange(64), (4, 4, 4)), axis=1)
    scores = np.loadtxt(folder / STEPS, delimiter=",", skiprows=1)[:, 1:]
    madds = search_spaces.load("three_edge").cost(encodings)[:, 0]
    print(
        record.save(
            "deeper_insights", figures(encodings, scores, TableOracle(folder / TRUTH).accuracy(encodings), madds)
        )
    )


if __name__ == "__main__":
    main()
