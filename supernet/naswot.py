"""What can be told of an architecture before any training: NASWOT (arXiv 2006.04647).

Two images that switch on the same ReLUs are alike to a network, up to what is linear. The more the images of a batch
differ in what they switch on, the more can a network learn to tell apart. All architectures have the weights of one
untrained supernet, so that none is luckier than another. Shapes: B images, N architectures, L decisions.
"""

from typing import final

import numpy as np
import torch
from torch import nn

from search_spaces import SearchSpace
from supernet import model
from supernet.data import Data
from supernet.kernels import quicken
from supernet.oracle import fresh_statistics

IMAGES = 64  # that are told apart
RELUS = (nn.ReLU, nn.ReLU6)


def kernel(net: nn.Module, images: torch.Tensor) -> torch.Tensor:
    """(B, B): how many of the net's ReLUs are both on or both off for two images (B, C, H, W).

    BatchNorm's statistics are those of these images.
    """
    total = torch.zeros(len(images), len(images), dtype=torch.float64, device=images.device)

    def count(relu: nn.Module, inputs: tuple[torch.Tensor]) -> None:
        on = (inputs[0] > 0).flatten(1).float()
        both, number = (on @ on.T).double(), on.sum(1).double()
        total.add_(2 * both - number - number[:, None] + on.shape[1])

    hooks = [module.register_forward_pre_hook(count) for module in net.modules() if isinstance(module, RELUS)]
    try:
        with fresh_statistics(net, [images]):
            return total
    finally:
        for hook in hooks:
            hook.remove()


def score(net: nn.Module, images: torch.Tensor) -> float:
    """The geometric mean of the kernel's eigenvalues, in ReLUs; networks are in the order of the paper's
    log-determinant. One ReLU more that tells all images apart keeps it above 0, where nothing tells them apart.
    """
    found = kernel(net, images).cpu()
    return torch.linalg.slogdet(found + torch.eye(len(found)))[1].div(len(found)).exp().item()


@final
class Naswot:
    """`score` of encodings (N, L), on the first training images, with the weights of one supernet drawn by the seed."""

    def __init__(self, space: SearchSpace, data: Data, seed: int):
        net = quicken(model.build(space, torch.Generator().manual_seed(seed)))
        self.net = net.to(data.mean.device, memory_format=torch.channels_last).eval()
        self.images = data.normalise(data.train.images[:IMAGES])  # which are in random order

    def __call__(self, encodings: np.ndarray) -> np.ndarray:
        """(N, L) ints -> (N,) float64."""
        return np.array([score(self.net.path(encoding), self.images) for encoding in encodings], dtype=np.float64)
