"""Named architectures from papers, with their source and exact cost."""

from typing import NamedTuple

from search_spaces.darts import darts
from search_spaces.published_cells import CELLS, Cells


class Architecture(NamedTuple):
    """`cost` is (multiply-adds, params), `top1` the paper's accuracy in percent, None where it gives none.

    The cost of a chain is that in the space's default setting, of cells that of 36 channels and 20 cells. Cells have
    a `genotype`, and an `encoding` if the space can hold them.
    """

    space: str
    encoding: tuple[int, ...] | None
    cost: tuple[int, int]
    top1: float | None
    source: str
    genotype: dict | None = None


_FAIRNAS = "FairNAS, arXiv 1907.01845, and the authors' model code; ImageNet at 224 pixels"

ARCHITECTURES = {
    "FairNAS-A": Architecture(
        "fairnas", (2, 0, 2, 3, 5, 0, 0, 5, 5, 1, 3, 1, 1, 3, 3, 5, 3, 5, 4), (388_122_848, 4_651_352), 75.34, _FAIRNAS
    ),
    "FairNAS-B": Architecture(
        "fairnas", (1, 0, 1, 0, 3, 1, 2, 0, 3, 1, 0, 3, 2, 0, 5, 4, 5, 3, 4), (345_297_632, 4_506_272), 75.10, _FAIRNAS
    ),
    "FairNAS-C": Architecture(
        "fairnas", (1, 0, 2, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 5, 5, 3, 3, 4), (321_024_992, 4_397_864), 74.69, _FAIRNAS
    ),
}


_SPACE = darts()


def _cells(cells: Cells) -> Architecture:
    genotype = cells.genotype()
    try:
        encoding = _SPACE.encode(genotype)
    except ValueError:  # more nodes, other operations or other concatenations than DARTS's
        encoding = None
    return Architecture("darts", encoding, cells.cost, cells.top1, cells.source, genotype)


ARCHITECTURES |= {name: _cells(cells) for name, cells in CELLS.items()}
