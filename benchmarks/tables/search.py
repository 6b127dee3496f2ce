"""What a search reaches by evaluations, and what it costs itself."""

import numpy as np
import record

from tables.text import change, source, table


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
                changes = [change(found[key][str(n)], whole[key][str(n)], unit) for key, n, unit in measures]
                rows.append([name, engine.removeprefix("FairFront "), *changes])
    head = ["table", "", *(f"hypervolume @{n:,}, 1e-4" for n in r["marks"]), f"front @{r['marks'][-1]:,}, points"]
    return table(head, rows)


def search_overhead() -> str:
    r = record.load("search_overhead")
    rows = []
    for name, value in r["microseconds"].items():
        each = [found[name] for found in r["rounds"]]
        rows.append([name, f"{value:,.0f} ({min(each):,.0f} to {max(each):,.0f})"])
    head = ["engine", "microseconds of the processor per evaluation (spread)"]
    return f"{table(head, rows)}\n\n{source(r)}"
