"""Two changes to a step beyond FairNAS: the largest path teaches the others; each path has a schedule of its own.

Shapes: B batch, P paths, L layers.
"""

import numpy as np
import torch
from torch.nn import functional as F

from search_spaces import SearchSpace
from supernet.memory import Context
from supernet.model import Supernet
from supernet.static import Loss


def taught(
    net: Supernet,
    loss: Loss,
    images,
    labels,
    paths: np.ndarray,
    size: np.ndarray,
    share: float,
    weight,
    context: Context,
) -> torch.Tensor:
    """A step of paths (P, L) of these sizes (P,), their losses weighted (P,): losses (P,).

    All but the largest learn for a `share` what the largest says of the images (in-place distillation of the sandwich
    rule, arXiv 1903.05134).
    """
    with context():
        stem = net.stem(images)
    x, losses, teacher = stem.detach().requires_grad_(stem.requires_grad), torch.zeros(len(paths)), None
    for i in np.argsort(-size, kind="stable").tolist():
        with context():
            logits = net.follow(x, paths[i].tolist())
            value = loss(logits, labels)
        losses[i] = value.detach()
        if teacher is None:
            teacher = logits.detach().float().softmax(-1)
        elif share:
            value = (1 - share) * value + share * F.cross_entropy(logits.float(), teacher)
        (value * weight[i]).backward()
    if stem.requires_grad:
        stem.backward(x.grad)
    return losses


def weights(space: SearchSpace, paths: np.ndarray, cosine: float, strength: float) -> np.ndarray:
    """Factors (P,) of the losses that give each path a learning rate of its own (DYNAS, arXiv 2503.10740).

    The rate of a path falls as cosine ** gamma; gamma is smaller than 1 for large paths, larger for small ones.
    """
    low, high = space.cost_range()[:, 0]
    place = (space.cost(paths)[:, 0] - low) / max(1, high - low)
    return max(cosine, 1e-4) ** (2.0 ** (strength * (1 - 2 * place)) - 1)
