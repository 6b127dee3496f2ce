"""What a search gains from each relaxation: pairs of searches on a published table, with it and without it.

    python benchmarks/darts_gain.py data/nasbench201_cifar10.csv data/cifar10 [--relaxations 3] [--seeds 10]
Each method learns on few real images of CIFAR-10 at 16 pixels, in a small network of NAS-Bench-201 (settings as in
darts_search.py), and then proposes beside the others, as in evo/search.py. The table says what its proposals are worth.
Every relaxation has --seeds searches; the one without it has the same seed and as many evaluations. Called again, it
goes on with the relaxations that are there; the record holds the methods that are done.
"""

from pathlib import Path

import numpy as np
import record
import torch
from darts_search import BATCH, IMAGES, SCORE, shortened
from search_efficiency import Problem

import search_spaces
from evo.engine import NSGA2, generation_rng
from evo.proposals import methods
from evo.proposals.proposer import SHARE, RelaxationProposer
from evo.proposals.relax import relax
from evo.ratios import default_proposers
from evo.survival import nondominated
from supernet.data import Data, DataConfig, load

NETWORK = {"image_size": 16, "channels": 8, "cells": 1}
EPOCHS = 8
MARKS = (100, 200, 300)


def relaxation(name: str, seed: int, data: Data, folder: Path) -> RelaxationProposer:
    """The trained proposer, from the folder as far as it is there."""
    space, path = search_spaces.load("nas_bench_201", **NETWORK), folder / f"{name}-{seed}.safetensors"
    return RelaxationProposer(*relax(shortened(name, IMAGES, EPOCHS), space, data, seed, path))


def search(problem: Problem, seed: int, proposer: RelaxationProposer | None) -> dict:
    """Hypervolume at the marks; the proposer's share of all that was asked and of the front found."""
    proposers = default_proposers(problem.choices)
    if proposer:
        proposers = {other: share * (1 - SHARE) for other, share in proposers.items()} | {proposer: SHARE}
    engine, names = NSGA2(problem.choices, 70, cheap=problem.cheap(), proposers=proposers), []
    for generation in range(MARKS[-1]):
        if len(names) == MARKS[-1]:
            break
        asked = engine.ask(generation_rng(seed, generation), engine.generation(MARKS[-1] - len(names)))
        engine.tell(asked.encodings, problem.objectives(asked.encodings), proposers=asked.proposers)
        names += list(asked.proposers)
    rows = problem.number(engine.encodings)
    own = np.array([proposer is not None and name == proposer.name for name in names])
    front = nondominated(problem.values[rows])
    volumes = [problem.hypervolume(rows[:n]) / problem.full for n in MARKS]
    return {"hypervolume": volumes, "asked": float(own.mean()), "front": float(own[front].mean())}


def main() -> None:
    parser = record.parser(__doc__)
    parser.add_argument("table")
    parser.add_argument("root", help="CIFAR-10 as a folder of one subfolder per class")
    parser.add_argument("--relaxations", type=int, default=3)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--folder", type=Path, default=record.ROOT / "runs" / "darts_gain")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    problem, size = Problem(arguments.table), NETWORK["image_size"]
    data = load(DataConfig("folder", arguments.root, size, train_images=IMAGES, score_images=SCORE))
    searches = range(arguments.relaxations * arguments.seeds)
    without = [search(problem, seed, None)["hypervolume"] for seed in searches]
    figures = {"table": problem.name, "network": NETWORK, "images": IMAGES, "epochs": EPOCHS, "batch": BATCH}
    figures |= {"marks": MARKS, "relaxations": arguments.relaxations, "without": without, "methods": {}}
    for name in methods.METHODS:
        trained = [relaxation(name, seed, data, arguments.folder) for seed in range(arguments.relaxations)]
        found = [search(problem, seed, trained[seed // arguments.seeds]) for seed in searches]
        figures["methods"][name] = {key: [each[key] for each in found] for key in found[0]}
        print(record.save("darts_gain", figures))


if __name__ == "__main__":
    main()
