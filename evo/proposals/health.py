"""How a relaxation fares: DARTS is known to fail by choosing ever more skips, while its own accuracy still rises.

So no architecture is accepted by the accuracy of the mixed network; these figures, of every epoch, say when to stop.
"""

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch

from evo.proposals.relaxation import Alphas, Group, Relaxation
from search_spaces import SearchSpace
from search_spaces.cell import Cell
from search_spaces.cell_ops import SKIP
from search_spaces.chain import IDENTITY

ITERATIONS = 5  # of the power method
SHIFT = 1e-2  # norm of the step between two gradients whose difference is a product with the Hessian
EVERY = 2  # epochs between two eigenvalues, as in RobustDARTS's code


def skips(space: SearchSpace, encoding: Sequence[int]) -> int:
    """Skips of a chain, or of the normal cell: of its 8 edges, 2 are healthy and 7 a collapse."""
    if isinstance(space, Cell):
        return sum(edge.operation == SKIP for edge in next(iter(space.graphs(encoding).values())).edges)
    names = [list(layer.options)[k] for layer, k in zip(space.layers, encoding, strict=True)]
    return names.count(IDENTITY)


def entropy(relaxation: Relaxation, alphas: Alphas, groups: dict[str, Group]) -> float:
    """Mean over all edges, in nats, from 0 (decided) to log K; of sigmoids, over all options, to log 2."""
    rows = [alphas[name].detach().double() for name in groups]
    if relaxation.gate == "softmax":
        each = [-(row.softmax(-1) * row.log_softmax(-1)).sum(-1) for row in rows]
    else:
        p = [row.sigmoid().clamp(1e-12, 1 - 1e-12) for row in rows]
        each = [-(q * q.log() + (1 - q) * (1 - q).log()).flatten() for q in p]
    return torch.cat(each).mean().item()


def dominant_eigenvalue(
    gradient: Callable[[Alphas], Sequence[torch.Tensor]], alphas: Alphas, generator: torch.Generator
) -> float:
    """The eigenvalue of largest magnitude of the Hessian of the alphas (RobustDARTS, arXiv 1909.09656, section 4).

    The power method on central differences of `gradient`.
    """
    vector = [torch.randn(a.shape, generator=generator, dtype=a.dtype).to(a.device) for a in alphas.values()]
    value = 0.0
    for _ in range(ITERATIONS):
        norm = math.sqrt(sum(v.square().sum().item() for v in vector))
        if norm == 0:
            return 0.0
        vector = [v / norm for v in vector]
        above, below = (gradient(_shifted(alphas, vector, sign * SHIFT)) for sign in (1, -1))
        product = [(a - b) / (2 * SHIFT) for a, b in zip(above, below, strict=True)]
        value = sum((p * v).sum().item() for p, v in zip(product, vector, strict=True))
        vector = product
    return value


def _shifted(alphas: Alphas, vector: Sequence[torch.Tensor], by: float) -> Alphas:
    return {n: (a.detach() + by * v).requires_grad_() for (n, a), v in zip(alphas.items(), vector, strict=True)}


def too_many_skips(counts: Sequence[int], limit: int = 2) -> int | None:
    """DARTS+ (arXiv 1909.06035, criterion 1): the first epoch, from 0, with so many; None: go on."""
    over = np.flatnonzero(np.asarray(counts) >= limit)
    return int(over[0]) if len(over) else None


def too_sharp(
    values: Sequence[float], factor: float = 1.3, window: int = 5, back: int = 4, least: int = 5
) -> int | None:
    """RobustDARTS's DARTS-ES (section 5.1): the index to go back to, once the eigenvalue's mean over the `window`
    around a later index, `back` after it, is `factor` times that around it; None: go on. Not to before `least`.
    """
    half = window // 2
    for i in range(max(least, half), len(values) - half - back):
        before, after = (np.mean(values[k - half : k + half + 1]) for k in (i, i + back))
        if before > 0 and after > factor * before:
            return i
    return None


STOPS = ("never", "skips", "eigenvalue")


def stopped(history: Sequence[dict], rule: str) -> int | None:
    """The index of the epoch that this rule returns to; None while it lets the search go on."""
    if rule == "skips":
        return too_many_skips([row["skips"] for row in history])
    if rule == "eigenvalue":
        measured = [i for i, row in enumerate(history) if row["eigenvalue"] is not None]
        found = too_sharp([history[i]["eigenvalue"] for i in measured])
        return None if found is None else measured[found]
    return None
