"""Whole searches as published, on real CIFAR-10: seconds of an epoch, and what was found.

    python benchmarks/darts_full.py data/cifar10 [--methods pc_darts darts] [--minutes 3]
On the paper's search network, with the published batch, in the precision that `--precision auto` means. Each method
gets so many minutes; called again, it goes on after the last epoch that was done.
"""

import signal
from pathlib import Path
from statistics import median

import record

import search_spaces
from evo.proposals import methods
from evo.proposals.relax import relax
from supernet import checkpoint
from supernet.compute import Compute
from supernet.data import Data, DataConfig, load


class Over(BaseException):
    """The minutes are over; no error that anything would catch on its way."""


def stop(*_) -> None:
    raise Over


def search(name: str, data: Data, compute: Compute, minutes: float, folder: Path) -> dict | None:
    """Of the epochs that are done, None if there are none: seconds of one in which the alphas rest, and of one in which
    they move.
    """
    method, path = methods.method(name), folder / f"{name}.safetensors"
    space = search_spaces.load("darts", data.image_size, len(data.classes))
    signal.signal(signal.SIGALRM, stop)
    signal.alarm(int(60 * minutes))
    try:
        relax(method, space, data, 0, path, context=compute.context(data.mean.device))
    except Over:
        print(f"{name}: {minutes:g} minutes are over")
    signal.alarm(0)
    if not path.exists():
        print(f"{name}: not one epoch was done; give it more --minutes")
        return None
    history = checkpoint.meta(path, "relaxation")["history"]
    warm = [row["seconds"] for row in history if row["epoch"] <= method.warmup * method.epochs]
    moving = [row["seconds"] for row in history[len(warm) :]]
    return {
        "epochs": len(history),
        "of": method.epochs,
        "batch": method.batch_size,
        "seconds_resting": median(warm) if warm else None,
        "seconds_moving": median(moving) if moving else None,
        "seconds": sum(row["seconds"] for row in history),
        "skips": [row["skips"] for row in history],
        "genotype": space.describe(history[-1]["encoding"]),
    }


def main() -> None:
    parser = record.parser(__doc__)
    parser.add_argument("root", help="CIFAR-10 as a folder of one subfolder per class")
    parser.add_argument("--methods", nargs="+", default=["pc_darts", "darts"])
    parser.add_argument("--minutes", type=float, default=3.0)
    parser.add_argument("--folder", type=Path, default=record.ROOT / "runs" / "darts_full")
    arguments = parser.parse_args()
    compute = Compute()
    device = compute.target()
    data = load(DataConfig("folder", arguments.root)).to(device)
    figures = {"images": len(data.train.labels), "methods": {}}
    for name in arguments.methods:
        if found := search(name, data, compute, arguments.minutes, arguments.folder):
            figures["methods"][name] = found
            print(record.save(f"darts_full-{device.type}", figures))


if __name__ == "__main__":
    main()
