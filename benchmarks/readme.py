"""Fills the README's figures from benchmarks/records: no number in it is typed.

python benchmarks/readme.py            rewrites README.md
python benchmarks/readme.py --check    exit code 1 if README.md is not what the records say
"""

import re
import sys
from collections.abc import Callable, Iterator

import numpy as np
import record

from evo.proposals import methods

README = record.ROOT / "README.md"


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
    """The published methods with their settings and what a step costs."""
    r = record.load("darts_step-cpu")
    rows = []
    for name, make in methods.METHODS.items():
        m, (paper, _, parts) = make(), make.__doc__.rstrip(".").partition(": ")
        rates = f"batch {m.batch_size}, weights {m.lr:g} to {m.lr_min:g}, alphas {m.alpha_lr:g}"
        time, memory = r["time_to_darts"][name], r["memory_to_darts"][name]
        rows.append([f"`{name}`", paper, parts, rates, f"{time:.2f}", f"{memory:.2f}"])
    head = ["name", "paper", "parts", f"settings ({make().epochs} epochs)", "time of a step", "memory"]
    plain, ours = r["methods"]["plain"], r["methods"]["darts"]
    text = (
        f"Time and memory of a step are relative to `darts`, which takes {ours['median_seconds']:.1f} CPU seconds and "
        f"{ours['peak_memory_mib']:,.0f} MiB for a batch of {r['batch']} at 32 pixels on the paper's search network; a "
        f"plain transcription of the same method takes {plain['median_seconds'] / ours['median_seconds']:.2f} times as "
        f"long and {plain['peak_memory_mib'] / ours['peak_memory_mib']:.2f} times the memory, at the same losses "
        f"(largest relative difference {r['losses_apart']:.0e}). Not measured on a GPU."
    )
    return f"{table(head, rows)}\n\n{text}\n\n{source(r)}"


def darts_search() -> str:
    """What short searches chose in the reduced spaces, once somebody has made them."""
    if not (record.RECORDS / "darts_search-cpu.json").exists():
        return (
            "Which of them fall for skips or noise in the reduced spaces: not measured (`benchmarks/darts_search.py`)."
        )
    r = record.load("darts_search-cpu")
    rows = []
    for name in r["spaces"]["darts_s3"]:
        s3, s4 = (r["spaces"][space][name] for space in ("darts_s3", "darts_s4"))
        skips = "; ".join(" ".join(str(run["skips"][i]) for i in (0, len(run["skips"]) // 2, -1)) for run in s3)
        noise = " ".join(str(run["noise"][-1]) for run in s4)
        rows.append([f"`{name}`", skips, noise])
    head = [
        "method",
        "`darts_s3`: skips of 8, first, middle and last epoch",
        "`darts_s4`: noise edges of 16 at the end",
    ]
    text = f"{r['epochs']} epochs on the digits with 8 channels and 3 cells, far less than the papers' searches."
    return f"{table(head, rows)}\n\n{text}\n\n{source(r)}"


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
    rows = [[name, f"{value:,.0f}"] for name, value in r["microseconds"].items()]
    return f"{table(['engine', 'microseconds of the processor per evaluation'], rows)}\n\n{source(r)}"


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
}


def fill(text: str) -> str:
    """The README with every part between its two marks made afresh."""
    for name, make in PARTS.items():
        begin, end = f"<!-- begin {name} -->", f"<!-- end {name} -->"
        pattern = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
        text = pattern.sub(lambda _, make=make, b=begin, e=end: f"{b}\n{make()}\n{e}", text)
    return text


if __name__ == "__main__":
    old = README.read_text()
    if "--check" in sys.argv:
        sys.exit("README.md is not what the records say: run python benchmarks/readme.py" if fill(old) != old else 0)
    README.write_text(fill(old))
