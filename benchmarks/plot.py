"""Draws docs/search_efficiency.svg from its record: what is still missing of the true hypervolume, against evaluations.

python benchmarks/plot.py
"""

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import record

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


def main() -> None:
    r = record.load("search_efficiency")
    mpl.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "fairfront", "font.size": 9})
    figure, panels = plt.subplots(1, len(r["tables"]), figsize=(9, 3.6), sharey=True, layout="constrained")
    for axes, (name, table) in zip(panels, r["tables"].items(), strict=True):
        draw(axes, name, table, r["evaluations"])
    panels[0].set_ylabel("share of the true hypervolume missing")
    panels[-1].legend(fontsize=7)
    folder = record.ROOT / "docs"
    folder.mkdir(exist_ok=True)
    figure.savefig(folder / "search_efficiency.svg", metadata={"Date": None})


if __name__ == "__main__":
    main()
