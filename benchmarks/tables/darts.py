"""Relaxations: what a step costs, what short searches chose, what a front gains."""

from collections.abc import Iterator

import numpy as np
import record
from darts_search import METHODS as SEARCHED

from evo.proposals import methods
from tables.text import change, source, table


def darts_methods() -> str:
    """The published methods with their settings, what a step costs and what a front gains from each."""
    if not (record.RECORDS / "darts_step-cpu.json").exists():
        return "What a step of each costs: not measured (`benchmarks/darts_step.py`)."
    r, gains = record.load("darts_step-cpu"), _darts_gains()
    rows = []
    for name, make in methods.METHODS.items():
        m, (paper, _, parts) = make(), make.__doc__.rstrip(".").partition(": ")
        rates = f"batch {m.batch_size}, weights {m.lr:g} to {m.lr_min:g}, alphas {m.alpha_lr:g}"
        time, memory = r["time_to_darts"][name], r["memory_to_darts"][name]
        rows.append([f"`{name}`", paper, parts, rates, f"{time:.2f}", f"{memory:.2f}", gains.get(name, "not measured")])
    head = ["name", "paper", "parts", f"settings ({make().epochs} epochs)", "time of a step", "memory", "front gains"]
    plain, ours = r["methods"]["plain"], r["methods"]["darts"]
    text = (
        f"Time and memory of a step are relative to `darts`, which takes {ours['median_seconds']:.1f} CPU seconds and "
        f"{ours['peak_memory_mib']:,.0f} MiB for a batch of {r['batch']} at 32 pixels on the paper's search network; a "
        f"plain transcription of the same method takes {plain['median_seconds'] / ours['median_seconds']:.2f} times as "
        f"long and {plain['peak_memory_mib'] / ours['peak_memory_mib']:.2f} times the memory, at the same losses "
        f"(equal at first; over {len(ours['losses'])} steps in float32 they part by {r['losses_apart']:.0e})."
    )
    return "\n\n".join([table(head, rows), text, source(r), *_darts_gain_words()])


def _darts_gains() -> dict[str, str]:
    """Per method what it adds to the hypervolume at the first mark, paired, with the 95 % interval of the mean."""
    if not (record.RECORDS / "darts_gain.json").exists():
        return {}
    r = record.load("darts_gain")
    without = [volumes[0] for volumes in r["without"]]
    return {
        name: f"{change([volumes[0] for volumes in m['hypervolume']], without, 1e4)}; {np.mean(m['front']):.0%}"
        for name, m in r["methods"].items()
    }


def _darts_gain_words() -> Iterator[str]:
    if (record.RECORDS / "darts_gain.json").exists():
        r = record.load("darts_gain")
        m = r["methods"]
        last = ", ".join(
            f"`{name}` {change([v[-1] for v in m[name]['hypervolume']], [v[-1] for v in r['without']], 1e4)}"
            for name in m
        )
        yield (
            f"What a front gains: hypervolume after {r['marks'][0]} evaluations of `{r['table']}`, in 1e-4 of the true "
            f"front's, against the search of the same seed without the relaxation (mean of {len(r['without'])} pairs, "
            f"trained relaxations of each: {r['relaxations']}; 95 % interval); then its share of the last front. "
            f"After {r['marks'][-1]} evaluations: {last}. The relaxations learnt {r['epochs']} epochs on "
            f"{r['images']:,} images in batches of {r['batch']}, far less than the papers', and their alphas at rates "
            "raised to take them as far (`benchmarks/darts_search.py`)."
        )
        yield source(r)


def darts_search() -> str:
    """What short searches chose in the reduced spaces, once somebody has made them."""
    if not (record.RECORDS / "darts_search-cpu.json").exists():
        return (
            "Which of them fall for skips or noise in the reduced spaces: not measured (`benchmarks/darts_search.py`)."
        )
    r = record.load("darts_search-cpu")
    found = {name: {space: runs[name] for space, runs in r["spaces"].items() if name in runs} for name in SEARCHED}
    rows = []
    for name, runs in found.items():
        skips = [_skips(runs.get(space)) for space in ("darts_s1", "darts_s3")]
        rows.append([f"`{name}`", *skips, _noise(runs.get("darts_s4"))])
    head = ["method", "skips, `darts_s1`", "skips, `darts_s3`", "noise edges, `darts_s4`"]
    network = r["network"]
    text = (
        "Skips of the normal cell in the first, middle and last epoch, and edges of both cells that chose noise in the "
        "last, with the accuracy that the search's own network had by then: "
        f"{r['epochs']} epochs on {r['images']} images of CIFAR-10 at {network['image_size']} pixels, "
        f"{network['channels']} channels and {network['cells']} cells, batches of {r['batch']}; far less than the "
        "papers' searches. The alphas' rates are raised so that they get as far as there, but for FairDARTS's, which "
        "is ten times DARTS's as published: raised too, it decides before the weights have learned, and keeps noise. "
        f"{_entropies(r)}"
    )
    longer = [record.load(path.stem) for path in sorted(record.RECORDS.glob("darts_search-cpu-*.json"))]
    picture = "![Skips and noise after every epoch, by method and space](darts_search.svg)"
    more = ["On more images, for as many epochs:", *map(_longer, longer)] if longer else []
    return "\n\n".join([table(head, rows), text, source(r), picture, *more])


def _longer(r: dict) -> str:
    """The same on more images: skips of the normal cell or noise, and what the search's own network had learnt."""
    parts = []
    for space, runs in r["spaces"].items():
        counted, what = ("noise", "edges that chose noise") if space == "darts_s4" else ("skips", "skips, normal cell")
        head = [f"`{space}`, {r['images']:,} images", f"{what}, by every fifth epoch", "the last one's accuracy"]
        parts.append(table(head, [_row(name, run, counted) for name, run in runs.items()]))
    return "\n\n".join([*parts, source(r)])


def _row(name: str, run: dict, counted: str) -> list[str]:
    counts = " ".join(str(n) for n in (run[counted][0], *run[counted][4::5]))
    return [f"`{name}`", counts, f"{run['accuracy'][-1]:.0%}"]


def _entropies(r: dict) -> str:
    """How far the alphas decided; sigmoids have an entropy each, of another scale."""
    runs = [run for found in r["spaces"].values() for name, run in found.items() if name != "fair_darts"]
    first, last = (np.mean([run["entropy"][i] for run in runs]) for i in (0, -1))
    return (
        "The entropy of an edge's softmax, on average over all spaces and methods that have one, went from "
        f"{first:.2f} to {last:.2f} nats: 0 is all decided."
    )


def _skips(run: dict | None) -> str:
    if run is None:
        return "not measured"
    skips = run["skips"]
    return f"{skips[0]} {skips[len(skips) // 2]} {skips[-1]}; {run['accuracy'][-1]:.0%}"


def _noise(run: dict | None) -> str:
    return "not measured" if run is None else f"{run['noise'][-1]} of {run['edges'][-1]}; {run['accuracy'][-1]:.0%}"


def darts_step(r: dict) -> str:
    rows = [
        [
            name,
            f"{1000 * m['median_seconds']:,.0f} ms",
            f"{r['time_to_darts'][name]:.2f}",
            f"{m['peak_memory_mib']:,.0f} MiB",
        ]
        for name, m in r["methods"].items()
    ]
    head = [f"search step, batch of {r['batch']}", "time", "to darts", "peak memory"]
    return f"{table(head, rows)}\n\n{source(r)}"


def darts_full(r: dict) -> str:
    def shown(seconds: float | None) -> str:
        return "none" if seconds is None else f"{seconds:.1f} s"

    rows = [
        [
            name,
            f"{m['epochs']} of {m['of']}",
            shown(m["seconds_resting"]),
            shown(m["seconds_moving"]),
            shown(m["seconds"]),
        ]
        for name, m in r["methods"].items()
    ]
    head = ["search on CIFAR-10", "epochs", "one with the alphas at rest", "one that moves them", "in all"]
    return f"{table(head, rows)}\n\n{source(r)}"
