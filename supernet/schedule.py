"""How the paths of a training follow each other, and what is made of its weights, beside who trains next (fairness.py).

Shapes: P paths, L decisions.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from search_spaces import SearchSpace
from supernet.command import Whole
from supernet.fairness import sampler

ORDERS = ("shuffled", "fixed")


@dataclass(frozen=True)
class Schedule:
    """How a training goes on."""

    order: str = "shuffled"
    """Of the paths: shuffled, or fixed, where every epoch takes the first one's again."""
    order_seed: Whole = None
    """Of the order of the paths alone, to see what it changes. Default: --seed."""
    ema: float = 0.0
    """Judge by a moving average of the weights, which decays by this in a step, for example 0.99. 0: by the last."""

    def __post_init__(self):
        if self.order not in ORDERS:
            raise ValueError(f"--order must be {' or '.join(ORDERS)}, got {self.order!r}")
        if self.order_seed is not None and self.order_seed < 0:
            raise ValueError(f"--order-seed must not be negative, got {self.order_seed}")
        if not 0 <= self.ema < 1:
            raise ValueError(f"--ema must be from 0 to below 1, got {self.ema}")


def drawer(schedule: Schedule, fairness: str, space: SearchSpace, seed: int, steps: int) -> Callable:
    """step -> its paths (P, L); an epoch has so many `steps`."""
    sample, seed = sampler(fairness, space), seed if schedule.order_seed is None else schedule.order_seed

    def draw(step: int) -> np.ndarray:
        return sample(seed, step % steps if schedule.order == "fixed" else step)

    return draw
