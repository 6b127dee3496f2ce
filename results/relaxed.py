"""What a run folder says of its relaxations: how they fared, epoch by epoch, and what their weights became."""

from pathlib import Path
from typing import NamedTuple

from evo.proposals import drawing
from evo.proposals.methods import method
from evo.proposals.proposer import checkpoint_path
from search_spaces import SearchSpace
from supernet import checkpoint

CURVES = ("loss", "accuracy", "skips", "entropy", "eigenvalue")  # see evo/proposals/health.py


class Relaxed(NamedTuple):
    """`curves`: name of a figure -> [epoch, value] rows. `picture`: weights, skips and last cells as SVG."""

    curves: dict[str, list[list[float]]]
    picture: str


def read(folder: Path, name: str, space: SearchSpace) -> Relaxed:
    """Of the relaxation called `name`; ValueError, TypeError or LookupError if its file is damaged."""
    history = checkpoint.meta(checkpoint_path(folder, name), "relaxation")["history"]
    curves = {
        figure: [[int(row["epoch"]), float(row[figure])] for row in history if row[figure] is not None]
        for figure in CURVES
    }
    groups = method(name).relaxation.groups(space)
    return Relaxed(curves, drawing.search(space, groups, history, name))


def read_all(folder: Path, names: list[str], space: SearchSpace) -> dict[str, Relaxed]:
    """Those that have begun."""
    return {name: read(folder, name, space) for name in names if checkpoint_path(folder, name).exists()}
