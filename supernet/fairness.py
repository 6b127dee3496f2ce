"""Who trains next: the paths of one optimiser update, as a pure function of the seed and the step.

No state to save: a resumed training draws what the uninterrupted one draws.
Shapes: L layers, K options of a layer, m the largest K: the paths of a strictly fair step.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from math import prod

import numpy as np

from search_spaces import SearchSpace
from search_spaces.cell import Cell
from search_spaces.decisions import Slots

ROUND = 100_000  # architectures that can take turns


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


def expectation(choices: Sequence[int], seed: int, step: int) -> np.ndarray:
    """As many uniform paths as a strictly fair step has: (m, L); its gradients make one update.

    Each option is equally often updated in expectation alone (FairNAS, arXiv 1907.01845): all that differs from
    `strict` is what strictness adds.
    """
    return np.random.default_rng((seed, step)).integers(choices, size=(max(choices), len(choices)))


def dealt(choices: Sequence[int], seed: int, step: int) -> np.ndarray:
    """The paths of strictly fair steps one by one: (1, L), and an update after each.

    Options are used as equally often as in `strict`; stem and head are updated as often as by `uniform`, and each path
    sees a mini-batch of its own. All that differs from `uniform` is what fairness adds.
    """
    m = max(choices)
    return strict(choices, seed, step // m)[[step % m]]


def turns(choices: Sequence[int], seed: int, step: int) -> np.ndarray:
    """Every architecture in turn, in rounds that are shuffled anew (arXiv 2001.01431): (1, L).

    ValueError if the space has more than ROUND encodings.
    """
    size = prod(choices)
    if size > ROUND:
        raise ValueError(f"--fairness turns is for spaces of at most {ROUND:,} encodings; this one has {size:,}")
    place = _round(size, seed, step // size)[step % size]
    return np.array(np.unravel_index([place], choices)).T


@lru_cache(maxsize=1)
def _round(size: int, seed: int, number: int) -> np.ndarray:
    return np.random.default_rng((seed, number)).permutation(size)


Sampler = Callable[[Sequence[int], int, int], np.ndarray]  # (choices, seed, step) -> paths (P, L)
SAMPLERS: dict[str, Sampler] = {
    "strict": strict,
    "expectation": expectation,
    "dealt": dealt,
    "uniform": uniform,
    "turns": turns,
}


def strict_slots(slots: Slots, seed: int, step: int) -> np.ndarray:
    """As `strict`, for cells: (m, L). Every node deals its edges, two a pass, and every edge deals its options.

    A node's deck holds each of its edges twice, so that a pass takes two different ones; an edge's deck goes on where
    it was when the edge was last taken. Counts of a node's edges, and of an edge's options, differ by at most one; of
    updates where no node is dealt "none" alone, for edges out of such a node have nothing to learn from then.
    """
    m = max(slots.choices)
    passes = np.arange(step * m, (step + 1) * m)
    pairs = np.empty((m, len(slots.kinds), slots.nodes, 2, 2), dtype=np.int64)
    for kind, node in np.ndindex(len(slots.kinds), slots.nodes):
        n = slots.inputs + node  # edges to this node
        cards = 2 * passes[:, None] + np.arange(2)
        source = _deal_pairs(n, cards, (seed, kind, node))
        for edge in range(n):
            chosen = source == edge
            turns = cards[chosen] // n  # once in each n cards
            pairs[:, kind, node, :, 0][chosen] = edge
            if len(turns):
                pairs[:, kind, node, :, 1][chosen] = _deal(slots.options, turns, (seed, kind, node, edge))
    return pairs.reshape(m, -1)


def dealt_slots(slots: Slots, seed: int, step: int) -> np.ndarray:
    """As `dealt`, for cells: (1, L)."""
    m = max(slots.choices)
    return strict_slots(slots, seed, step // m)[[step % m]]


SLOTS = {"strict": strict_slots, "dealt": dealt_slots}


def _deal_pairs(n: int, cards: np.ndarray, key: tuple[int, ...]) -> np.ndarray:
    """As `_deal`, but the cards 2p and 2p + 1 are never equal."""
    decks, which = np.unique(cards // (2 * n), return_inverse=True)
    shuffled = np.stack([_double_deck(n, np.random.default_rng((*key, deck))) for deck in decks])
    return shuffled[which.reshape(cards.shape), cards % (2 * n)]


def _double_deck(n: int, rng: np.random.Generator) -> np.ndarray:
    """(2n,): 0..n - 1 shuffled, then once more; where the pair across the middle would be equal, it is mended."""
    first, second = rng.permutation(n), rng.permutation(n)
    if n % 2 and first[-1] == second[0]:
        other = rng.integers(1, n)
        second[[0, other]] = second[[other, 0]]
    return np.concatenate([first, second])


def sampler(fairness: str, space: SearchSpace) -> Callable[[int, int], np.ndarray]:
    """(seed, step) -> the paths of one update, (P, L)."""
    if fairness in SLOTS and isinstance(space, Cell) and isinstance(space.decisions, Slots):
        return partial(SLOTS[fairness], space.decisions)
    return partial(SAMPLERS[fairness], space.choices)


def rounds(fairness: str, choices: Sequence[int]) -> int:
    """How many mini-batches of this sampler make as many passes as one strictly fair step makes."""
    return 1 if fairness in ("strict", "expectation") else max(choices)
