"""A population is a trie: architectures that begin alike share what their first layers make.

Shapes: N population, L layers.
"""

from collections.abc import Callable, Iterator
from typing import TypeVar

import numpy as np

State = TypeVar("State")


def walk(encodings: np.ndarray, root: State, step: Callable[[State, int, int], State]) -> Iterator[tuple[int, State]]:
    """Depth first over the distinct prefixes of `encodings` (N, L): yields every row's index with its last state.

    `step(state, layer, option)` makes the state below; each distinct prefix is made once, and at most L + 1
    states are alive at any time.
    """
    alive, previous = [root], None
    for row in np.lexsort(encodings.T[::-1]):
        encoding = encodings[row].tolist()
        shared = 0 if previous is None else _common(previous, encoding)
        del alive[shared + 1 :]
        for layer in range(shared, len(encoding)):
            alive.append(step(alive[-1], layer, encoding[layer]))
        previous = encoding
        yield int(row), alive[-1]


def _common(a: list[int], b: list[int]) -> int:
    """Length of the common prefix."""
    return next((i for i, (x, y) in enumerate(zip(a, b, strict=True)) if x != y), len(a))


def size(encodings: np.ndarray) -> int:
    """How many steps `walk` takes: the number of distinct prefixes, the empty one left out."""
    return sum(len(np.unique(encodings[:, : depth + 1], axis=0)) for depth in range(encodings.shape[1]))


def pieces(encodings: np.ndarray, n: int) -> list[np.ndarray]:
    """The rows of `encodings` (N, L) in at most n lots, of about equal `size`: each a contiguous piece of the trie.

    A cut between two rows makes their common prefix twice; it lies where that and the imbalance add up to least.
    """
    order = np.lexsort(encodings.T[::-1])
    before, after = encodings[order[:-1]], encodings[order[1:]]
    differs = before != after
    shared = np.where(differs.any(1), differs.argmax(1), encodings.shape[1])
    steps = encodings.shape[1] + np.r_[0, np.cumsum(encodings.shape[1] - shared)]  # of the rows up to each
    cuts = {int(np.argmin(np.abs(steps[:-1] - steps[-1] * k / n) + shared)) + 1 for k in range(1, n) if len(shared)}
    return np.split(order, sorted(cuts)) if len(order) else []
