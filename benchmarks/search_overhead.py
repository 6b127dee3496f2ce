"""What the search itself costs: processor time per evaluation where the objectives cost nothing, peers in the same run.

    python benchmarks/search_overhead.py [--rounds 3]
200 generations of 70 over 19 decisions of 6 options, three objectives, all of them unknown to the predictor.
"""

import time
from functools import partial
from statistics import median

import numpy as np
import record
from search_efficiency import run, without

from evo import peers
from evo.engine import NSGA2, Engine

CHOICES, POPULATION, GENERATIONS = (6,) * 19, 70, 200
WEIGHTS = np.random.default_rng(0).random((19, 6, 3))


def objectives(encodings: np.ndarray) -> np.ndarray:
    return WEIGHTS[np.arange(19), encodings].sum(1) * [-1, 1, 1]


def fairfront(leave_out: str | None) -> Engine:
    return NSGA2(CHOICES, POPULATION, proposers=without(CHOICES, leave_out))


ENGINES = {
    "FairFront without predictor": partial(fairfront, "predictor"),
    "pymoo": lambda: peers.Peer(peers.Pymoo(CHOICES, 3, POPULATION)),
    "DEAP": lambda: peers.Peer(peers.Deap(CHOICES, 3, POPULATION)),
    "FairFront": partial(fairfront, None),
}


def microseconds(engine: Engine, seed: int) -> float:
    start, evaluations = time.process_time(), GENERATIONS * POPULATION
    run(engine, objectives, evaluations, seed)
    return (time.process_time() - start) / evaluations * 1e6


def main() -> None:
    parser = record.parser(__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    rounds = [{name: microseconds(make(), seed) for name, make in ENGINES.items()} for seed in range(arguments.rounds)]
    medians = {name: median(each[name] for each in rounds) for name in ENGINES}
    print(record.save("search_overhead", {"microseconds": medians, "rounds": rounds}))


if __name__ == "__main__":
    main()
