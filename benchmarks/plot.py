"""Draws the figures of docs/ from their records.

search_efficiency.svg: what is still missing of the true hypervolume, against evaluations. picks.svg: test accuracy of
picks and of their random rivals, against multiply-adds. darts_search.svg: skips of the normal cell, and edges that
chose noise, after every epoch of a relaxation.

    python benchmarks/plot.py
"""

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import record
from matplotlib.ticker import EngFormatter

SHOWN = {
    "FairFront": "#c1272d",
    "FairFront without predictor": "#e8a33d",
    "Pymoo, population 20": "#0b5394",
    "Pymoo, population 70": "#6fa8dc",
    "Deap, population 20": "#38761d",
    "random": "#777777",
}
LEAST = 2e-5  # of a share that is missing; nothing at all has no place on a logarithmic axis


def draw(axes, name: str, table: dict, evaluations: list[int]) -> None:
    for engine, colour in SHOWN.items():
        curve = table["engines"][engine]["curve"]
        mean, low, high = (np.maximum(LEAST, 1 - np.array(curve[key])) for key in ("mean", "low", "high"))
        axes.plot(evaluations, mean, color=colour, label=engine, linewidth=1.5)
        axes.fill_between(evaluations, low, high, color=colour, alpha=0.15, linewidth=0)
    axes.set(yscale="log", xlabel="unique evaluations", title=f"{name}: {table['architectures']:,} networks")
    axes.grid(alpha=0.3)


def efficiency() -> mpl.figure.Figure:
    r = record.load("search_efficiency")
    figure, panels = plt.subplots(1, len(r["tables"]), figsize=(9, 3.6), sharey=True, layout="constrained")
    for axes, (name, table) in zip(panels, r["tables"].items(), strict=True):
        draw(axes, name, table, r["evaluations"])
    panels[0].set_ylabel("share of the true hypervolume missing")
    panels[-1].legend(fontsize=7)
    return figure


def picks() -> mpl.figure.Figure:
    """A panel per record; bars are the deviation over the seeds."""
    records = [record.load(path.stem) for path in sorted(record.RECORDS.glob("picks-*.json"))]
    figure, panels = plt.subplots(
        1, len(records), figsize=(4.5 * len(records), 3.2), squeeze=False, layout="constrained"
    )
    for axes, r in zip(panels[0], records, strict=True):
        rivals = [rival for found in r["picks"].values() for rival in found["random"]]
        points(axes, rivals, "#777777", "random, same multiply-adds")
        points(axes, list(r["picks"].values()), "#c1272d", "picks")
        for name, found in r["picks"].items():
            axes.annotate(name, (found["madds"], found["test_accuracy"]), (5, 4), textcoords="offset points")
        axes.set(xlabel="multiply-adds", ylabel="test accuracy", title=r["name"].removeprefix("picks-"))
        axes.xaxis.set_major_formatter(EngFormatter())
        axes.grid(alpha=0.3)
    panels[0][0].legend(fontsize=7, loc="lower right")
    return figure


def points(axes, found: list[dict], colour: str, label: str) -> None:
    madds, accuracy, spread = ([f[key] for f in found] for key in ("madds", "test_accuracy", "spread"))
    axes.errorbar(madds, accuracy, spread, fmt="o", ms=4, color=colour, elinewidth=0.8, capsize=2, label=label)


def darts_search() -> mpl.figure.Figure:
    """A panel per reduced space."""
    spaces = record.load("darts_search-cpu")["spaces"]
    figure, panels = plt.subplots(1, len(spaces), figsize=(3 * len(spaces), 3), squeeze=False, layout="constrained")
    for axes, (space, runs) in zip(panels[0], spaces.items(), strict=True):
        counted, what, most = (
            ("noise", "noise edges", 16) if space == "darts_s4" else ("skips", "skips, normal cell", 8)
        )
        for name, run in runs.items():
            axes.plot(range(1, len(run[counted]) + 1), run[counted], label=name, linewidth=1.5)
        axes.set(xlabel="epoch", title=f"{space}: {what}", ylim=(-0.02 * most, 1.02 * most))
        axes.grid(alpha=0.3)
    panels[0][0].legend(fontsize=7)
    return figure


def main() -> None:
    mpl.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "fairfront", "font.size": 9})
    folder = record.ROOT / "docs"
    folder.mkdir(exist_ok=True)
    for name, make in {"search_efficiency": efficiency, "picks": picks, "darts_search": darts_search}.items():
        make().savefig(folder / f"{name}.svg", metadata={"Date": None})


if __name__ == "__main__":
    main()
