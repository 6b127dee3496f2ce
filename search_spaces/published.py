"""Named architectures from papers, with their source and exact cost."""

from typing import NamedTuple


class Architecture(NamedTuple):
    """`cost` is (multiply-adds, params) in the space's default setting; `top1` is the paper's accuracy in percent."""

    space: str
    encoding: tuple[int, ...]
    cost: tuple[int, int]
    top1: float
    source: str


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
