"""Gaussian processes over encodings: what is to be expected of architectures never tried, and how surely.

The model sees ranks, not values, so that no outlier bends it: each objective is turned into normal scores. Its kernel
is a Gaussian one over two codes of an encoding, which option (one-hot) and how far (a thermometer); the evidence says
how much of each. Shapes: F fitted, N candidates, U objectives, D length of the code.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch

from evo.proposers import Encodings
from evo.variation import MANY

REACH = (0.4, 0.8, 1.6, 3.2, 6.4)  # minus the log of the correlation of two architectures that share nothing
SHARES = (0.0, 0.5, 1.0)  # of that, what the one-hot code says
NOISE = (1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1)  # variance, relative to the signal's


class Kernel(NamedTuple):
    reach: float
    share: float
    noise: float


def normal_scores(values: np.ndarray) -> np.ndarray:
    """(T, U) -> (T, U): normal quantiles of each column's ranks; equal values get their mean rank."""
    scores = np.empty(values.shape)
    for u, column in enumerate(values.T):
        _, group, counts = np.unique(column, return_inverse=True, return_counts=True)
        rank = np.cumsum(counts) - counts / 2
        scores[:, u] = torch.special.ndtri(torch.from_numpy(rank[group] / len(values))).numpy()
    return scores


def values_of(scores: np.ndarray, known: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Normal scores (...) of one objective -> its values, by interpolation between (known, values), each (T,).

    Beyond the best one, straight on as steep as the best twentieth.
    """
    order = np.lexsort((known, values))
    known, values = known[order], values[order]
    near = min(max(1, len(known) // 20), len(known) - 1)
    slope = (values[near] - values[0]) / max(known[near] - known[0], 1e-9)
    return np.interp(scores, known, values) + slope * np.minimum(0.0, scores - known[0])


@lru_cache(maxsize=8)
def tables(choices: tuple[int, ...]) -> tuple[tuple[np.ndarray, ...], np.ndarray]:
    """Per decision (K, D_l): the two codes of each option, one-hot and thermometer; and which columns are one-hot (D,).

    Neighbouring options share a bucket where a decision has many.
    """
    codes, one_hot = [], []
    for k in choices:
        buckets = min(k, MANY)
        place = np.arange(k)[:, None] * ((buckets - 1) / max(1, k - 1))
        which = np.rint(place) == np.arange(buckets)
        far = np.clip(place - np.arange(buckets - 1), 0.0, 1.0) / np.sqrt(max(1, buckets - 1))
        codes.append(np.concatenate([which * np.sqrt(0.5), far], axis=1).astype(np.float32))
        one_hot += [True] * buckets + [False] * (buckets - 1)
    return tuple(codes), np.array(one_hot)


def code(choices: Sequence[int], encodings: Encodings, kernel: Kernel) -> np.ndarray:
    """(N, L) -> (N, D) float32: minus the squared distance of two codes is the log of their correlation."""
    codes, one_hot = tables(tuple(choices))
    weight = np.sqrt(np.where(one_hot, kernel.share, 1 - kernel.share) * (kernel.reach / len(choices)))
    gathered = [table.take(options, axis=0) for table, options in zip(codes, encodings.T, strict=True)]
    return np.concatenate(gathered, axis=1) * weight.astype(np.float32)


def correlation(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Codes (A, D), (B, D) -> (A, B)."""
    exponent = (2 * a) @ b.T
    exponent -= (a**2).sum(1)[:, None]
    exponent -= (b**2).sum(1)
    return np.exp(np.minimum(exponent, 0, out=exponent), out=exponent)


def best_kernel(choices: Sequence[int], encodings: Encodings, scores: np.ndarray) -> Kernel:
    """The kernel under which the scores (F, U) are most probable, each with the variance that suits it best."""
    best, kernel = -np.inf, Kernel(REACH[2], SHARES[1], NOISE[2])
    for reach in REACH:
        for share in SHARES:
            codes = code(choices, encodings, Kernel(reach, share, 0.0))
            values, vectors = np.linalg.eigh(correlation(codes, codes).astype(np.float64))
            power = (vectors.T @ scores) ** 2
            for noise in NOISE:
                variance = np.maximum(values, 0.0)[:, None] + noise
                evidence = -len(scores) * np.log((power / variance).mean(0) + 1e-300) - np.log(variance).sum(0)
                if evidence.sum() > best:
                    best, kernel = evidence.sum(), Kernel(reach, share, noise)
    return kernel


class Model:
    """A Gaussian process with one kernel for all columns of the scores (F, U)."""

    def __init__(self, choices: Sequence[int], encodings: Encodings, scores: np.ndarray, kernel: Kernel):
        self.choices, self.kernel = choices, kernel
        self.codes = code(choices, encodings, kernel)
        covariance = correlation(self.codes, self.codes).astype(np.float64)
        covariance[np.diag_indices(len(covariance))] += kernel.noise
        self.root = torch.linalg.cholesky(torch.from_numpy(covariance))
        weights = torch.cholesky_solve(torch.from_numpy(scores), self.root).numpy()
        self.variance, self.weights = (scores * weights).mean(0), weights.astype(np.float32)

    def mean(self, encodings: Encodings) -> np.ndarray:
        """(N, L) -> (N, U)."""
        return correlation(code(self.choices, encodings, self.kernel), self.codes) @ self.weights

    def deviation(self, encodings: Encodings) -> np.ndarray:
        """(N, L) -> (N, U): the standard deviation of what `mean` says, each network's own noise included."""
        towards = torch.from_numpy(correlation(self.codes, code(self.choices, encodings, self.kernel))).double()
        explained = torch.linalg.solve_triangular(self.root, towards, upper=False).square().sum(0).numpy()
        unexplained = np.maximum(0.0, 1.0 - explained) + self.kernel.noise
        return np.sqrt(unexplained[:, None] * self.variance + 1e-12)
