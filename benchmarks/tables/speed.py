"""What the main job, a step and a population of the oracle cost."""

from collections.abc import Iterator

import record

from tables.darts import darts_full, darts_step
from tables.text import source, table


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
            *([f"{w['peak_memory'] / 2**20:,.0f} MiB"] if r["device"] == "cuda" else []),
        ]
        for way, w in r["ways"].items()
    ]
    what = f"fairnas, batch of {r['batch']} at {r['image_size']} pixels{', compiled' * r['compile']}"
    head = [what, "time", "ratio (spread)", "images x paths per second", "arithmetic"]
    head += ["peak memory of a step"] if r["device"] == "cuda" else []
    return "\n\n".join([table(head, rows), *_ceilings(r), source(r)])


def _ceilings(r: dict) -> list[str]:
    """How far a GPU's fastest way is from what the card can do."""
    if "ceilings" not in r:
        return []
    best, fastest = r["ceilings"], r["ways"][r["profile"]["way"]]
    shares = [fastest[name] / best[name] for name in ("bytes_per_second", "flop_per_second")]
    return [
        f"The fastest way keeps the GPU busy for {r['profile']['busy_share']:.0%} of a step; it moves {shares[0]:.0%} "
        f"of the bytes that a copy moves in the time, as if nothing were fused, and does {shares[1]:.0%} of the "
        "arithmetic of a product of large bfloat16 matrices."
    ]


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


def report() -> str:
    r = record.load("report")
    page = f"The page of a run of {r['evaluations']:,} evaluations has {r['bytes'] / 1e6:.1f} MB"
    seconds = (
        f"takes {r['page_seconds']:.1f} s of processor time to write, {r['command_seconds']:.1f} s with the imports"
    )
    how = f"medians of {r['runs']}, the machine under a load of {r['load']:.0f}"
    return f"{page} and {seconds} of PyTorch and Bokeh ({how}).\n\n{source(r)}"
