"""Evaluations that a search needs: every engine on published tables, paired seeds, all in one run.

    python benchmarks/search_efficiency.py nas-bench-macro_cifar10.json nasbench201_cifar10.csv [--seeds 20]
Objectives: accuracy up, multiply-adds and params down, each scaled to [0, 1] by the whole table's best and worst;
hypervolume against (1, 1, 1) of everything evaluated so far, as a share of the true front's. An evaluation is an
encoding never asked before (of NAS-Bench-Macro all 6,561, equal networks counted apart), for every engine alike.
FairFront computes costs without an evaluation, as in a real search; the others' loops have no use for that.
--optuna adds Optuna's NSGA-II, which takes minutes, where it is installed.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import record

from evo import peers
from evo.engine import Engine, generation_rng, minimise
from evo.proposers import Proposer
from evo.ratios import default_proposers
from evo.survival import nondominated
from results.front import hypervolume
from supernet.table import TableOracle

EVALUATIONS = 1000
MARKS = (200, 500, 1000)
CURVE = (20, 30, 50, 70, 100, 150, 200, 300, 400, 500, 600, 700, 800, 900, 1000)
WITHOUT = ("predictor", "controller", "roulette", "regulator")
POPULATIONS = (20, 70)


class Problem:
    """A table as a search sees it: values (N, 3), all minimised, each scaled to [0, 1]."""

    def __init__(self, path: str):
        self.name, table = Path(path).stem, TableOracle(path).table
        self.choices = tuple(int(last) + 1 for last in table.encodings.max(0))
        values = np.column_stack([-table.accuracy, table.cost])
        order = np.argsort(self.number(table.encodings))
        self.values = ((values - values.min(0)) / np.ptp(values, axis=0))[order]
        self.front = nondominated(self.values)
        self.full = self.hypervolume(self.front)

    def number(self, encodings: np.ndarray) -> np.ndarray:
        return np.ravel_multi_index(encodings.T, self.choices)

    def objectives(self, encodings: np.ndarray) -> np.ndarray:
        return self.values[self.number(encodings)]

    def cheap(self) -> dict[int, Callable[[np.ndarray], np.ndarray]]:
        return {m: lambda encodings, m=m: self.objectives(encodings)[:, m] for m in (1, 2)}

    def hypervolume(self, rows: np.ndarray) -> float:
        found = self.values[rows]
        return hypervolume(found[nondominated(found)], np.zeros(3), np.ones(3))


def without(choices: tuple[int, ...], name: str | None) -> dict[Proposer, float]:
    return {proposer: share for proposer, share in default_proposers(choices).items() if proposer.name != name}


def fairfront(problem: Problem, seed: int, leave_out: str | None = None) -> np.ndarray:
    proposers = without(problem.choices, leave_out)
    return minimise(problem.choices, problem.objectives, EVALUATIONS, seed, cheap=problem.cheap(), proposers=proposers)[
        0
    ]


def random(problem: Problem, seed: int) -> np.ndarray:
    numbers = np.random.default_rng(seed).permutation(len(problem.values))[:EVALUATIONS]
    return np.stack(np.unravel_index(numbers, problem.choices), axis=1)


def peer(loop: type[peers.Loop], population: int, problem: Problem, seed: int) -> np.ndarray:
    return run(peers.Peer(loop(problem.choices, 3, population)), problem.objectives, EVALUATIONS, seed)


def run(engine: Engine, objectives: Callable, evaluations: int, seed: int) -> np.ndarray:
    asked = []
    for generation in range(evaluations):
        batch, _ = engine.ask(generation_rng(seed, generation), engine.generation(evaluations - sum(map(len, asked))))
        engine.tell(batch, objectives(batch))
        asked.append(batch)
        if sum(map(len, asked)) == evaluations:
            break
    return np.concatenate(asked)


def optuna(problem: Problem, seed: int) -> np.ndarray:
    """Its NSGA-II sampler as it comes, options as categories."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(directions=["minimize"] * 3, sampler=optuna.samplers.NSGAIISampler(seed=seed))
    asked = {}
    while len(asked) < EVALUATIONS:
        trial = study.ask()
        encoding = tuple(trial.suggest_categorical(str(i), range(k)) for i, k in enumerate(problem.choices))
        asked[encoding] = True
        study.tell(trial, problem.objectives(np.array([encoding]))[0].tolist())
    return np.array(list(asked))


def engines(with_optuna: bool) -> dict[str, Callable[[Problem, int], np.ndarray]]:
    found = {"FairFront": fairfront}
    found |= {f"FairFront without {name}": partial(fairfront, leave_out=name) for name in WITHOUT}
    for loop in (peers.Pymoo, peers.Deap):
        found |= {f"{loop.__name__}, population {n}": partial(peer, loop, n) for n in POPULATIONS}
    if with_optuna:
        found["Optuna"] = optuna
    return {**found, "random": random}


def measure(problem: Problem, search: Callable[[Problem, int], np.ndarray], seeds: int) -> dict:
    """Per seed: hypervolume along the curve, share of the true front at the marks."""
    curves, shares = [], []
    for seed in range(seeds):
        numbers = problem.number(search(problem, seed))
        if len(np.unique(numbers)) < EVALUATIONS:
            raise RuntimeError("an encoding was asked twice")
        curves.append([problem.hypervolume(numbers[:n]) / problem.full for n in CURVE])
        shares.append([problem.front[numbers[:n]].sum() / problem.front.sum() for n in MARKS])
    low, high = np.quantile(curves, (0.1, 0.9), axis=0)
    return {
        "hypervolume": {str(n): [curve[CURVE.index(n)] for curve in curves] for n in MARKS},
        "front_share": {str(n): [share[i] for share in shares] for i, n in enumerate(MARKS)},
        "curve": {"mean": np.mean(curves, axis=0).tolist(), "low": low.tolist(), "high": high.tolist()},
    }


def main() -> None:
    parser = record.parser(__doc__)
    parser.add_argument("tables", nargs="+")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--optuna", action="store_true")
    arguments = parser.parse_args()
    tables = {}
    for problem in map(Problem, arguments.tables):
        results = {}
        for name, search in engines(arguments.optuna).items():
            results[name] = measure(problem, search, arguments.seeds)
            at = {n: float(np.mean(values)) for n, values in results[name]["hypervolume"].items()}
            print(problem.name, name, at, flush=True)
        front = {"front": int(problem.front.sum()), "hypervolume": problem.full}
        tables[problem.name] = {"architectures": len(problem.values), **front, "engines": results}
    figures = {"seeds": arguments.seeds, "marks": MARKS, "evaluations": CURVE, "tables": tables}
    print(record.save("search_efficiency", figures))


if __name__ == "__main__":
    main()
