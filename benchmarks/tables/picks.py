"""Picks beside random networks of equal multiply-adds."""

import record

from tables.ranking import beats, by_space
from tables.text import plural, source, table

ORDERS = {
    "supernet": "as they are",
    "sized": "`--size-weight`",
    "naswot": "`--naswot-weight`",
    "smoothed and sized": "`--smooth --size-weight`",
    "az-nas": "`--az-nas-weight`",
    "naswot and az-nas": "`--az-nas-weight --naswot-weight`",
}  # by what mends them


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
    """Where the truth is known: which share of the networks of its cost the supernet's first beats."""
    rows = [
        [
            f"`{space}`, {runs[0]['networks']:,} networks, {plural(len(runs), 'seed')}",
            *(beats(runs, o) for o in ORDERS),
        ]
        for path in sorted(record.RECORDS.glob("untrained*.json"), reverse=True)
        for (space, _), runs in by_space(record.load(path.stem)).items()
        if runs[0]["orders"]["supernet"]["equal_cost"]  # enough networks of equal cost
    ]
    return table(["supernet's scores", *ORDERS.values()], rows)
