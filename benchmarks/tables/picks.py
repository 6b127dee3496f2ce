"""Picks beside random networks of equal multiply-adds."""

import numpy as np
import record

from tables.text import source, table


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
            rivals = ", ".join(f"{rival['test_accuracy']:.4f} ± {rival['spread']:.4f}" for rival in p["random"])
            rows.append([r["name"].removeprefix("picks-"), name, f"{p['madds']:,}", own, rivals, verdict(p)])
    head = ["images", "pick", "multiply-adds", "test accuracy, spread", "random networks, spread", "the pick is"]
    return "\n\n".join([table(head, rows), *map(source, records)])


def published() -> str:
    """Where every network's true accuracy is published: which share of those of its cost the supernet's first beats."""
    records = [record.load(path.stem) for path in sorted(record.RECORDS.glob("fronts-*.json"))]
    kinds = list(dict.fromkeys(kind for r in records for kind in r["supernets"]))
    rows = [
        [f"`{r['space']}`, all {r['networks']:,}", *(_beats(r["supernets"].get(kind, {})) for kind in kinds)]
        for r in records
    ]
    return table(["networks", *(kind.replace("supernet", "as it is") for kind in kinds)], rows)


def _beats(by_run: dict) -> str:
    """Without networks trained alone, in the mean over the strictly fair supernets."""
    strict = [by_number["0"]["beats"] for name, by_number in by_run.items() if name.startswith("strict")]
    return f"{np.mean(strict):.0%}" if strict else ""
