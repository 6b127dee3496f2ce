"""How children differ from their parents. Shapes: n children, L decisions. Randomness is an argument."""

from collections.abc import Sequence

import numpy as np

MANY = 16  # options, from which on neighbouring ones are taken to be alike


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
    """One decision of each, of those that have options, takes another option: (n, L) -> (n, L).

    Where there are many options, half the steps are to one nearby, at any scale.
    """
    options, rows = np.asarray(choices), np.arange(len(encodings))
    free = np.flatnonzero(options > 1)
    stepped = encodings.copy()
    if len(free):
        at = rng.choice(free, size=len(encodings))
        old, k = encodings[rows, at], options[at]
        new = (old + rng.integers(1, k)) % k
        if (options > MANY).any():
            length = np.exp(rng.random(len(k)) * np.log(k / 2)).astype(np.int64) * rng.choice((-1, 1), len(k))
            near = np.clip(old + length, 0, k - 1)
            new = np.where((k > MANY) & (near != old) & (rng.random(len(k)) < 0.5), near, new)
        stepped[rows, at] = new
    return stepped
