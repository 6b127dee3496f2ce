"""A search that goes on and on against a tabular oracle: memory, the archive's size and the time of a generation.

    python benchmarks/soak.py --evaluations 100000
The table gives every option of every decision of FairNAS's space a worth; a network's accuracy is their mean.
"""

import resource
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
import record

import search_spaces
from evo import search
from evo.archive import Archive
from evo.config import Config

PARTS = 10  # of the search, compared with one another


class Soak(NamedTuple):
    """One row per tenth of the search: memory in MiB, the archive's bytes and seconds per evaluation within it."""

    evaluations: list[int]
    memory: list[float]
    bytes_each: list[float]
    seconds_each: list[float]


def memory() -> float:
    """MiB that this process holds now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def run(folder: Path, evaluations: int, flags: tuple[str, ...] = ()) -> Soak:
    """A whole search loop, the archive included, without images."""
    space = search_spaces.load("fairnas")
    worth = [np.random.default_rng((1, layer)).random(k) for layer, k in enumerate(space.choices)]
    config = search.command.parse(Config, ["--space", "fairnas", "--evaluations", str(evaluations), *flags], "")
    costs, path = search.load_costs(config, space), folder / "archive.sqlite"
    archive, rows, start = Archive(path, config.names()), [], time.process_time()

    def score(encodings: np.ndarray) -> np.ndarray:
        nonlocal start
        done = len(archive)
        if done >= (len(rows) + 1) * evaluations / PARTS:
            rows.append((done, memory(), path.stat().st_size, time.process_time() - start))
            start = time.process_time()
        accuracy = np.mean([w[encodings[:, layer]] for layer, w in enumerate(worth)], axis=0)
        return np.column_stack([accuracy, costs.rows(encodings)])

    search.evolve(config, costs, score, search.make_engine(config, space, costs), archive)
    rows.append((len(archive), memory(), path.stat().st_size, time.process_time() - start))
    done, held, size, seconds = zip((0, rows[0][1], 0, 0.0), *rows, strict=True)
    each = [max(1, after - before) for before, after in pairwise(done)]
    grown = [(after - before) / n for (before, after), n in zip(pairwise(size), each, strict=True)]
    return Soak(list(done[1:]), list(held[1:]), grown, [s / n for s, n in zip(seconds[1:], each, strict=True)])


def main() -> None:
    parser = record.parser(__doc__)
    parser.add_argument("--evaluations", type=int, default=100_000)
    parser.add_argument("flags", nargs="*", help="for the search, after --")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        found = run(Path(home), arguments.evaluations, tuple(arguments.flags))
    print(record.save(f"soak-{arguments.evaluations}", found._asdict()))


if __name__ == "__main__":
    main()
