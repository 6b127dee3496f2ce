"""The report's figures for papers, each as PNG and SVG."""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter

from evo.proposals import drawing
from results import curves
from results.charts import COLOURS
from results.reading import Run
from search_spaces.cell import Cell
from supernet.files import write

SIZE = (4.5, 3.2)  # inches
DPI = 200


def draw(run: Run, folder: Path) -> list[str]:
    """Writes every figure the run has something for, and the cells of its picks as SVG; returns their names."""
    found = {f"front-{cost}": _front(run, cost) for cost in run.names[1:] if len(run.scored.rows)}
    if convergence := curves.convergence(run.scored, run.objectives, run.limits, run.names):
        found["convergence"] = _lines(convergence, "evaluations", "hypervolume, share of the final")
    for name in ("loss", "accuracy") if run.supernet else ():
        epochs = np.arange(1, len(run.supernet) + 1)
        curve = np.column_stack([epochs, [row[name] for row in run.supernet]])
        found[f"supernet-{name}"] = _lines({"supernet": curve}, "epoch", name)
    points = run.points()
    if run.space and points:
        found["options"] = _shares(*curves.frequencies(run.space, np.array([p["encoding"] for p in points])))
    if run.ranking.points is not None:
        found["ranking"] = _scatter(run.ranking.points, "accuracy alone", "the supernet's word")
    folder.mkdir(exist_ok=True)
    for name, figure in found.items():
        for kind in ("png", "svg"):
            figure.savefig(folder / f"{name}.{kind}", dpi=DPI)
    cells = run.picks() if isinstance(run.space, Cell) else {}
    for name, point in cells.items():
        write(folder / f"cells-{name}.svg", drawing.cells(run.space, point["encoding"]).encode())
    return [*found, *(f"cells-{name}" for name in cells)]


def _axes(x: str, y: str):
    axes = Figure(SIZE, layout="constrained").subplots()
    axes.set(xlabel=_plain(x), ylabel=_plain(y))
    axes.spines[["top", "right"]].set_visible(False)
    return axes


def _plain(text: str) -> str:
    """A folder's own text may hold TeX, which Matplotlib would read."""
    return text.replace("$", r"\$")


def _front(run: Run, cost: str) -> Figure:
    """Accuracy against one cost: dominated points faint, picks named."""
    axes, column = _axes(run.nouns.get(cost, cost), run.nouns["accuracy"]), run.names.index(cost)
    points = run.points()
    axes.xaxis.set_major_formatter(EngFormatter())
    axes.scatter(run.scored.rows[:, column], run.scored.rows[:, 0], s=3, c="0.8", linewidths=0, rasterized=True)
    axes.scatter([p[cost] for p in points], [p["accuracy"] for p in points], s=14, c=COLOURS[0])
    named: dict[tuple, list[str]] = {}  # several picks may be one point
    for name, point in run.picks().items():
        named.setdefault((point.get(cost), point.get("accuracy")), []).append(name)
    for place, names in named.items():
        if None not in place:  # a pick by hand need not have been scored
            axes.annotate(_plain(" ".join(names)), place, (4, 4), textcoords="offset points", weight="bold")
    return axes.figure


def _lines(found: dict[str, np.ndarray], x: str, y: str) -> Figure:
    axes = _axes(x, y)
    for k, (name, curve) in enumerate(found.items()):
        axes.plot(*curve.T, color=COLOURS[k % len(COLOURS)], lw=2 if k == 0 else 1.3, label=_plain(name))
    if len(found) > 1:
        axes.legend(frameon=False)
    return axes.figure


def _scatter(points: np.ndarray, x: str, y: str) -> Figure:
    axes = _axes(x, y)
    axes.scatter(*points.T, s=14, c=COLOURS[0])
    return axes.figure


def _shares(names: list[str], places: list[str], share: np.ndarray) -> Figure:
    layers = places[0].isdigit()
    axes = _axes("layer" if layers else "", "")
    image = axes.imshow(share, cmap="Blues", vmin=0, aspect="auto", extent=(0.5, share.shape[1] + 0.5, len(names), 0))
    axes.set_yticks(np.arange(len(names)) + 0.5, names)
    if not layers:
        axes.set_xticks(np.arange(len(places)) + 1, places, rotation=90, fontsize=5)
    axes.figure.colorbar(image, label="share of the front")
    return axes.figure
