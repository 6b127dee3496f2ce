"""How far a supernet's order can be trusted: its figures against the truth and against what costs alone would say.

Shapes: N networks, O operations. Figures are plain numbers, so that they go to ranking.json as they are.
"""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from itertools import product

import numpy as np

from evo.correction import Correction, Trained
from evo.mending import NOTHING, Mending, known, smoothing
from results import ranking
from results.ranking import Estimate
from search_spaces import SearchSpace

BASELINES = {"madds": "multiply-adds", "params": "params"}  # orders that must be beaten, which cost nothing
SMOOTH = 300  # networks, where scores are smoothed
WORDS = (  # of AZ-NAS whole ones, which hold the size's
    {},
    {"naswot": 0.5},
    {"size": 0.5},
    {"size": 0.5, "naswot": 0.5},
    {"az_nas": 1.0},
    {"naswot": 1.0, "az_nas": 1.0},
)
MENDS = {
    mend.name: mend
    for smooth, words in product((0, SMOOTH), WORDS)
    if (mend := Mending(smooth, **{f"{word}_weight": weight for word, weight in words.items()}))
}
UNTRAINED = {"naswot": "NASWOT alone", "az-nas": "AZ-NAS alone"}  # orders without any training
BY_LOSS = "by loss"  # the supernet's, by likelihood in place of accuracy
UNMENDED = "unmended"  # the supernet's as they are, where those judged were mended
MORE = 0.05  # of chance itself is what likelihoods are above it, of what has learned
PAIRS = 45  # of equal cost, as many as ten networks make
INSIDE = (0.5, 0.1)  # shares of the truly best, among whom the order is looked at again
FIRST = (1, 5, 10, 50)  # how many of the supernet's first a person may train
FEW, WITHIN = 5, np.linspace(0.1, 1, 10)  # of them within a limit, by shares of the networks that are
ADVICE = 10  # of them are advised
TRAINED, DRAWS = (10, 20, 40), 20  # networks that correct the others' scores, and how often they are drawn


class Meaningless(ValueError):
    """Scores that are no order to speak of."""


def check(scores: np.ndarray, classes: int, images: int, by_loss: bool = False) -> None:
    """Meaningless if scores (N,) on so many images of so many classes are no order to speak of."""
    if len(scores) < ranking.FEWEST:
        raise Meaningless(f"{len(scores)} networks: Kendall's tau means nothing on fewer than {ranking.FEWEST}")
    if not np.isfinite(scores).all():
        raise Meaningless(f"{np.sum(~np.isfinite(scores))} of {len(scores)} scores are no numbers: train another --run")
    chance = 1 / classes
    if scores.mean() < chance + (MORE if by_loss else 3 * np.sqrt((1 - chance) / chance / images)) * chance:
        raise Meaningless(
            f"the supernet's mean score, {scores.mean():.3f}, is chance ({chance:.3f}): it has not learned, and its "
            "order means nothing; train one for more --epochs in another --run"
        )
    if not np.ptp(scores):
        raise Meaningless(f"all {len(scores)} networks score {scores[0]:.3f}: there is no order; raise --score-images")


def operations(space: SearchSpace, encodings: np.ndarray) -> tuple[list[str], np.ndarray]:
    """The operations' names, and how often each network has them: (N, O). What all have equally often is left out."""
    found = [Counter(re.findall(r"[A-Za-z]\w*", space.describe(encoding))) for encoding in encodings]
    names = sorted(set().union(*found))
    counts = np.array([[count[name] for name in names] for count in found])
    varied = np.ptp(counts, axis=0) > 0
    return [name for name, keep in zip(names, varied, strict=True) if keep], counts[:, varied]


def judge(
    space: SearchSpace,
    encodings: np.ndarray,
    scores: np.ndarray,
    truth: np.ndarray,
    others: dict[str, np.ndarray],
    rng: np.random.Generator,
    known: np.ndarray | None = None,
) -> dict:
    """All figures of scores (N,) against the truth (N,), and how far they are ahead of other orders (N,).

    What corrects the scores is what a search may know of the networks trained alone, (N,), by default the truth.
    ValueError if the truth is constant.
    """
    if not np.ptp(truth):
        raise ValueError(f"all networks reach {truth[0]:.4f} alone: there is no true order; give them a larger budget")
    cost = space.cost(encodings).T
    orders = {"supernet": scores, **dict(zip(BASELINES, cost, strict=True)), **others}
    pairs = ranking.equal_pairs(cost[0])
    error = ranking.rank_error(scores, truth)
    names, counts = operations(space, encodings)
    figures = {
        "networks": len(truth),
        **taus(orders, truth, rng),
        "spearman": {name: ranking.spearman(order, truth) for name, order in orders.items()},
        "equal_cost": {"pairs": pairs, **taus(orders, truth, rng, cost[0])} if pairs >= PAIRS else None,
        "inside": {f"{share:g}": inside(orders, truth, share, rng) for share in INSIDE},
        "first": {
            str(n): {"true_rank": ranking.true_rank(scores, truth, n), "regret": ranking.regret(scores, truth, n)}
            for n in FIRST
            if n < len(truth)
        },
        "given_up": {name: ranking.regret_within(order, truth, cost[0], FEW, WITHIN) for name, order in orders.items()},
        "operations": dict(zip(names, ranking.operation_bias(error, counts).tolist(), strict=True)),
        "size": ranking.size_bias(error, cost[0]).tolist(),
    }
    known = truth if known is None else known
    figures["corrected"] = found = by_trained(space, encodings, scores, truth, known, rng)
    best = advised(figures)
    figures["corrected_mended"] = by_trained(space, encodings, orders[best.name], truth, known, rng) if best else found
    return figures


def mended(
    space: SearchSpace,
    encodings: np.ndarray,
    scores: np.ndarray,
    told: Mapping[str, np.ndarray] = NOTHING,
    drawn: tuple[np.ndarray, np.ndarray] | None = None,
) -> dict[str, np.ndarray]:
    """By name what each mending would let stand for the scores (N,) of networks (N, L): smoothed by those `drawn` and
    their scores, or else by some of these; those by what tells of untrained networks only if that is told, (N,) each.
    """
    found, told = {}, {name: known(encodings, values) for name, values in told.items()}
    some = np.unique(np.linspace(0, len(scores) - 1, SMOOTH).astype(int))
    smooth = smoothing(space, *(drawn or (encodings[some], scores[some])))(encodings, scores)
    for name, mend in MENDS.items():
        if all(word in told for word, weight in mend.untrained.items() if weight):
            words, plain = replace(mend, smooth=0), smooth if mend.smooth else scores
            found[name] = words.fitted(space, encodings, plain, told)(encodings, plain)
    return found


def gains(figures: dict) -> dict[str, Estimate]:
    """How far each mended order is ahead of the supernet's, in these taus, by its name; the furthest first."""
    behind = {name: Estimate(*estimate) for name, estimate in figures["ahead"].items() if name in MENDS}
    found = {name: Estimate(-value, -high, -low) for name, (value, low, high) in behind.items()}
    return dict(sorted(found.items(), key=lambda pair: -pair[1].value))


def advised(figures: dict) -> Mending:
    """What gains most in tau, of what gains at all, surely loses none among networks of equal cost, and gives up no
    more accuracy within limits.
    """
    there, lost = gains(figures["equal_cost"]) if figures["equal_cost"] else {}, figures["given_up"]
    for name, gain in gains(figures).items():
        if gain.low > 0 and there.get(name, gain).high >= 0 and lost[name] <= lost["supernet"]:
            return MENDS[name]
    return Mending()


def corrects(by_trained: dict[str, dict]) -> bool:
    """Whether as many networks trained alone as were tried rank the others better than the scores alone do."""
    found = list(by_trained.values())
    return bool(found) and found[-1]["corrected"] > found[-1]["supernet"]


def by_trained(
    space: SearchSpace,
    encodings: np.ndarray,
    scores: np.ndarray,
    truth: np.ndarray,
    known: np.ndarray,
    rng: np.random.Generator,
) -> dict[str, dict]:
    """`corrected` for each number of networks that leaves half of them to judge by."""
    some = [n for n in TRAINED if 2 * n <= len(truth)]
    return {str(n): corrected(space, encodings, scores, truth, known, n, rng) for n in some}


def corrected(
    space: SearchSpace,
    encodings: np.ndarray,
    scores: np.ndarray,
    truth: np.ndarray,
    known: np.ndarray,
    n: int,
    rng: np.random.Generator,
) -> dict[str, float]:
    """Tau with the truth (N,) of all networks but n that are drawn, a mean over draws: of the scores (N,), corrected by
    what is known of the n (N,) as `evo/search.py --correct` does, and told from the n alone.
    """
    taus = []
    for _ in range(DRAWS):
        drawn, rest = np.split(rng.permutation(len(truth)), [n])
        trained = Trained(encodings[drawn], known[drawn])
        both = Correction(space, trained, scores[drawn])(encodings[rest], scores[rest])
        orders = (scores[rest], both, Correction(space, trained)(encodings[rest]))
        taus.append([ranking.kendall(order, truth[rest]) for order in orders])
    return dict(zip(("supernet", "corrected", "without"), np.mean(taus, axis=0).tolist(), strict=True))


def taus(
    orders: dict[str, np.ndarray], truth: np.ndarray, rng: np.random.Generator, cost: np.ndarray | None = None
) -> dict:
    """Tau of every order, and how far the supernet's is ahead of the others', on the same resamples.

    With costs (N,), of the pairs alone whose costs are equal.
    """
    times, kendall = ranking.resample(len(truth), rng), ranking.kendall
    if cost is not None:
        kendall = partial(ranking.kendall_at_equal_cost, cost=cost)
    value = {name: kendall(order, truth) for name, order in orders.items()}
    resampled = {name: ranking.kendall_resampled(order, truth, times, cost) for name, order in orders.items()}
    ahead = {
        name: ranking.estimate(value["supernet"] - value[name], resampled["supernet"] - resampled[name])
        for name in orders
        if name != "supernet"
    }
    return {"tau": {name: ranking.estimate(value[name], resampled[name]) for name in orders}, "ahead": ahead}


def inside(orders: dict[str, np.ndarray], truth: np.ndarray, share: float, rng: np.random.Generator) -> dict:
    """`taus` among this share of the truly best; they are None if these are too few."""
    chosen = ranking.best(truth, share)
    if len(chosen) < ranking.FEWEST or not np.ptp(truth[chosen]):
        return {"networks": len(chosen), "tau": None}
    return {"networks": len(chosen), **taus({k: order[chosen] for k, order in orders.items()}, truth[chosen], rng)}


def sentence(figures: dict) -> str:
    """What a person should do, and what mended scores would reach if they gain."""
    mending = advised(figures)
    mended = f" With {mending.flags} its tau is {figures['tau'][mending.name][0]:.2f}." if mending else ""
    return f"{_as_it_is(figures)}{_beyond_cost(figures)}{mended}{_by_loss(figures)}"


def _by_loss(figures: dict) -> str:
    ahead = figures["ahead"].get(BY_LOSS)
    if ahead is None or Estimate(*ahead).high >= 0:
        return ""
    return f" By loss its order is better (tau {figures['tau'][BY_LOSS][0]:.2f}): call again with --by-loss."


def _beyond_cost(figures: dict) -> str:
    if not figures["equal_cost"]:
        return ""
    tau = Estimate(*figures["equal_cost"]["tau"]["supernet"])
    return f" Of networks of equal cost its tau is {tau.value:.2f}{'' if tau.low > 0 else ', which may be chance'}."


def _as_it_is(figures: dict) -> str:
    tau = {name: Estimate(*values).value for name, values in figures["tau"].items()}
    rival = max(BASELINES, key=tau.get)
    against = f"(tau {tau['supernet']:.2f} against {tau[rival]:.2f})"
    ahead, noun = Estimate(*figures["ahead"][rival]), BASELINES[rival]
    if ahead.high < 0:
        return f"Do not search with this supernet: {noun} alone order the networks better {against}; train it longer."
    if ahead.low <= 0:
        return (
            f"Do not rely on this supernet yet: on {figures['networks']} networks its order cannot be told from that "
            f"of {noun} {against}; train it longer, or compare more --networks."
        )
    top = figures["inside"][f"{INSIDE[-1]:g}"]["tau"]
    blind = top is not None and Estimate(*top["supernet"]).low <= 0
    among = ", but among the best tenth it cannot be told from chance" if blind else ""
    n = str(ADVICE) if str(ADVICE) in figures["first"] else max(figures["first"], key=int)
    return (
        f"Search with this supernet: its order is better than that of {noun} {against}{among}; train its first {n} "
        "alone and keep the best on held-out images, which here gives up "
        f"{100 * figures['first'][n]['regret']:.2f} points of accuracy."
    )
