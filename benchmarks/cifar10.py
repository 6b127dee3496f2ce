"""The question of the whole project on CIFAR-10: are the picks of a `fairnas` search better than chance at their cost?

    python benchmarks/cifar10.py --data-root DIR                      # in full, for a GPU
    python benchmarks/cifar10.py --data-root DIR --reduced short      # fewer epochs and one random network per pick
    python benchmarks/cifar10.py --data-root DIR --reduced            # the chain of the digits, an hour of one CPU core
    python benchmarks/cifar10.py --data-root DIR --reduced fairnas    # the same for `fairnas`

DIR holds train/ and test/, each with one subfolder of images per class. Supernet, search and all trainings are in
runs/, so a call that was ended goes on when it is made again (benchmarks/cifar10.sh ends it in time). Reduced, images
are smaller and fewer: of `fairnas` one core trains 60 a second, six paths each.
"""

import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import picks
import record

from evo.archive import Archive
from results import front
from supernet import checkpoint, files


class Scale(NamedTuple):
    """Flags of evo/search.py and of results/train.py; random networks per pick; seeds of every training."""

    search: str
    training: str
    random: int
    seeds: list[str]


SCALES = {
    "cifar10": Scale(
        "--space fairnas --space-options stem_stride=1 --evaluations 2000",
        "--recipe cifar --epochs 100",
        random=3,
        seeds=["0", "1", "2"],
    ),
    "cifar10-short": Scale(
        "--space fairnas --space-options stem_stride=1 --epochs 30 --evaluations 500",
        "--recipe cifar --epochs 10",
        random=1,
        seeds=["0"],
    ),
    "cifar10-reduced": Scale(
        "--space digits --image-size 16 --train-images 10000 --score-images 2000 --epochs 8 --batch-size 64 --lr 0.1 "
        "--evaluations 300",
        "--recipe digits --epochs 3",
        random=1,
        seeds=["0", "1"],
    ),
    "cifar10-fairnas": Scale(
        "--space fairnas --space-options stem_stride=1 --image-size 16 --train-images 10000 --score-images 1000 "
        "--epochs 12 --batch-size 64 --lr 0.1 --evaluations 200",
        "--recipe digits --epochs 5",
        random=1,
        seeds=["0", "1"],
    ),
}
END = 60  # seconds in which what is stopped ends
REDUCED = {None: "cifar10", "short": "cifar10-short", "digits": "cifar10-reduced", "fairnas": "cifar10-fairnas"}


def call(command: list[str]) -> None:
    """Ends with it if it does not end well; stopped, waits until it has saved what it must."""
    process = subprocess.Popen([sys.executable, *command], cwd=record.ROOT)
    try:
        code = process.wait()
    except KeyboardInterrupt:
        with suppress(subprocess.TimeoutExpired):
            process.wait(END)
        raise
    if code:
        sys.exit(code)


def main() -> None:
    parser = record.parser(__doc__)
    parser.add_argument("--data-root", required=True)
    parser.add_argument("--reduced", nargs="?", const="digits", choices=tuple(filter(None, REDUCED)))
    given = parser.parse_args()
    name = REDUCED[given.reduced]
    scale, run = SCALES[name], Path("runs") / name
    images = ["--data", "folder", "--data-root", given.data_root]
    if not (record.ROOT / run / "front.json").exists():
        call(["evo/search.py", "--run", str(run), *images, *scale.search.split()])
    chosen = picks.choose(record.ROOT / run, scale.random)
    call(picks.training(run, chosen, scale.seeds, scale.training.split()))
    meta = checkpoint.meta(record.ROOT / run / "supernet.safetensors", "supernet")
    figures = {
        "search": scale.search,
        "training": scale.training,
        "supernet_accuracy": meta["history"][-1]["accuracy"],
        "supernet_seconds": sum(row["seconds"] for row in meta["history"]),
        "search_seconds": Archive(record.ROOT / run / "archive.sqlite").seconds(),
        "evaluations": front.load(record.ROOT / run)["evaluations"],
        "images": files.load_json(record.ROOT / run / "settings.json", {"data"}, "")["data"],
        "picks": picks.compare(record.ROOT / run, chosen, scale.seeds),
    }
    print(record.save(f"picks-{name}", figures))


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("stopped: called again it goes on")
