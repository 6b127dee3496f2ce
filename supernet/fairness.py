"""Who trains next: the paths of one optimiser update.

Shapes: L layers, m paths of a strictly fair step (for six options in every layer: six).
"""

import math
from collections.abc import Callable, Sequence

import numpy as np


def strict(choices: Sequence[int], rng: np.random.Generator) -> np.ndarray:
    """One strictly fair step (FairNAS, arXiv 1907.01845, Algorithm 1): (m, L), m = lcm(choices).

    Every option of a layer stands in exactly m / K of the paths, K its number of options: for equal
    layers exactly once. The gradients of the m paths, on one mini-batch, add up to one update.
    """
    m = math.lcm(*choices)
    return np.stack([rng.permutation(np.arange(m) % options) for options in choices], axis=1)


def uniform(choices: Sequence[int], rng: np.random.Generator) -> np.ndarray:
    """One uniform path (SPOS, arXiv 1904.00420): (1, L); each option is equally likely, not equally often."""
    return rng.integers(choices, size=(1, len(choices)))


SAMPLERS: dict[str, Callable[[Sequence[int], np.random.Generator], np.ndarray]] = {"strict": strict, "uniform": uniform}


def rounds(fairness: str, choices: Sequence[int]) -> int:
    """How many mini-batches of this sampler make as many passes as one strictly fair step makes."""
    return 1 if fairness == "strict" else math.lcm(*choices)
