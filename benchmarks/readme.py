"""Fills the README's figures from benchmarks/records: no number in it is typed.

python benchmarks/readme.py            rewrites README.md
python benchmarks/readme.py --check    exit code 1 if README.md is not what the records say
"""

import re
import sys
from collections.abc import Callable, Iterator

import numpy as np
import record

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
    "oracle-table": lambda: oracle(record.load("oracle-cpu")),
    "oracle-memory": oracle_memory,
    "gpu-tables": gpu,
    "search-efficiency": search_efficiency,
    "search-ablation": search_ablation,
    "search-overhead": search_overhead,
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
