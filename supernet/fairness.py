"""Who trains next: the paths of one optimiser update, as a pure function of the seed and the step.

No state to save: a resumed training draws what the uninterrupted one draws.
Shapes: L layers, K options of a layer, m the largest K: the paths of a strictly fair step.
"""

from collections.abc import Callable, Sequence

import numpy as np


def strict(choices: Sequence[int], seed: int, step: int) -> np.ndarray:
    """A strictly fair step (FairNAS, arXiv 1907.01845, Algorithm 1): (m, L); its gradients make one update.

    Each layer deals its options from a shuffled deck, reshuffled when empty. A layer of m options deals exactly
    one deck a step, each block to one path: the paper's permutation. A layer of fewer goes on with its deck in
    the next step: its update counts never differ by more than one.
    """
    m = max(choices)
    passes = np.arange(step * m, (step + 1) * m)
    return np.stack([_deal(options, passes, (seed, layer)) for layer, options in enumerate(choices)], axis=1)


def _deal(options: int, passes: np.ndarray, key: tuple[int, ...]) -> np.ndarray:
    """The cards at positions `passes` of an endless row of shuffled decks of 0..options - 1."""
    decks, which = np.unique(passes // options, return_inverse=True)
    shuffled = np.stack([np.random.default_rng((*key, deck)).permutation(options) for deck in decks])
    return shuffled[which, passes % options]


def order(paths: np.ndarray) -> np.ndarray:
    """Paths (m, L) that use each of a layer's m blocks once -> (L, m) int64, what `ChainSupernet.fair` routes by.

    Row l says from which of layer l's blocks each block of layer l + 1 gets its input; the last row puts the
    outputs into the order of the paths.
    """
    behind = np.column_stack([np.argsort(paths, axis=0)[:, 1:], np.arange(len(paths))])  # the path at each place
    return np.take_along_axis(paths, behind, axis=0).T


def uniform(choices: Sequence[int], seed: int, step: int) -> np.ndarray:
    """One uniform path (SPOS, arXiv 1904.00420): (1, L); each option is equally likely, not equally often."""
    return np.random.default_rng((seed, step)).integers(choices, size=(1, len(choices)))


SAMPLERS: dict[str, Callable[[Sequence[int], int, int], np.ndarray]] = {"strict": strict, "uniform": uniform}


def rounds(fairness: str, choices: Sequence[int]) -> int:
    """How many mini-batches of this sampler make as many passes as one strictly fair step makes."""
    return 1 if fairness == "strict" else max(choices)
