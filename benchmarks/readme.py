"""Fills the figures of README.md and docs/ from benchmarks/records: no number in them is typed.

python benchmarks/readme.py            rewrites them
python benchmarks/readme.py --check    exit code 1 if one is not what the records say
"""

import re
import sys
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
import record
from darts_search import METHODS as SEARCHED
from ranking import BENCHES, CHANGES, PLAIN, READINGS

from evo.proposals import methods

DOCUMENTS = (record.ROOT / "README.md", *sorted((record.ROOT / "docs").glob("*.md")))


def quoted(lines: list[str]) -> str:
    return "\n".join(["```", *(line.rstrip() for line in lines), "```"])


def table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def source(r: dict) -> str:
    """Where a record comes from."""
    machine, versions = r["machine"], r["versions"]
    hardware = f"{machine['cpu']}, {machine['cores']} cores, {machine['gpu'] or 'no GPU'}"
    return f"`{r['command']}`: {hardware}; torch {versions['torch']}; {r['date']}, commit {r['commit']}."


def main_job_rows() -> Iterator[list[str]]:
    for path in sorted(record.RECORDS.glob("main_job-*.json"), reverse=True):
        r = record.load(path.stem)
        m = r["median"]
        seconds = [f"{m[f'{phase}_seconds']:.0f} s" for phase in ("wall", "supernet", "search")]
        counts = [f"{r['runs'][0]['evaluations']:,}", f"{m['peak_memory_mib']:,.0f} MiB", f"{m['hypervolume']:.3f}"]
        yield [path.stem.removeprefix("main_job-"), str(len(r["runs"])), *seconds, *counts]


def main_job() -> str:
    head = ["images", "runs", "wall", "supernet", "search", "evaluations", "peak memory", "hypervolume"]
    records = [record.load(path.stem) for path in sorted(record.RECORDS.glob("main_job-*.json"), reverse=True)]
    return "\n\n".join([table(head, list(main_job_rows())), *map(source, records)])


def oracle(r: dict) -> str:
    rows = [
        [
            name,
            f"{p['architectures']:,}",
            f"{p['block_evaluations']:,} instead of {p['block_evaluations_one_by_one']:,}",
            f"{p['seconds']:.2f} s",
            f"{p['seconds_one_by_one']:.2f} s",
            f"{p['ratio']:.2f} ({p['ratio_min']:.2f} to {p['ratio_max']:.2f})",
        ]
        for name, p in r["populations"].items()
    ]
    head = ["population", "networks", "block evaluations", "at once", "one by one", "ratio (spread)"]
    return f"{table(head, rows)}\n\n{source(r)}"


def oracle_memory() -> str:
    m = record.load("oracle-cpu")["memory"]
    budget, peak = m["budget_bytes"] / 2**20, m["peak_bytes"] / 2**20
    return f"Told to keep within {budget:,.0f} MiB (`--memory`), scoring took {peak:,.0f} MiB at its peak."


def fair_step(r: dict) -> str:
    rows = [
        [
            way,
            f"{1000 * w['seconds']:,.0f} ms",
            f"{w['ratio']:.2f} ({w['ratio_spread'][0]:.2f} to {w['ratio_spread'][1]:.2f})",
            f"{w['passes_per_second']:,.0f}",
            f"{w['flop_per_second'] / 1e9:,.0f} GFLOP/s",
        ]
        for way, w in r["ways"].items()
    ]
    what = f"fairnas, batch of {r['batch']} at {r['image_size']} pixels"
    head = [what, "time", "ratio (spread)", "images x paths per second", "arithmetic"]
    return f"{table(head, rows)}\n\n{source(r)}"


def supernet_training(r: dict) -> str:
    rows = [
        [
            name,
            str(t["epochs"]),
            f"{t['epoch_seconds']:.1f} s",
            f"{t['training_seconds']:.0f} s",
            f"{t['accuracy']:.3f}",
        ]
        for name, t in r["runs"].items()
    ]
    return f"{table(['supernet on CIFAR-10', 'epochs', 'per epoch', 'in all', 'accuracy'], rows)}\n\n{source(r)}"


def gpu() -> str:
    """The tables of a GPU; for each that nobody has measured, a row that says so."""
    tables = {"fair_step-cuda-32": fair_step, "fair_step-cuda-224": fair_step, "fair_step-cuda-32-compiled": fair_step}
    tables |= {"oracle-cuda": oracle, "supernet_training": supernet_training}
    tables |= {"darts_step-gpu": darts_step, "darts_full-cuda": darts_full}
    there = [show(record.load(name)) for name, show in tables.items() if (record.RECORDS / f"{name}.json").exists()]
    gone = [[f"`{name}`", "not measured"] for name in tables if not (record.RECORDS / f"{name}.json").exists()]
    return "\n\n".join(there + ([table(["on a GPU", "`benchmarks/gpu.sh`"], gone)] if gone else []))


def verdict(p: dict) -> str:
    """Of a pick and its random rivals: the difference of the means, and whether it exceeds any network's spread."""
    gap = p["test_accuracy"] - sum(r["test_accuracy"] for r in p["random"]) / len(p["random"])
    spread = max(p["spread"], *(r["spread"] for r in p["random"]))
    word = "better" if gap > spread else "worse" if gap < -spread else "within the spread"
    return f"{word} ({gap:+.4f})"


def picks() -> str:
    """One row per pick and record: its accuracy against that of its random rivals."""
    records = [record.load(path.stem) for path in sorted(record.RECORDS.glob("picks-*.json"))]
    rows = []
    for r in records:
        for name, p in r["picks"].items():
            own = f"{p['test_accuracy']:.4f} ± {p['spread']:.4f}"
            rivals = " ".join(f"{rival['test_accuracy']:.4f}" for rival in p["random"])
            rows.append([r["name"].removeprefix("picks-"), name, f"{p['madds']:,}", own, rivals, verdict(p)])
    head = ["images", "pick", "multiply-adds", "test accuracy, spread", "random networks", "the pick is"]
    return "\n\n".join([table(head, rows), *map(source, records)])


def report() -> str:
    r = record.load("report")
    page = f"The page of a run of {r['evaluations']:,} evaluations has {r['bytes'] / 1e6:.1f} MB"
    seconds = (
        f"takes {r['page_seconds']:.1f} s of processor time to write, {r['command_seconds']:.1f} s with the imports"
    )
    how = f"medians of {r['runs']}, the machine under a load of {r['load']:.0f}"
    return f"{page} and {seconds} of PyTorch and Bokeh ({how}).\n\n{source(r)}"


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
        f"(largest relative difference {r['losses_apart']:.0e})."
    )
    return "\n\n".join([table(head, rows), text, source(r), *_darts_gain_words()])


def _darts_gains() -> dict[str, str]:
    """Per method what it adds to the hypervolume at the first mark, paired, with the 95 % interval of the mean."""
    if not (record.RECORDS / "darts_gain.json").exists():
        return {}
    r = record.load("darts_gain")
    without = [volumes[0] for volumes in r["without"]]
    return {
        name: f"{_change([volumes[0] for volumes in m['hypervolume']], without, 1e4)}; {np.mean(m['front']):.0%}"
        for name, m in r["methods"].items()
    }


def _darts_gain_words() -> Iterator[str]:
    if (record.RECORDS / "darts_gain.json").exists():
        r = record.load("darts_gain")
        m = r["methods"]
        last = ", ".join(
            f"`{name}` {_change([v[-1] for v in m[name]['hypervolume']], [v[-1] for v in r['without']], 1e4)}"
            for name in m
        )
        yield (
            f"What a front gains: hypervolume after {r['marks'][0]} evaluations of `{r['table']}`, in 1e-4 of the true "
            f"front's, against the search of the same seed without the relaxation (mean of {len(r['without'])} pairs, "
            f"trained relaxations of each: {r['relaxations']}; 95 % interval); then its share of the last front. "
            f"After {r['marks'][-1]} evaluations: {last}. The relaxations learnt {r['epochs']} epochs on "
            f"{r['images']} images, far less than the papers'."
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
        skips = [_along(runs.get(space, {}).get("skips")) for space in ("darts_s1", "darts_s3")]
        s4 = runs.get("darts_s4")
        rows.append([f"`{name}`", *skips, f"{s4['noise'][-1]} of {s4['edges'][-1]}" if s4 else "not measured"])
    head = ["method", "skips, `darts_s1`", "skips, `darts_s3`", "noise edges, `darts_s4`"]
    network = r["network"]
    text = (
        f"Skips of the normal cell in the first, middle and last epoch, and edges of both cells that chose noise in "
        f"the last: {r['epochs']} epochs on {r['images']} images of CIFAR-10 at {network['image_size']} pixels, "
        f"{network['channels']} channels and {network['cells']} cells, batches of {r['batch']}; far less than the "
        f"papers' searches. {_entropies(r)}"
    )
    picture = "![Skips and noise after every epoch, by method and space](docs/darts_search.svg)"
    return "\n\n".join([table(head, rows), text, source(r), picture])


def _entropies(r: dict) -> str:
    """How far the alphas decided; sigmoids have an entropy each, of another scale."""
    runs = [run for found in r["spaces"].values() for name, run in found.items() if name != "fair_darts"]
    first, last = (np.mean([run["entropy"][i] for run in runs]) for i in (0, -1))
    return f"The mean entropy of an edge's softmax went from {first:.2f} to {last:.2f} nats: 0 is all decided."


def _along(values: list[int] | None) -> str:
    return "not measured" if values is None else " ".join(str(values[i]) for i in (0, len(values) // 2, -1))


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


def search_efficiency() -> str:
    r = record.load("search_efficiency")
    head = ["engine", *(f"@{n:,}" for n in r["marks"]), *(f"front @{n:,}" for n in r["marks"][1:])]
    tables = [f"{_heading(name, t)}\n\n{table(head, _efficiency(r, t))}" for name, t in r["tables"].items()]
    return "\n\n".join([*tables, source(r)])


def _heading(name: str, t: dict) -> str:
    networks = f"{t['architectures']:,} networks, {t['front']} on the true front"
    return f"`{name}`: {networks}, hypervolume {t['hypervolume']:.5f}"


def _efficiency(r: dict, t: dict) -> list[list[str]]:
    rows = []
    for engine, found in t["engines"].items():
        if " without " not in engine:
            volumes = [f"{np.mean(found['hypervolume'][str(n)]):.5f}" for n in r["marks"]]
            shares = [f"{np.mean(found['front_share'][str(n)]):.0%}" for n in r["marks"][1:]]
            rows.append([engine, *volumes, *shares])
    return rows


def search_ablation() -> str:
    """What leaving a proposer out changes, paired by seed, with the 95 % interval of the mean."""
    r, rows = record.load("search_efficiency"), []
    for name, t in r["tables"].items():
        whole = t["engines"]["FairFront"]
        for engine, found in t["engines"].items():
            if " without " in engine:
                measures = [("hypervolume", n, 1e4) for n in r["marks"]] + [("front_share", r["marks"][-1], 100)]
                changes = [_change(found[key][str(n)], whole[key][str(n)], unit) for key, n, unit in measures]
                rows.append([name, engine.removeprefix("FairFront "), *changes])
    head = ["table", "", *(f"hypervolume @{n:,}, 1e-4" for n in r["marks"]), f"front @{r['marks'][-1]:,}, points"]
    return table(head, rows)


def _change(found: list[float], whole: list[float], unit: float) -> str:
    difference = (np.array(found) - np.array(whole)) * unit
    return f"{difference.mean():+.1f} ± {1.96 * difference.std(ddof=1) / len(difference) ** 0.5:.1f}"


def search_overhead() -> str:
    r = record.load("search_overhead")
    rows = []
    for name, value in r["microseconds"].items():
        each = [found[name] for found in r["rounds"]]
        rows.append([name, f"{value:,.0f} ({min(each):,.0f} to {max(each):,.0f})"])
    head = ["engine", "microseconds of the processor per evaluation (spread)"]
    return f"{table(head, rows)}\n\n{source(r)}"


def cluster() -> str:
    """What the Ray pool gains and costs; or that nobody has measured it."""
    if not (record.RECORDS / "cluster.json").exists():
        return "What it gains and costs: not measured (`benchmarks/cluster.py`)."
    r = record.load("cluster")
    two = f"{r['ratio']:.2f} ({r['ratio_min']:.2f} to {r['ratio_max']:.2f})"
    sides = {"here": ("here", ""), "one": ("one worker", "1.00"), "two": ("two workers", two)}
    rows = [[name, *(f"{x:.2f} s" for x in r["seconds"][side]), ratio] for side, (name, ratio) in sides.items()]
    spread = f"{r['overhead_min']:.2f} to {r['overhead_max']:.2f}"
    text = (
        f"All three give the same scores. The machine was under a load of {r['load']:.0f}: two workers had no two free "
        "cores, and the processor's seconds tell more than the clock's."
        if r["load"] > r["machine"]["cores"]
        else "All three give the same scores."
    )
    text += (
        f" Where next to nothing is to be computed a population takes {r['overhead_seconds']:.2f} s ({spread}). Ray "
        f"started while the supernet trained for {r['training_seconds']:.0f} s, and was then waited for "
        f"{r['waited_seconds']:.1f} s."
    )
    head = ["70 networks of the digits", "time", "of the processor", "throughput (spread)"]
    return f"{table(head, rows)}\n\n{text}\n\n{source(r)}"


def cluster_kills() -> str:
    if not (record.RECORDS / "cluster_kills.json").exists():
        return "What is lost when everything dies: not measured (`benchmarks/cluster_kills.py`)."
    r = record.load("cluster_kills")
    died = ", ".join(f"{kind} {n} times" for kind, n in r["kills"].items())
    text = (
        f"Killed at random moments of the same search, {r['searches']} times in all: {died}. Of "
        f"{r['evaluations']:,} evaluations {r['lost']} were lost, {r['doubled']} were there twice, and {r['other']} "
        "were other than in the same search without a cluster."
    )
    return f"{text}\n\n{source(r)}"


def ranking(space: str, scale: str) -> str:
    """The table of one space at one scale, and what it says of the questions; or that nobody has measured it."""
    name = f"ranking-{space}-{scale}"
    if not (record.RECORDS / f"{name}.json").exists():
        return f"Not measured yet: `benchmarks/ranking.sh` writes `{name}`."
    r = record.load(name)
    what = f"{r['networks']} networks, {_plural(r['seeds'], 'seed')}; `supernet/train.py {r['flags']}` and, by row:"
    rows = [
        [
            variant,
            f"`{r['variants'][variant] or '--fairness strict'}`",
            *_ranked(found["recalibrated"], r["ahead_of_strict"].get(variant)),
        ]
        for variant, found in r["supernets"].items()
    ]
    read = [
        ["strict", reading, *_ranked(s, r["ahead_of_plain"].get(reading))]
        for reading, s in r["supernets"]["strict"].items()
        if reading != "recalibrated"
    ]
    free = [[name, "", "", f"**{tau[0]:.3f}** ({tau[1]:.2f} to {tau[2]:.2f})"] for name, tau in r["baselines"].items()]
    head = [
        "order by",
        "flags or reading",
        "accuracy",
        "tau",
        "ahead of strict",
        "best half",
        "first 10 give up",
        "between seeds",
    ]
    rows = [row + [""] * (len(head) - len(row)) for row in rows + read + free]
    picture = f"![accuracy against truth, coloured by multiply-adds; tau along the training]({name}.png)"
    whence = f"{source(r)} {r.get('note', '')}".strip()
    return "\n\n".join([what, table(head, rows), "\n".join(_answers(r)), picture, whence])


def changes() -> str:
    """What every change and every other reading gains on every space, at the largest scale that is measured."""
    found = {space: _largest(space) for space in BENCHES}
    named = [("ahead_of_strict", name) for name in CHANGES] + [("ahead_of_plain", name) for name in READINGS]
    rows = []
    for key, name in named:
        leads = [(r or {}).get(key, {}).get(name) for r in found.values()]
        if name != PLAIN:
            rows.append([name, *(_lead(lead) if lead else "not measured" for lead in leads)])
    scales = [f"`{space}`{', ' + r['scale'] if r else ''}" for space, r in found.items()]
    return table(["tau gained by", *scales], rows)


def _largest(space: str) -> dict | None:
    names = [f"ranking-{space}-{scale}" for scale in ("full", "reduced")]
    there = [name for name in names if (record.RECORDS / f"{name}.json").exists()]
    return record.load(there[0]) if there else None


def deeper_insights() -> str:
    r = record.load("deeper_insights")
    kept, mean = r["best_tenth_kept"], r["true_rank_of_the_mean"]
    rows = [
        ["tau with the truth at one step (GT-Tau)", _range(r["gt_tau"], 3)],
        *([f"the same averaged over {n} steps", _range(tau, 3)] for n, tau in r["gt_tau_averaged"].items()),
        [f"the same averaged over all {r['steps']} steps", f"{r['tau_of_the_mean']:.3f}"],
        ["at one step, smoothed by a Gaussian process (`--smooth`)", _range(r["gt_tau_smoothed"], 3)],
        ["averaged over all steps and smoothed", f"{r['tau_of_the_mean_smoothed']:.3f}"],
        ["tau of multiply-adds", f"{r['tau_of_multiply_adds']:.3f}"],
        ["tau between a step and the next", _range(r["tau_next_step"], 3)],
        ["tau between steps a round of all networks apart", _range(r["tau_next_round"], 3)],
        *(
            [f"best true rank among the first {n} (T{n}R)", f"{_range(ranks, 1)}; averaged over all steps {mean[n]}"]
            for n, ranks in r["true_rank"].items()
        ),
        ["truly best tenth kept by leaving out the worst quarter", f"{kept['mean']:.0%} ({kept['low']:.0%} at least)"],
    ]
    head = [f"{r['networks']} networks", "mean (lowest to highest)"]
    return f"{table(head, rows)}\n\n{source(r)}"


def _range(spread: dict, digits: int) -> str:
    return f"{spread['mean']:.{digits}f} ({spread['low']:.{digits}f} to {spread['high']:.{digits}f})"


def trust() -> str:
    """What the records of all spaces and scales say in a line each."""
    records = [record.load(path.stem) for path in sorted(record.RECORDS.glob("ranking-*.json"))]
    lines = [line for r in records for line in _trust(r)]
    return "\n".join(lines) if lines else "Nothing is measured yet."


def _trust(r: dict) -> Iterator[str]:
    s, (madds, *_) = r["supernets"]["strict"]["recalibrated"], r["baselines"]["madds"]
    low, high = np.mean(s["intervals"], axis=0)
    against = "better than" if low > madds else "worse than" if high < madds else "not to be told from"
    n, total = r["networks"], _plural(r["seeds"], "seed")
    first = np.mean([found["10"]["true_rank"] for found in s["first"]])
    yield (
        f"- `{r['space']}`, {r['scale']} scale ({n} networks, {total}): the strictly fair supernet's order, tau "
        f"{s['mean']:.2f}, is {against} that of multiply-adds, {madds:.2f}. The best of its first 10 networks is in "
        f"truth number {first:.0f} of {n}, {100 * np.mean([f['10']['regret'] for f in s['first']]):.2f} points of "
        "accuracy behind the best."
    )
    for what, leads in (("trained as", r["ahead_of_strict"]), ("read as", r["ahead_of_plain"])):
        for name, lead in leads.items():
            value, low, high = lead["mean"]
            if not low <= 0 <= high:
                word = "better" if value > 0 else "worse"
                yield f"  - {what} *{name}* it ranks {word}: {value:+.2f} ({low:+.2f} to {high:+.2f})."


def _plural(n: int, what: str) -> str:
    return f"{n} {what}{'s' if n > 1 else ''}"


def _ranked(s: dict, lead: dict | None) -> list[str]:
    """Cells of one order: means over the seeds."""
    low, high = np.mean(s["intervals"], axis=0)
    spread = f"; seeds {min(s['tau']):.2f} to {max(s['tau']):.2f}" if len(s["tau"]) > 1 else ""
    half = [tau for tau in s["inside_best_half"] if tau is not None]
    lost = np.mean([found["10"]["regret"] for found in s["first"]])
    return [
        f"{s['accuracy']:.3f}",
        f"**{s['mean']:.3f}** ({low:.2f} to {high:.2f}{spread})",
        _lead(lead) if lead else "",
        f"{np.mean(half):.2f}" if half else "too few",
        f"{100 * lost:.2f}",
        "" if s["s_tau"] is None else f"{s['s_tau']:.2f}",
    ]


def _lead(lead: dict) -> str:
    value, low, high = lead["mean"]
    return f"{value:+.3f} ({low:+.2f} to {high:+.2f}){'' if low <= 0 <= high else ', **outside**'}"


def _answers(r: dict) -> Iterator[str]:
    """What is over- and underrated by the strictly fair supernet of seed 0, and how its order came about."""
    s = r["supernets"]["strict"]["recalibrated"]
    bias = sorted(s["operations"][0].items(), key=lambda pair: -pair[1])
    yield f"- One more of an operation, in % of the ranks: {', '.join(f'{name} {100 * x:+.1f}' for name, x in bias)}."
    yield f"- Smallest to largest quarter, in % of the ranks: {', '.join(f'{100 * x:+.1f}' for x in s['size'][0])}."
    yield f"- Tau along the training: {', '.join(f'{tau:.2f}' for tau in s['gt_tau'][0].values())}."
    lost = ", ".join(f"{n}: {100 * found['regret']:.2f}" for n, found in s["first"][0].items())
    yield f"- Points of accuracy given up by training the first: {lost}."
    if r["not_learned"]:
        yield f"- At chance, and so not ranked: {', '.join(r['not_learned'])}."
    yield f"- What the command advises: {s['sentence'][0]}"


def scaling_step() -> str:
    """A step in so many processes; on each kind of machine that somebody has measured."""
    found = [record.load(path.stem) for path in sorted(record.RECORDS.glob("scaling-*.json"))]
    return "\n\n".join(map(_scaling, found)) or "Not measured: `benchmarks/scaling.py`."


def _scaling(r: dict) -> str:
    rows = [
        [
            n,
            *(f"{1000 * row[key]:,.0f} ms" for key in ("step", "predicted", "exchange")),
            f"{row['speed_up']:.2f}",
            f"{row['images_times_paths_per_second'] / min(int(n), r['workers']):,.0f}",
        ]
        for n, row in r["processes"].items()
    ]
    head = ["processes", "step", "predicted", "exchange", "times as fast", "images x paths per second and worker"]
    size, paths = r["processes"]["1"]["bytes_of_gradients"] / 2**20, r["processes"]["1"]["paths"]
    wire = f"{size:.1f} MiB of gradients a step; after each of the {paths} paths they would be {paths * size:.1f} MiB."
    what = f"{r['space']}, batch of {r['batch']} at {r['image_size']} pixels, {r['workers']} workers"
    return f"{what}: {wire}\n\n{table(head, rows)}\n\nLoad of the machine: {r['load']}. {source(r)}"


def scaling_evaluations() -> str:
    """What 14,000 evaluations take on workers of the kind that the oracle was measured on."""
    kinds = {"one CPU thread": "oracle-cpu", "one GPU": "oracle-cuda"}
    rows = []
    for kind, name in kinds.items():
        there = (record.RECORDS / f"{name}.json").exists()
        seconds = record.load(name)["populations"]["converged population, recalibrated"]["seconds"] if there else None
        times = [f"{14_000 / 70 * seconds / n:,.0f} s" if there else "not measured" for n in (1, 8, 64)]
        rows.append([kind, *times])
    note = "The supernet of the digits, 287 images, BatchNorm recalibrated; 8 and 64 are the first column divided."
    return f"{table(['14,000 evaluations on', '1', '8', '64 such workers'], rows)}\n\n{note}"


def reliability() -> str:
    """What was tried, by attack, and what came of it; or that nobody has tried it."""
    shows = {"kills": _kills, "damages": _damages, "inputs": _inputs}
    names = {name: f"reliability-{name}" for name in shows}
    there = {name: record.load(of) for name, of in names.items() if (record.RECORDS / f"{of}.json").exists()}
    rows = [show(there[name]["found"]) if name in there else [name, "not tried", ""] for name, show in shows.items()]
    return "\n\n".join(
        [table(["attack", "tried", "lost, silently wrong or crashed"], rows), *map(source, there.values())]
    )


def _kills(found: dict) -> list[str]:
    moments = len(found.keys() - {"kills", "different", "repeated"})
    wrong = f"{found.get('different', 0)} (files or tables that ended otherwise than without a kill)"
    return ["kill -9", f"{found['kills']:,} kills, after {moments} kinds of events", wrong]


def _damages(found: dict) -> list[str]:
    good = {name: found.get(name, 0) for name in ("refused", "previous", "same")}
    wrong = sum(found.values()) - sum(good.values()) - found["damages"]
    text = f"{good['refused']:,} refused, {good['previous']:,} mended, {good['same']:,} read as before"
    return ["damaged files", f"{found['damages']:,} damages; their readers: {text}", str(wrong)]


def _inputs(found: dict) -> list[str]:
    return [
        "wrong input",
        f"{sum(found.values()):,} inputs to {len(found)} functions and scripts",
        "0 (the first ends it)",
    ]


def soak() -> str:
    """A row for every long search that somebody has made."""
    records = [record.load(path.stem) for path in sorted(record.RECORDS.glob("soak-*.json"))]
    if not records:
        return "Not measured yet: `benchmarks/soak.py`."
    head = ["evaluations", "memory grows by", "archive, bytes per evaluation", "milliseconds per evaluation, by tenths"]
    rows = []
    for r in records:
        bytes_each = f"{min(r['bytes_each']):.0f} to {max(r['bytes_each']):.0f}"
        times = " ".join(f"{1000 * seconds:.2f}" for seconds in r["seconds_each"])
        rows.append([f"{r['evaluations'][-1]:,}", f"{r['memory'][-1] - r['memory'][0]:.0f} MiB", bytes_each, times])
    return "\n\n".join([table(head, rows), *map(source, records)])


PARTS: dict[str, Callable[[], str]] = {
    "main-job-output": lambda: quoted(record.load("main_job-digits")["search_output"]),
    "main-job-training": lambda: quoted(record.load("main_job-digits")["train_output"]),
    "cifar10-training": lambda: quoted(record.load("main_job-cifar10")["train_output"]),
    "main-job-table": main_job,
    "fair-step-table": lambda: fair_step(record.load("fair_step-cpu-32")),
    "darts-methods": darts_methods,
    "darts-search": darts_search,
    "oracle-table": lambda: oracle(record.load("oracle-cpu")),
    "oracle-memory": oracle_memory,
    "gpu-tables": gpu,
    "picks-table": picks,
    "report-table": report,
    **{
        f"ranking-{space}-{scale}": partial(ranking, space, scale) for space in BENCHES for scale in ("reduced", "full")
    },
    "ranking-trust": trust,
    "deeper-insights": deeper_insights,
    "ranking-changes": changes,
    "reliability": reliability,
    "soak": soak,
    "search-efficiency": search_efficiency,
    "search-ablation": search_ablation,
    "search-overhead": search_overhead,
    "scaling-step": scaling_step,
    "scaling-evaluations": scaling_evaluations,
    "cluster-table": cluster,
    "cluster-kills": cluster_kills,
}


def fill(text: str) -> str:
    """The README with every part between its two marks made afresh."""
    for name, make in PARTS.items():
        begin, end = f"<!-- begin {name} -->", f"<!-- end {name} -->"
        pattern = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
        text = pattern.sub(lambda _, make=make, b=begin, e=end: f"{b}\n{make()}\n{e}", text)
    return text


if __name__ == "__main__":
    for path in DOCUMENTS:
        old = path.read_text()
        if "--check" in sys.argv and fill(old) != old:
            sys.exit(f"{path.name} is not what the records say: run python benchmarks/readme.py")
        path.write_text(fill(old))
