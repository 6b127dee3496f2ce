"""The main job as a user runs it: seconds per phase, peak memory, final hypervolume, and what it printed.

    python benchmarks/main_job.py                                    the digits, three times
    python benchmarks/main_job.py --name cifar10 --runs 1 -- --data folder --data-root DIR --space ...
What follows -- goes to evo/search.py. Then A is trained stand-alone in the last run's folder.
"""

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import record

from evo.archive import Archive
from results import front
from supernet import checkpoint

FIGURES = ("wall_seconds", "supernet_seconds", "search_seconds", "other_seconds", "peak_memory_mib", "hypervolume")


def run(folder: Path, flags: list[str]) -> dict:
    """One search in a fresh process."""
    start = time.monotonic()
    command = [sys.executable, "evo/search.py", "--run", str(folder), *flags]
    done = subprocess.run(command, cwd=record.ROOT, capture_output=True, text=True, check=True)
    wall = time.monotonic() - start
    _, meta = checkpoint.load(folder / "supernet.safetensors", "supernet")
    training = sum(row["seconds"] for row in meta["history"])
    searching = Archive(folder / "archive.sqlite").seconds()
    return {
        "wall_seconds": wall,
        "supernet_seconds": training,
        "search_seconds": searching,
        "other_seconds": wall - training - searching,
        "peak_memory_mib": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024,
        "hypervolume": front.load(folder)["hypervolume"],
        "evaluations": front.load(folder)["evaluations"],
        "supernet_accuracy": meta["history"][-1]["accuracy"],
        "stdout": done.stdout.splitlines(),
    }


def stand_alone(folder: Path, flags: list[str]) -> list[str]:
    command = [sys.executable, "results/train.py", str(folder), "--pick", "A", *flags]
    return subprocess.run(command, cwd=record.ROOT, capture_output=True, text=True, check=True).stdout.splitlines()


def main() -> None:
    parser = record.parser(__doc__)
    parser.add_argument("--name", default="digits")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--stand-alone-epochs", help="default: the recipe's")
    parser.add_argument("flags", nargs="*")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        folders = [Path(home) / f"runs/{arguments.name}-{i}" for i in range(arguments.runs)]
        runs = [run(folder, arguments.flags) for folder in folders]
        epochs = ["--epochs", arguments.stand_alone_epochs] if arguments.stand_alone_epochs else []
        trained = stand_alone(folders[-1], epochs)
        shown = [line.replace(str(folders[-1]), f"runs/{arguments.name}") for line in runs[-1]["stdout"]]
        trained = [line.replace(str(folders[-1]), f"runs/{arguments.name}") for line in trained]
    medians = {name: median(r[name] for r in runs) for name in FIGURES}
    for r in runs:
        del r["stdout"]
    figures = {"median": medians, "runs": runs, "search_output": shown, "train_output": trained}
    print(record.save(f"main_job-{arguments.name}", figures))


if __name__ == "__main__":
    main()
