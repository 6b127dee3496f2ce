"""How what is told of networks before any training orders them: alone, and beside the scores of supernets.

    python benchmarks/untrained.py RUN ... --tables DIR
    python benchmarks/untrained.py RUN ... --networks 40 --epochs 8      in truth: trained alone, on the run's images
The runs are those of benchmarks/ranking.py, runs/ranking-SCALE/SPACE/VARIANT-SEED, or any. Scores stay in them: called
again it goes on.
"""

from pathlib import Path

import fronts
import numpy as np
import ranking as benches
import record

from results import rank, ranking, verdict
from results.judged import Judged, Reading
from search_spaces import SearchSpace
from supernet.compute import Compute
from supernet.fit import Training

TENTH = 0.1


def figures(space: SearchSpace, encodings: np.ndarray, accuracy: np.ndarray, scores: np.ndarray, told: dict) -> dict:
    """Of networks (N, L): by order, tau with their true accuracies (N,), of all, of pairs of equal cost and inside the
    best tenth, and what `fronts.worth` tells, None where too few are of equal cost. `told` is known of them before any
    training, (N,) by name.
    """
    cost, rng = space.cost(encodings), np.random.default_rng(0)
    orders = dict(zip(verdict.BASELINES.values(), cost.T, strict=True)) | {"supernet": scores}
    orders |= {verdict.UNTRAINED[name]: values for name, values in told.items()}
    orders |= verdict.mended(space, encodings, scores, told)
    every, equal = (verdict.taus(orders, accuracy, rng, *near)["tau"] for near in ((), (cost[:, 0],)))
    few = ranking.equal_pairs(cost[:, 0]) < verdict.PAIRS
    tenth = verdict.inside(orders, accuracy, TENTH, rng)["tau"] or dict.fromkeys(orders)
    return {
        name: {"tau": every[name], "equal_cost": None if few else equal[name], "tenth": tenth[name]}
        | {"beats": None if few else fronts.worth(order, accuracy, cost)["beats"]}
        for name, order in orders.items()
    }


def main() -> None:
    parser = record.parser(__doc__)
    parser.add_argument("runs", nargs="+", type=Path)
    truth = parser.add_mutually_exclusive_group(required=True)
    truth.add_argument("--tables", type=Path, help="where published ones lie")
    truth.add_argument("--epochs", type=int, help="train every network alone")
    parser.add_argument("--networks", type=int, default=1000, help="of every space, spread evenly over multiply-adds")
    arguments = parser.parse_args()
    found = {}
    for run in arguments.runs:
        net = Judged(str(run), Reading(), Compute(threads=1))
        table = arguments.tables and str(arguments.tables / benches.BENCHES[net.space.name].table)
        config = rank.Config(str(run), table, training=Training(epochs=arguments.epochs), compute=Compute(threads=1))
        encodings = rank.sample(net.space, arguments.networks, np.random.default_rng(0))
        accuracy, _ = rank.true_accuracies(config, net)(encodings)
        told, scores = {name: tell(encodings) for name, tell in net.told().items()}, net.scores(encodings)
        found[str(run)] = {
            "space": net.space.name,
            "scale": run.resolve().parent.parent.name.removeprefix("ranking-"),
            "networks": len(encodings),
            "truth": "published" if table else f"trained alone here for {arguments.epochs} epochs",
            "accuracy": float(scores.mean()),
            "orders": figures(net.space, encodings, accuracy, scores, told),
            "by_weight": {
                word: benches.by_weight(word, net.space, encodings, scores, accuracy, told) for word in benches.WORDS
            },
        }
    print(record.save("untrained" if arguments.tables else "untrained-own", {"runs": found}))


if __name__ == "__main__":
    main()
