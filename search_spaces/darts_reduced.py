"""The reduced spaces of RobustDARTS (arXiv 1909.09656, section 3), in which DARTS is known to fail.

S1's lists are those of the authors' code. `none` is an option of S3 only; in encodings it is always there, as no edge.
"""

from functools import partial

from search_spaces.cell import Cell
from search_spaces.darts import cell_space

SKIP, SEP, MAX, AVG = "skip_connect", "sep_conv_3x3", "max_pool_3x3", "avg_pool_3x3"
DIL3, DIL5 = "dil_conv_3x3", "dil_conv_5x5"

S1 = {
    "normal": (
        *((SKIP, DIL3), (SKIP, DIL5)),  # to node 2
        *((SKIP, DIL5), (SKIP, SEP), (SKIP, DIL3)),  # 3
        *((MAX, SKIP), (SKIP, SEP), (SKIP, SEP), (SKIP, DIL3)),  # 4
        *((SKIP, SEP), (MAX, SKIP), (SKIP, DIL3), (DIL3, DIL5), (DIL3, DIL5)),  # 5
    ),
    "reduce": (
        *((MAX, AVG), (MAX, DIL3)),
        *((MAX, AVG), (MAX, AVG), (SKIP, DIL5)),
        *((MAX, AVG), (MAX, SEP), (SKIP, DIL3), (SKIP, DIL5)),
        *((MAX, AVG), (MAX, AVG), (SKIP, DIL5), (SKIP, DIL5), (SKIP, DIL5)),
    ),
}
SPACES = {
    "darts_s1": S1,
    "darts_s2": dict.fromkeys(S1, ((SKIP, SEP),) * 14),
    "darts_s3": dict.fromkeys(S1, (("none", SKIP, SEP),) * 14),
    "darts_s4": dict.fromkeys(S1, (("noise", SEP),) * 14),
}


def _load(
    name: str, image_size: int = 32, num_classes: int = 10, in_channels: int = 3, channels: int = 16, cells: int = 8
) -> Cell:
    return cell_space(name, SPACES[name], image_size, num_classes, in_channels, channels, cells)


darts_s1, darts_s2, darts_s3, darts_s4 = (partial(_load, name) for name in SPACES)
