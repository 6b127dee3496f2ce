"""The page of a run of 14,000 made evaluations of FairNAS's space: seconds for the whole command, size.

python benchmarks/report.py
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np
import record

import search_spaces
from evo.archive import Archive, Generation
from supernet import checkpoint

EVALUATIONS, POPULATION, RUNS = 14_000, 70, 5


def make(folder: Path) -> None:
    """A run folder as a search leaves it; accuracies are made from the costs and chance."""
    space, rng = search_spaces.load("fairnas"), np.random.default_rng(0)
    encodings = rng.permutation(np.unique(space.sample(rng, 2 * EVALUATIONS), axis=0))[:EVALUATIONS]
    costs = space.cost(encodings)
    low, high = space.cost_range()
    accuracy = 0.5 + 0.2 * np.sqrt((costs - low) / (high - low)).mean(1) + rng.normal(0, 0.01, EVALUATIONS)
    archive = Archive(folder / "archive.sqlite")
    for generation, start in enumerate(range(0, EVALUATIONS, POPULATION)):
        some = slice(start, start + POPULATION)
        who = rng.choice(["random", "evolution", "controller"], POPULATION).tolist()
        rows = np.column_stack([accuracy[some], costs[some]])
        archive.record(generation, Generation(encodings[some], rows, who), 0.0, 0.0)
    settings = {"settings": {}, "space": space.spec, "data": {}, "versions": {}}
    checkpoint.save_json(folder / "settings.json", settings)


def main() -> None:
    record.parser(__doc__).parse_args()
    with tempfile.TemporaryDirectory() as home:
        make(Path(home))
        seconds = []
        for _ in range(RUNS):
            start = time.monotonic()
            subprocess.run([sys.executable, "results/report.py", home], cwd=record.ROOT, check=True)
            seconds.append(time.monotonic() - start)
        start = time.monotonic()
        subprocess.run([sys.executable, "-c", "import torch"], check=True)
        torch_seconds = time.monotonic() - start
        size = (Path(home) / "report.html").stat().st_size
    figures = {"evaluations": EVALUATIONS, "seconds": seconds, "median_seconds": median(seconds), "bytes": size}
    print(record.save("report", figures | {"import_torch_seconds": torch_seconds}))


if __name__ == "__main__":
    main()
