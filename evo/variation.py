"""How children differ from their parents. Shapes: n children, L decisions. Randomness is an argument."""

from collections.abc import Sequence

import numpy as np


def tournament(rng: np.random.Generator, rank: np.ndarray, crowding: np.ndarray, n: int) -> np.ndarray:
    """n indices: the better of two random individuals each; lower rank, then less crowded, then the first drawn."""
    a, b = rng.integers(len(rank), size=(2, n))
    b_wins = (rank[b] < rank[a]) | ((rank[b] == rank[a]) & (crowding[b] > crowding[a]))
    return np.where(b_wins, b, a)


def crossover(rng: np.random.Generator, mothers: np.ndarray, fathers: np.ndarray) -> np.ndarray:
    """Uniform on whole blocks: each decision (n, L) is the mother's or the father's."""
    return np.where(rng.random(mothers.shape) < 0.5, mothers, fathers)


def mutate(rng: np.random.Generator, choices: Sequence[int], encodings: np.ndarray, rate: float) -> np.ndarray:
    """Each decision with probability `rate` takes another option, all others equally likely: (n, L) -> (n, L)."""
    options = np.asarray(choices)
    step = 1 + (rng.random(encodings.shape) * (options - 1)).astype(np.int64)
    return np.where(rng.random(encodings.shape) < rate, (encodings + step) % options, encodings)


def step(rng: np.random.Generator, choices: Sequence[int], encodings: np.ndarray) -> np.ndarray:
    """One decision of each, of those that have options, takes another option: (n, L) -> (n, L)."""
    options, rows = np.asarray(choices), np.arange(len(encodings))
    free = np.flatnonzero(options > 1)
    stepped = encodings.copy()
    if len(free):
        at = rng.choice(free, size=len(encodings))
        stepped[rows, at] = (encodings[rows, at] + rng.integers(1, options[at])) % options[at]
    return stepped
