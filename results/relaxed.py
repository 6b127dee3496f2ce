"""What a run folder says of its relaxations: how they fared, epoch by epoch, and what their weights became."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from evo.proposals import drawing
from evo.proposals.methods import method
from evo.proposals.proposer import checkpoint_path
from evo.proposals.relax import stopped
from search_spaces import SearchSpace
from supernet import checkpoint

CURVES = ("loss", "accuracy", "skips", "entropy", "eigenvalue")  # see evo/proposals/health.py


class Relaxed(NamedTuple):
    """`curves`: name of a figure -> [epoch, value] rows. `picture`: weights, skips and last cells as SVG."""

    curves: dict[str, list[list[float]]]
    picture: str


def read(folder: Path, name: str, space: SearchSpace, search: Mapping) -> Relaxed:
    """Of the relaxation called `name`, drawn up to the epoch that the settings of the `search` return to; ValueError,
    TypeError or LookupError if its file is damaged.
    """
    history = checkpoint.meta(checkpoint_path(folder, name), "relaxation")["history"]
    curves = {
        figure: [[int(row["epoch"]), float(row[figure])] for row in history if row[figure] is not None]
        for figure in CURVES
    }
    chosen = method(name)
    chosen = replace(chosen, epochs=search.get("proposer_epochs") or chosen.epochs)
    last = stopped(chosen, history, search.get("proposer_stop", "never"))
    shown = history if last is None else history[: last + 1]
    return Relaxed(curves, drawing.search(space, chosen.relaxation.groups(space), shown, name))


def read_all(folder: Path, search: Mapping, space: SearchSpace) -> dict[str, Relaxed]:
    """Those of the settings of the `search` that have begun."""
    begun = [name for name in search["proposer"] if checkpoint_path(folder, name).exists()]
    return {name: read(folder, name, space, search) for name in begun}
