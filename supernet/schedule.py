"""How the paths of a training follow each other, and what is made of its weights, beside who trains next (fairness.py).

Shapes: P paths, L decisions.
"""

import math
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
    ema: float = 0.0
    """Judge by a moving average of the weights, which decays by this in a step, for example 0.99. 0: by the last."""
    prune: float = 0.0
    """Share of the options, the worst-ranked ones, that are trained no further; the second third drops them."""
    teach: float = 0.0
    """Share that the other paths of a step learn from the largest one's answers."""
    capacity: float = 0.0
    """How much later the learning rate of large paths falls than that of small ones; 1: twice the exponent, half."""

    def __post_init__(self):
        for flag in ("prune", "teach"):
            if not 0 <= getattr(self, flag) < 1:
                raise ValueError(f"--{flag} must be from 0 to below 1, got {getattr(self, flag)}")
        if self.order not in ORDERS:
            raise ValueError(f"--order must be {' or '.join(ORDERS)}, got {self.order!r}")
        if self.order_seed is not None and self.order_seed < 0:
            raise ValueError(f"--order-seed must not be negative, got {self.order_seed}")
        if not math.isfinite(self.capacity):
            raise ValueError(f"--capacity must be a number, got {self.capacity}")
        if not 0 <= self.ema < 1:
            raise ValueError(f"--ema must be from 0 to below 1, got {self.ema}")


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
