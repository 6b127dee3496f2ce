"""The page of a run of 14,000 made evaluations of FairNAS's space: seconds of processor time, size.

python benchmarks/report.py
"""

import os
import resource
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
from results import report
from supernet import files

EVALUATIONS, POPULATION, RUNS = 14_000, 70, 3


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
    files.save_json(folder / "settings.json", settings)


def command_seconds(folder: Path) -> float:
    """Processor time of the whole command, which a busy machine stretches less than the clock's."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "results/report.py", str(folder)], cwd=record.ROOT, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def page_seconds(folder: Path) -> float:
    """Processor time of reading the run and writing its page."""
    start = time.process_time()
    report.write_page(folder)
    return time.process_time() - start


def main() -> None:
    record.parser(__doc__).parse_args()
    with tempfile.TemporaryDirectory() as home:
        folder = Path(home)
        make(folder)
        found = {"command_seconds": median(command_seconds(folder) for _ in range(RUNS))}
        found["page_seconds"] = median(page_seconds(folder) for _ in range(RUNS))
        found["load"] = os.getloadavg()[0]  # of the machine, meanwhile
        found["bytes"] = (folder / "report.html").stat().st_size
    print(record.save("report", {"evaluations": EVALUATIONS, "runs": RUNS, **found}))


if __name__ == "__main__":
    main()
