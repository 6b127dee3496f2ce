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
from supernet.step import back_through


class ImprovedStep:
    """A step one path at a time; `share` is how much the others learn from the largest path, `strength` see `rates`."""

    def __init__(self, net: Supernet, loss: Loss, space: SearchSpace, share: float, strength: float, context: Context):
        self.net, self.loss, self.space, self.context = net, loss, space, context
        self.share, self.strength = share, strength

    def __call__(self, images: torch.Tensor, labels: torch.Tensor, paths: np.ndarray, cosine: float) -> torch.Tensor:
        """Images (B, C, H, W), labels (B,), paths (P, L) -> losses (P,), detached; gradients are left in the net.

        `cosine` is the share of the initial learning rate. All but the largest path learn for a share what the largest
        says of the images (in-place distillation, arXiv 1903.05134).
        """
        rate = rates(self.space, paths, cosine, self.strength)
        with self.context():
            stem = self.net.stem(images)
        x, losses, teacher = stem.detach().requires_grad_(stem.requires_grad), images.new_zeros(len(paths)), None
        for i in np.argsort(-self.space.cost(paths)[:, 0], kind="stable").tolist():
            with self.context():
                logits = self.net.follow(x, paths[i].tolist())
                value = self.loss(logits, labels)
            losses[i] = value.detach()
            if teacher is None:
                teacher = logits.detach().float().softmax(-1)
            else:
                value = (1 - self.share) * value + self.share * F.cross_entropy(logits.float(), teacher)
            (value * rate[i]).backward()
        back_through(stem, x)
        return losses


def rates(space: SearchSpace, paths: np.ndarray, cosine: float, strength: float) -> np.ndarray:
    """Factors (P,) of the losses that give each path a learning rate of its own (after DYNAS, arXiv 2503.10740).

    The rate of a path falls as cosine ** gamma; gamma is 2 ** strength for the smallest network, its inverse for the
    largest: small ones are learned early, large ones need the rate for longer.
    """
    low, high = space.cost_range()[:, 0]
    place = (space.cost(paths)[:, 0] - low) / max(1, high - low)
    return max(cosine, 1e-4) ** (2.0 ** (strength * (1 - 2 * place)) - 1)
