"""Hypervolume along directions: how much a point adds to a front, for any number of objectives at a fixed price.

Seen from the reference point, a front dominates as far as its farthest point reaches; the mean over directions of
that reach to the power M, times a constant, is the hypervolume (Deng and Zhang 2019, "Approximating hypervolume and
hypervolume contributions using polar coordinate"). Exact in one objective, a Monte Carlo estimate in more.
Shapes: N points, Q directions, M objectives, all minimised and scaled so that the reference point is (1, ..., 1).
"""

from math import gamma, pi

import numpy as np


def directions(rng: np.random.Generator, n: int, m: int) -> np.ndarray:
    """(n, m) unit vectors, uniform over the positive part of the sphere."""
    vectors = np.abs(rng.standard_normal((n, m))) + 1e-12
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def reach(points: np.ndarray, rays: np.ndarray) -> np.ndarray:
    """(..., M), (Q, M) -> (..., Q): the volume that a point dominates as each direction sees it.

    The mean over Q of the maximum over points is their hypervolume.
    """
    m = rays.shape[1]
    sphere = 2 * pi ** (m / 2) / gamma(m / 2) / 2**m  # the area of the positive part
    ahead, pace = np.maximum(0.0, 1.0 - points), 1.0 / rays
    length = ahead[..., 0, None] * pace[:, 0]
    for k in range(1, m):
        np.minimum(length, ahead[..., k, None] * pace[:, k], out=length)
    volume = length.copy()
    for _ in range(1, m):
        volume *= length
    return volume * (sphere / m)


class Ruler:
    """Measures what points add to a front. `best`, `worst` (M,) are what 0 and the reference point, 1, stand for."""

    def __init__(self, front: np.ndarray, best: np.ndarray, worst: np.ndarray, rays: np.ndarray):
        self.best, self.span, self.rays = best, np.where(worst > best, worst - best, 1.0), rays
        self.front = self.reach(front).max(0, initial=0.0)

    def reach(self, points: np.ndarray) -> np.ndarray:
        return reach((points - self.best) / self.span, self.rays)

    def gain(self, points: np.ndarray) -> np.ndarray:
        """(N, M) -> (N,): what each point by itself adds to the front's hypervolume."""
        return np.maximum(0.0, self.reach(points) - self.front).mean(1)
