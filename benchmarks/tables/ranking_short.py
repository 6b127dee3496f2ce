"""What may be expected of supernets, in a few lines."""

import numpy as np
import record
from ranking import BENCHES, PLAIN, SCALES

from results import verdict
from tables.text import table


def table_of_spaces() -> str:
    """Of each space the record of the largest scale, a column each."""
    names = [[f"ranking-{space}-{scale}" for scale in SCALES] for space in BENCHES]
    there = [[name for name in each if (record.RECORDS / f"{name}.json").exists()] for each in names]
    records = [record.load(each[0]) for each in there if each]
    found = [_column(r) for r in records]
    heads = [f"`{r['space']}`, {r['scale']}" for r in records]
    return table(["tau of the supernet's order", *heads], [[row, *(each[row] for each in found)] for row in found[0]])


def _column(r: dict) -> dict[str, str]:
    """Of the strictly fair supernet: means over the seeds."""
    s, (madds, *_) = r["supernets"]["strict"][PLAIN], r["baselines"]["madds"]
    lost = np.mean([found["10"]["regret"] for found in s["first"]])
    return {
        "among all networks (of multiply-adds alone)": f"{s['mean']:.2f} ({madds:.2f})",
        "among networks of equal cost": _mean(s["equal_cost"]),
        "among the best tenth": _mean(s["inside_best_tenth"]),
        "with that of another seed": "one seed" if s["s_tau"] is None else f"{s['s_tau']:.2f}",
        "among all, by the flags that mend most there": _mended(r["supernets"]["strict"]),
        "points of accuracy given up by training its first 10": f"{100 * lost:.2f}",
    }


def _mean(taus: list[float | None]) -> str:
    return "too few" if None in taus else f"{np.mean(taus):.2f}"


def _mended(readings: dict[str, dict]) -> str:
    """By the flags of a search that mend most."""
    mended = {name: readings[name]["mean"] for name in verdict.MENDS if name in readings}
    best = max(mended, key=mended.get)
    return f"{mended[best]:.2f}, `{verdict.MENDS[best].flags}`"
