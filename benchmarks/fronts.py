"""What a front is worth in truth if a supernet's scores gave it: as they are, by loss, or mended without training, and
corrected by networks trained alone or not.

    python benchmarks/fronts.py RUN ... --table nas-bench-macro_cifar10.json
The runs are of one space and named VARIANT-SEED; those of --by-loss are read by that too. Every network of the
space is scored, as by a search that has seen all of it, so what is lost is lost by the scores alone. Given up is, in
points of accuracy and in the mean over limits on the multiply-adds, what stays behind the best network within the limit
whoever trains the first so many and keeps the best. Networks that correct are drawn as results/rank.py draws them.
Scores stay in the runs: called again it goes on.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import record
from picks import NEAR

from evo.correction import Correction, Trained
from evo.mending import Mending, known
from evo.survival import nondominated
from results import rank, ranking, truth, verdict
from results.front import hypervolume
from results.judged import Judged, Reading
from search_spaces import SearchSpace
from supernet.compute import Compute

TRAINED = (0, 10, 40)  # networks that correct
DRAWS = 20  # of these networks, and of those that a mending is fitted to
FIRST = (1, 5)  # networks trained in the end
KINDS = ("sized", "smoothed and sized", "sized and naswot", "smoothed and naswot")  # of mending
LIMITS = np.linspace(0.02, 1, 50)  # shares of the networks that are within
READING = Reading()


def worth(scores: np.ndarray, accuracy: np.ndarray, cost: np.ndarray) -> dict[str, float]:
    """Of scores (N,) in place of the true accuracies (N,), for networks of this cost (N, 2): tau, of all and inside the
    truly best tenth; the front's true hypervolume as a share of the true front's, and its size; by the number trained,
    the accuracy given up, 0..1; the share that the first beats of the networks that cost the same.
    """
    front = nondominated(np.column_stack([-scores, cost]))
    volumes = (volume(accuracy, cost, rows) for rows in (front, nondominated(np.column_stack([-accuracy, cost]))))
    within = [cost[:, 0] <= limit for limit in np.quantile(cost[:, 0], LIMITS)]
    lost = {str(n): ranking.regret_within(scores, accuracy, cost[:, 0], n, LIMITS) for n in FIRST}
    tenth = ranking.best(accuracy, 0.1)
    taus = {"tau": ranking.kendall(scores, accuracy), "tenth": ranking.kendall(scores[tenth], accuracy[tenth])}
    beats = np.mean([beaten(np.where(w, scores, -np.inf).argmax(), accuracy, cost[:, 0]) for w in within])
    found = taus | {"volume": np.divide(*volumes), "size": front.sum(), **lost, "beats": beats}
    return {name: float(value) for name, value in found.items()}


def beaten(pick: int, accuracy: np.ndarray, madds: np.ndarray) -> float:
    """Share of the other networks within NEAR of the pick's multiply-adds (N,) that it is better than; ties half."""
    same = np.abs(madds / madds[pick] - 1) <= NEAR
    ahead = np.sign(accuracy[pick] - accuracy[same])  # its own is a tie
    return 0.5 + ahead.sum() / max(1, same.sum() - 1) / 2


def volume(accuracy: np.ndarray, cost: np.ndarray, rows: np.ndarray) -> float:
    """The true hypervolume of these networks, in the box of all."""
    values = np.column_stack([-accuracy, cost])
    return hypervolume(values[rows], values.min(0), values.max(0))


def corrected(space: SearchSpace, encodings, accuracy, scores: np.ndarray | None, n: int, seed: int) -> np.ndarray:
    """Scores (N,) or None -> accuracies (N,), told by n networks trained alone that are drawn; by none: as they are."""
    if not n:
        return scores
    row = {tuple(encoding): i for i, encoding in enumerate(encodings.tolist())}
    chosen = [row[tuple(encoding)] for encoding in rank.sample(space, n, np.random.default_rng(seed)).tolist()]
    trained = Trained(encodings[chosen], accuracy[chosen])
    return Correction(space, trained, None if scores is None else scores[chosen])(encodings, scores)


def mended(space: SearchSpace, encodings: np.ndarray, scores, naswot, mend: Mending, seed: int) -> np.ndarray:
    """Scores (N,) and NASWOT (N,) of all networks (N, L) -> what a search would let stand for them."""
    accuracy, told = known(encodings, scores), {"naswot": known(encodings, naswot)}
    return mend.of(space, accuracy, seed, told)(encodings)


def over(found: Sequence[dict[str, float]]) -> dict[str, float]:
    """Of draws: means, but medians of what is given up, which one draw in many makes large, and the most of it."""
    columns = {name: [each[name] for each in found] for name in found[0]}
    lost = {str(n) for n in FIRST}
    middle = {name: float((np.median if name in lost else np.mean)(column)) for name, column in columns.items()}
    return middle | {f"{name}_most": float(np.max(columns[name])) for name in sorted(lost)}


def figures(
    space: SearchSpace, encodings: np.ndarray, accuracy: np.ndarray, scores: dict, by_loss: dict, naswot: np.ndarray
) -> dict:
    """Of supernets by name, what each says of the networks (N, L), or says by loss, and NASWOT (N,): by the number of
    networks that correct it.
    """
    cost, truly = space.cost(encodings), (space, encodings, accuracy)
    free = {"multiply-adds": cost[:, 0], verdict.UNTRAINED["naswot"]: naswot}

    def told(given: Callable, numbers: Sequence[int]) -> dict[str, dict]:
        """Of the scores given(seed), over the draws."""
        return {str(n): over([drawn(given(seed), n, seed) for seed in range(DRAWS)]) for n in numbers}

    def drawn(scores: np.ndarray | None, n: int, seed: int) -> dict[str, float]:
        return worth(corrected(*truly, scores, n, seed), accuracy, cost)

    def mends(scores: np.ndarray, mend: Mending) -> dict[str, dict]:
        each = [mended(space, encodings, scores, naswot, mend, seed) for seed in range(DRAWS)]
        return told(each.__getitem__, TRAINED)

    kinds = {"supernet": (scores, Mending())} | ({verdict.BY_LOSS: (by_loss, Mending())} if by_loss else {})
    kinds |= {name: (scores, verdict.MENDS[name]) for name in KINDS}
    return {
        "space": space.name,
        "networks": len(encodings),
        "draws": DRAWS,
        "supernets": {
            kind: {name: mends(s, mend) for name, s in given.items()} for kind, (given, mend) in kinds.items()
        },
        "alone": told(lambda seed: None, TRAINED[1:]),
        "free": {name: over([worth(order, accuracy, cost)]) for name, order in free.items()},
    }


def main() -> None:
    parser = record.parser(__doc__)
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--table", required=True)
    parser.add_argument("--by-loss", nargs="*", default=[], metavar="VARIANT-SEED")
    arguments = parser.parse_args()
    runs = {run.name: Judged(str(run), READING, Compute(threads=1)) for run in arguments.runs}
    space = next(iter(runs.values())).space
    encodings = rank.sample(space, space.size, np.random.default_rng(0))
    accuracy = truth.from_table(arguments.table, space)(encodings)
    scores = {name: judged.scores(encodings) for name, judged in runs.items()}
    by_loss = {name: judged.likelihoods(encodings) for name, judged in runs.items() if name in arguments.by_loss}
    naswot = next(iter(runs.values())).told()["naswot"](encodings)
    print(record.save(f"fronts-{space.name}", figures(space, encodings, accuracy, scores, by_loss, naswot)))


if __name__ == "__main__":
    main()
