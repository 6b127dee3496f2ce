"""How far supernets rank as NAS-Bench-Macro's truth does: strict fairness against uniform sampling at matched passes,
BatchNorm recalibrated or not, over seeds, against multiply-adds.

    python benchmarks/ranking.py --data-root DIR --table nas-bench-macro_cifar10.json                  on a GPU
    python benchmarks/ranking.py --data-root DIR --table nas-bench-macro_cifar10.json --scale reduced  on a CPU
Everything lies in runs/; called again it goes on where it was. Then it writes the record and docs/'s plots.
"""

from argparse import Namespace
from functools import cache
from pathlib import Path

import numpy as np
import record
from matplotlib import pyplot

from results import rank, ranking
from supernet import checkpoint, command, train

SCALES = {  # flags of supernet/train.py, networks
    "full": ("--image-size 32 --epochs 120 --snapshots 30", 6561),
    "reduced": (
        "--image-size 16 --train-images 5000 --score-images 1000 --epochs 4 --snapshots 1 "
        "--batch-size 32 --lr 0.05 --weight-decay 1e-4 --label-smoothing 0 --threads 1",
        60,
    ),
}
SCHEDULES = ("strict", "uniform")
READINGS = {"recalibrated": 500, "running": 0}  # what BatchNorm does: training images that measure its statistics
ALONG = "recalibrated"  # the reading that is followed along the training
RESULT = "ranking-{}.json"


def measure(folder: Path, schedule: str, seed: int, arguments: Namespace, along: bool) -> None:
    """Trains one supernet and ranks with it in both readings, as far as that is not there yet."""
    flags, networks = SCALES[arguments.scale]
    where = ["--run", str(folder), "--space", "nas_bench_macro", "--data", "folder", "--data-root", arguments.data_root]
    which = ["--fairness", schedule, "--seed", str(seed)]
    train.main(command.parse(train.Config, [*where, *which, *flags.split()], ""))
    config = rank.Config(run=str(folder), table=arguments.table, networks=networks)
    net = cache(lambda: rank.Trained(config))
    for name, recalibrate in READINGS.items():
        path, follow = folder / RESULT.format(name), along and name == ALONG
        if not path.exists() or (follow and len(read(folder, name)["gt_tau"]) == 1):
            net().recalibrate = recalibrate
            checkpoint.save_json(path, rank.compare(config, net(), follow))
            print(folder.name, name, flush=True)


def read(folder: Path, reading: str) -> dict:
    return checkpoint.load_json(folder / RESULT.format(reading), {"score", "truth"}, "delete it and call again")


def summary(found: list[dict]) -> dict:
    """Of the seeds of one schedule in one reading."""
    taus = [each["tau"]["supernet"][0] for each in found]
    scores = np.array([each["score"] for each in found])
    return {
        "accuracy": float(scores.mean()),
        "tau": taus,
        "mean": float(np.mean(taus)),
        "deviation": float(np.std(taus, ddof=1)) if len(taus) > 1 else None,
        "intervals": [each["tau"]["supernet"][1:] for each in found],
        "inside_best_half": [_inside(each, "0.5") for each in found],
        "inside_best_tenth": [_inside(each, "0.1") for each in found],
        "first": [each["first"] for each in found],
        "gt_tau": [each["gt_tau"] for each in found],
        "s_tau": ranking.s_tau(scores) if len(found) > 1 else None,
        "operations": [each["operations"] for each in found],
        "size": [each["size"] for each in found],
        "sentence": [each["sentence"] for each in found],
    }


def _inside(found: dict, share: str) -> float | None:
    tau = found["inside"][share]["tau"]
    return tau and tau["supernet"][0]


def lead(first: list[dict], second: list[dict]) -> ranking.Estimate:
    """How far the mean tau of the first's seeds is ahead of the second's, over resampled networks."""
    truth = np.array(first[0]["truth"])
    times = ranking.resample(len(truth), np.random.default_rng(0))
    sides = [[np.array(each["score"]) for each in side] for side in (first, second)]
    value = [np.mean([ranking.kendall(scores, truth) for scores in side]) for side in sides]
    drawn = [np.mean([ranking.kendall_resampled(scores, truth, times) for scores in side], axis=0) for side in sides]
    return ranking.estimate(value[0] - value[1], drawn[0] - drawn[1])


def plot(found: dict, scale: str) -> None:
    """Supernet accuracy against truth, coloured by multiply-adds; tau along the training."""
    figure, axes = pyplot.subplots(1, 3, figsize=(11, 3.4), layout="constrained")
    for axis, schedule in zip(axes, SCHEDULES, strict=False):
        one = found[schedule, ALONG][0]
        madds = np.array(one["cost"])[:, 0] / 1e6
        dots = axis.scatter(100 * np.array(one["score"]), 100 * np.array(one["truth"]), c=madds, s=12)
        axis.set(xlabel="supernet's accuracy, %", ylabel="true accuracy, %", title=f"{schedule}, {ALONG}, seed 0")
        figure.colorbar(dots, ax=axis, label="multiply-adds, M")
    for schedule in SCHEDULES:
        runs = found[schedule, ALONG]
        taus = np.mean([list(each["gt_tau"].values()) for each in runs], axis=0)
        axes[2].plot(np.linspace(0, 1, len(taus) + 1)[1:], taus, "o-", label=schedule)
    axes[2].axhline(runs[0]["tau"]["madds"][0], color="grey", label="multiply-adds")
    axes[2].set(xlabel="share of the training", ylabel="Kendall's tau", title=ALONG)
    axes[2].legend(fontsize=7)
    figure.savefig(record.ROOT / "docs" / f"ranking-{scale}.png", dpi=90)


def write(found: dict, arguments: Namespace) -> None:
    """The plot and the record."""
    plot(found, arguments.scale)
    one = found["strict", ALONG][0]
    supernets = {}
    for (schedule, reading), runs in found.items():
        supernets.setdefault(schedule, {})[reading] = summary(runs)
    figures = {
        "scale": arguments.scale,
        "seeds": arguments.seeds,
        "networks": one["networks"],
        "flags": SCALES[arguments.scale][0],
        "baselines": {name: one["tau"][name] for name in ("madds", "params")},
        "supernets": supernets,
        "strict_ahead_of_uniform": {r: lead(found["strict", r], found["uniform", r]) for r in READINGS},
        "recalibrated_ahead_of_running": {s: lead(found[s, "recalibrated"], found[s, "running"]) for s in SCHEDULES},
    }
    print(record.save(f"ranking-{arguments.scale}", figures))


def main() -> None:
    parser = record.parser(__doc__)
    parser.add_argument("--data-root", required=True, help="CIFAR-10 as folders, one per class")
    parser.add_argument("--table", required=True)
    parser.add_argument("--scale", choices=SCALES, default="full")
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    home = record.ROOT / "runs" / f"ranking-{arguments.scale}"
    train.load = cache(train.load)  # all runs have the same images, and reading them takes long
    for along in (False, True):  # tau along the training comes last: the record is there without it
        found = {}
        for seed in range(arguments.seeds):
            for schedule in SCHEDULES:
                folder = home / f"{schedule}-{seed}"
                measure(folder, schedule, seed, arguments, along)
                for reading in READINGS:
                    found.setdefault((schedule, reading), []).append(read(folder, reading))
        write(found, arguments)


if __name__ == "__main__":
    main()
