"""How the paths of a training follow each other, and which options it drops; who trains next: fairness.py.

Shapes: P paths, L decisions.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from search_spaces import SearchSpace
from supernet import prune
from supernet.command import Whole
from supernet.fairness import SAMPLERS, sampler
from supernet.model import Supernet

ORDERS = ("shuffled", "fixed")


@dataclass(frozen=True)
class Schedule:
    """How a training goes on."""

    order: str = "shuffled"
    """Of the paths: shuffled, or fixed, where every epoch takes the first one's again."""
    order_seed: Whole = None
    """Of the order of the paths alone, to see what it changes. Default: --seed."""
    prune: float = 0.0
    """Share of the options, the worst-ranked ones, that are trained no further; the second third drops them, and
    strictly fair steps get shorter."""

    def __post_init__(self):
        if not 0 <= self.prune < 1:
            raise ValueError(f"--prune must be from 0 to below 1, got {self.prune}")
        if self.order not in ORDERS:
            raise ValueError(f"--order must be {' or '.join(ORDERS)}, got {self.order!r}")
        if self.order_seed is not None and self.order_seed < 0:
            raise ValueError(f"--order-seed must not be negative, got {self.order_seed}")


def drawer(
    schedule: Schedule, fairness: str, space: SearchSpace, net: Supernet, seed: int, steps: int
) -> Callable[[int], np.ndarray]:
    """step -> its paths (P, L); an epoch has so many `steps`."""
    sample, seed = sampler(fairness, space), seed if schedule.order_seed is None else schedule.order_seed
    if schedule.prune:
        sample = partial(prune.draw, net, SAMPLERS[fairness])

    def draw(step: int) -> np.ndarray:
        return sample(seed, step % steps if schedule.order == "fixed" else step)

    return draw
