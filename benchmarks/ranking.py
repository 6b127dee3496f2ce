"""How far supernets rank as published truths do: who trains next at matched passes, how densely weights are shared, how
the accuracies are read, and changes beyond FairNAS; over seeds, against multiply-adds and params.

    python benchmarks/ranking.py --data-root DIR --tables DIR                  on a GPU
    python benchmarks/ranking.py --data-root DIR --tables DIR --scale reduced  on a CPU
    ... --scale medium --variants strict --seeds 1                             one longer training on a CPU
Everything lies in runs/; called again it goes on where it was. A space's record and plot are written when it is done.
"""

import hashlib
import sys
from argparse import Namespace
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import record
from matplotlib import pyplot

import search_spaces
from evo.mending import NOTHING, Mending, known
from results import rank, ranking, truth, verdict
from results.judged import Judged, Reading
from results.verdict import Meaningless
from search_spaces import SearchSpace
from supernet import command, files, train

SCHEDULES = {
    "strict": "",
    "expectation": "--fairness expectation",
    "dealt": "--fairness dealt",
    "uniform": "--fairness uniform",
}
CHANGES = {  # beyond FairNAS's algorithm, or back to it
    "summed": "--shared-gradient sum",
    "pruned": "--prune 0.5",
}
DENSITIES = {
    "turns": "--fairness turns",
    "turns, fixed order": "--fairness turns --order fixed",
    "8 random groups": "--groups 8 --grouping random",
    "8 similar groups": "--groups 8",
    **{f"8 similar groups, {k} of 4 cells shared": f"--groups 8 --shared-prefix {k}" for k in range(1, 5)},
}
PLAIN = "recalibrated"
FREE = (*verdict.BASELINES, *verdict.UNTRAINED.values())  # orders without any training
WORDS, WEIGHTS = ("size", *verdict.UNTRAINED), (0.0, 0.25, 0.5, 1.0, 2.0)
READINGS = {
    PLAIN: Reading(),
    "running": Reading(recalibrate=0),
    "batch": Reading(batch_statistics=True),
    "mean of the last 3": Reading(average=3),
    "by loss": Reading(by_loss=True),
    **{name: Reading(mending=mend) for name, mend in verdict.MENDS.items()},
    "fine-tuned": Reading(finetune=8),
}


class Bench(NamedTuple):
    """A space: its table, its variants' flags, and by scale the flags of all and the number of networks."""

    table: str
    variants: dict[str, str]
    scales: dict[str, tuple[str, int]]


KEPT = "--label-smoothing 0"
CPU = f"{KEPT} --snapshots 1 --weight-decay 1e-4 --threads 1"
SCALES = ("full", "medium", "reduced", "dry")  # the largest first
DRY = f"{CPU} --image-size 8 --train-images 640 --score-images 1000 --epochs 3 --batch-size 16 --lr 0.05"
BENCHES = {
    "nas_bench_macro": Bench(
        "nas-bench-macro_cifar10.json",
        SCHEDULES | CHANGES,
        {
            "full": (f"{KEPT} --image-size 32 --epochs 120 --snapshots 30", 6561),
            "reduced": (
                f"{CPU} --image-size 16 --train-images 5000 --score-images 1000 --epochs 4 --batch-size 32 --lr 0.05",
                120,
            ),
            "medium": (
                f"{CPU} --image-size 16 --train-images 45000 --score-images 1000 --epochs 8 --batch-size 64 --lr 0.1",
                120,
            ),
            "dry": (DRY, 12),
        },
    ),
    "nas_bench_201": Bench(
        "nasbench201_cifar10.csv",
        SCHEDULES | CHANGES,
        {
            "full": (f"{KEPT} --image-size 32 --epochs 60 --snapshots 15", 15625),
            "medium": (
                f"{CPU} --image-size 16 --train-images 45000 --score-images 1000 --epochs 16 --batch-size 64 --lr 0.1 "
                "--space-options channels=8 cells=2",
                120,
            ),
            "dry": (f"{DRY} --space-options channels=4 cells=1", 12),
        },
    ),
    "three_edge": Bench(
        "deeper_insights_64_truth.csv",
        SCHEDULES | DENSITIES | CHANGES,
        {
            "full": (f"{KEPT} --image-size 32 --epochs 50 --snapshots 10 --lr 0.025 --weight-decay 1e-3", 64),
            "medium": (
                f"{CPU} --image-size 16 --train-images 45000 --score-images 1000 --epochs 8 --batch-size 64 --lr 0.1 "
                "--space-options channels=8",
                64,
            ),
            "dry": (f"{DRY} --space-options channels=4", 64),
        },
    ),
}


def measure(space: str, variant: str, reading: str, seed: int, arguments: Namespace) -> dict:
    """One supernet in one reading: trained and read if that is not there yet."""
    bench = BENCHES[space]
    flags, every = bench.scales[arguments.scale]
    networks = arguments.networks or every
    few = f"-{arguments.networks}" if arguments.networks else ""  # figures of so many are never taken for those of all
    folder = record.ROOT / "runs" / f"ranking-{arguments.scale}" / space / f"{variant.replace(' ', '_')}-{seed}"
    path = folder / f"ranking-{reading.replace(' ', '_')}{few}.json"
    if not path.exists():
        where = ["--run", str(folder), "--space", space, "--data", "folder", "--data-root", arguments.data_root]
        which = [*flags.split(), *bench.variants[variant].split(), "--seed", str(seed)]
        train.main(command.parse(train.Config, [*where, *which], ""))
        table = str(Path(arguments.tables) / bench.table)
        config = rank.Config(run=str(folder), table=table, networks=networks, reading=READINGS[reading])
        files.save_json(path, ranked(config, along=reading == PLAIN and seed == 0))
        print(folder.name, reading, flush=True)
    return files.load_json(path, set(), "delete it and call again")


def ranked(config: rank.Config, along: bool) -> dict:
    """What rank.py finds, or why it means nothing."""
    try:
        return rank.compare(config, Judged(config.run, config.reading, config.compute), along)
    except Meaningless as error:
        return {"refused": str(error)}


def summary(found: list[dict]) -> dict:
    """Of the seeds of one variant in one reading."""
    taus = [each["tau"]["supernet"][0] for each in found]
    scores = np.array([each["score"] for each in found])
    return {
        "accuracy": float(scores.mean()),
        "tau": taus,
        "mean": float(np.mean(taus)),
        "deviation": float(np.std(taus, ddof=1)) if len(taus) > 1 else None,
        "intervals": [each["tau"]["supernet"][1:] for each in found],
        "equal_cost": [_at_equal_cost(each, "supernet") for each in found],
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


def _at_equal_cost(found: dict, name: str) -> float | None:
    return found["equal_cost"] and found["equal_cost"]["tau"][name][0]


def resampled(scores: np.ndarray, truth: np.ndarray, kept: Path) -> np.ndarray:
    """Tau of scores (N,) on every resample of the networks, (R,). Of a whole space that takes seconds: it is `kept`."""
    path = kept / f"{hashlib.blake2b(scores.tobytes() + truth.tobytes(), digest_size=16).hexdigest()}.json"
    if not path.exists():
        times = ranking.resample(len(truth), np.random.default_rng(0))
        path.parent.mkdir(parents=True, exist_ok=True)
        files.save_json(path, {"tau": ranking.kendall_resampled(scores, truth, times).tolist()})
    return np.array(files.load_json(path, {"tau"}, "delete it and call again")["tau"])


def lead(first: list[dict], second: list[dict], kept: Path) -> dict:
    """How far the mean tau of the first's seeds is ahead of the second's, over resampled networks; and seed by seed."""
    truth, n = np.array(first[0]["truth"]), min(len(first), len(second))
    sides = [[np.array(each["score"]) for each in side[:n]] for side in (first, second)]
    value = [np.array([ranking.kendall(scores, truth) for scores in side]) for side in sides]
    drawn = [np.mean([resampled(scores, truth, kept) for scores in side], axis=0) for side in sides]
    ahead = ranking.estimate((value[0] - value[1]).mean(), drawn[0] - drawn[1])
    return {"mean": ahead, "seeds": (value[0] - value[1]).tolist()}


def baselines(one: dict, arguments: Namespace) -> dict[str, ranking.Estimate]:
    """Tau of what costs nothing; and of the truth, smoothed as `--smooth` smooths a supernet: all that can leave."""
    space = search_spaces.load(one["space"])
    accuracy = truth.from_table(str(Path(arguments.tables) / BENCHES[space.name].table), space)
    smoothed = verdict.MENDS["smoothed"].of(space, accuracy, 0)
    orders = {"supernet": smoothed(np.array(one["encoding"]))}
    tau = verdict.taus(orders, np.array(one["truth"]), np.random.default_rng(0))["tau"]["supernet"]
    return {name: one["tau"][name] for name in FREE} | {"the truth, smoothed": tau}


def by_weight(
    word: str, space: SearchSpace, encodings: np.ndarray, scores: np.ndarray, truth: np.ndarray, told=NOTHING
) -> dict[str, float]:
    """Tau of scores (N,) in which the size, or what is told of untrained networks, (N,) by name, has a word: by its
    weight.
    """
    told = {name: known(encodings, values) for name, values in told.items()}
    mends = {f"{weight:g}": Mending(**{f"{word.replace('-', '_')}_weight": weight}) for weight in WEIGHTS}
    fitted = {weight: mend.fitted(space, encodings, scores, told) for weight, mend in mends.items()}
    return {weight: ranking.kendall(mended(encodings, scores), truth) for weight, mended in fitted.items()}


def by_weight_over(word: str, found: list[dict]) -> dict[str, float]:
    """The same in the mean over the seeds of one variant."""
    space, columns = search_spaces.load(found[0]["space"]), ("encoding", "score", "truth")
    told = [{name: np.array(one[name]) for name in verdict.UNTRAINED} for one in found]
    taus = [
        by_weight(word, space, *(np.array(one[column]) for column in columns), words)
        for one, words in zip(found, told, strict=True)
    ]
    return {weight: float(np.mean([tau[weight] for tau in taus])) for weight in taus[0]}


def plot(space: str, found: dict, path: Path) -> None:
    """Supernet accuracy against truth, coloured by multiply-adds; tau along the training."""
    shown = [name for name in SCHEDULES if (name, PLAIN) in found]
    figure, axes = pyplot.subplots(1, 1 + len(shown), figsize=(3.7 * (1 + len(shown)), 3.4), layout="constrained")
    for axis, variant in zip(axes, shown, strict=False):
        one = found[variant, PLAIN][0]
        madds = np.array(one["cost"])[:, 0] / 1e6
        dots = axis.scatter(100 * np.array(one["score"]), 100 * np.array(one["truth"]), c=madds, s=12)
        axis.set(xlabel="supernet's accuracy, %", ylabel="true accuracy, %", title=f"{variant}, seed 0")
        figure.colorbar(dots, ax=axis, label="multiply-adds, M")
        taus = list(one["gt_tau"].values())
        axes[-1].plot(np.linspace(0, 1, len(taus) + 1)[1:], taus, "o-", label=variant)
    axes[-1].axhline(one["tau"]["madds"][0], color="grey", label="multiply-adds")
    axes[-1].set(xlabel="share of the training", ylabel="Kendall's tau, seed 0")
    axes[-1].legend(fontsize=7)
    figure.savefig(path, dpi=80)


def write(space: str, everything: dict, arguments: Namespace) -> None:
    """The plot and the record, of all that could be ranked."""
    found = {key: runs for key, runs in everything.items() if not any("refused" in run for run in runs)}
    if ("strict", PLAIN) not in found:
        raise ValueError(f"{space}: {everything['strict', PLAIN][0]['refused']}")
    name, pictures = f"ranking-{space}-{arguments.scale}", record.ROOT / "docs"
    if arguments.scale == "dry":  # which leaves nothing among the figures
        record.RECORDS = pictures = record.ROOT / "runs" / "ranking-dry"
    plot(space, found, pictures / f"{name}.png")
    one, supernets = found["strict", PLAIN][0], {}
    for (variant, reading), runs in found.items():
        supernets.setdefault(variant, {})[reading] = summary(runs)
        if reading == PLAIN:
            supernets[variant][reading]["by_trained"] = [run["corrected"] for run in runs]
    refused = [variant for variant, reading in everything.keys() - found.keys() if reading == PLAIN]
    flags, _ = BENCHES[space].scales[arguments.scale]
    kept = record.ROOT / "runs" / f"ranking-{arguments.scale}" / space / "resampled"
    figures = {
        "scale": arguments.scale,
        "space": space,
        "seeds": len(found["strict", PLAIN]),
        "networks": one["networks"],
        "flags": flags,
        "variants": BENCHES[space].variants,
        "baselines": baselines(one, arguments),
        "baselines_equal_cost": {name: _at_equal_cost(one, name) for name in FREE},
        "supernets": supernets,
        **{f"by_{w}_weight": {v: by_weight_over(w, found[v, PLAIN]) for v in supernets} for w in WORDS},
        "not_learned": sorted(refused),
        "ahead_of_strict": {v: lead(found[v, PLAIN], found["strict", PLAIN], kept) for v in supernets if v != "strict"},
        "ahead_of_plain": {
            reading: lead(found["strict", reading], found["strict", PLAIN], kept)
            for reading in supernets["strict"]
            if reading != PLAIN
        },
    }
    print(record.save(name, figures))


def main() -> None:
    parser = record.parser(__doc__)
    parser.add_argument("--data-root", required=True, help="CIFAR-10 as folders, one per class")
    parser.add_argument("--tables", required=True, help="folder with " + ", ".join(b.table for b in BENCHES.values()))
    parser.add_argument("--scale", choices=SCALES, default="full")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--spaces", nargs="+", choices=BENCHES, default=list(BENCHES))
    parser.add_argument("--variants", nargs="+", help="only these, NAME:1 with one seed; default: all")
    parser.add_argument(
        "--readings", nargs="*", choices=READINGS, default=list(READINGS), help="only these; default: all"
    )
    parser.add_argument("--networks", type=int, help="score only so many")
    arguments = parser.parse_args()
    train.load = cache(train.load)  # all runs have the same images, and reading them takes long
    spaces = [space for space in arguments.spaces if arguments.scale in BENCHES[space].scales]
    asked = {space: wanted(space, arguments) for space in spaces}  # what is wrong is said before anything is trained
    for space, variants in asked.items():
        found: dict[tuple[str, str], list[dict]] = {}
        for variant, reading, seed in plan(variants, arguments.readings):
            found.setdefault((variant, reading), []).append(measure(space, variant, reading, seed, arguments))
        write(space, found, arguments)


def wanted(space: str, arguments: Namespace) -> dict[str, int]:
    """The variants of this space and their numbers of seeds; ValueError if one is unknown, or the table not there."""
    bench = BENCHES[space]
    words = [word.partition(":") for word in arguments.variants or bench.variants]
    variants = {name: int(seeds or arguments.seeds) for name, _, seeds in words}
    if "strict" not in variants:
        raise ValueError("all others are compared with strict: name it among the --variants")
    if unknown := sorted(variants.keys() - bench.variants.keys()):
        raise ValueError(f"{space} has no --variants {', '.join(unknown)}; it has {', '.join(bench.variants)}")
    truth.from_table(str(Path(arguments.tables) / bench.table), search_spaces.load(space))
    return variants


def plan(variants: dict[str, int], readings: list[str]) -> list[tuple[str, str, int]]:
    """What is measured, of variants and their seeds: seed by seed every variant, then strict fairness in every reading,
    the slowest with seed 0.
    """
    plain = [
        (name, PLAIN, seed) for seed in range(max(variants.values())) for name in variants if seed < variants[name]
    ]
    strict, others = variants.get("strict", 0), [reading for reading in readings if reading != PLAIN]
    return plain + [
        ("strict", r, seed) for seed in range(strict) for r in others if seed == 0 or not READINGS[r].finetune
    ]


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
