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
from supernet import model, trie
from supernet.data import Data
from supernet.kernels import quicken
from supernet.model import ChainSupernet
from supernet.oracle import fresh_statistics

IMAGES = 64  # that are told apart
RELUS = (nn.ReLU, nn.ReLU6)


def counted(net: nn.Module, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """What a net, or a part of one, makes of images (B, ...), and its kernel (B, B): how many of its ReLUs are both on
    or both off for two of them. BatchNorm's statistics are those of these images.
    """
    total = torch.zeros(len(images), len(images), dtype=torch.float64, device=images.device)

    def count(relu: nn.Module, inputs: tuple[torch.Tensor]) -> None:
        on = (inputs[0] > 0).flatten(1).float()
        both, number = (on @ on.T).double(), on.sum(1).double()
        total.add_(2 * both - number - number[:, None] + on.shape[1])

    hooks = [module.register_forward_pre_hook(count) for module in net.modules() if isinstance(module, RELUS)]
    try:
        with fresh_statistics(net, [images]) as (output,):
            return output, total
    finally:
        for hook in hooks:
            hook.remove()


def score(kernel: torch.Tensor) -> float:
    """The geometric mean of the eigenvalues of a kernel (B, B), in ReLUs; networks are in the order of the paper's
    log-determinant. One ReLU more that tells all images apart keeps it above 0, where nothing tells them apart.
    """
    size = len(kernel)
    return torch.linalg.slogdet(kernel.cpu() + torch.eye(size))[1].div(size).exp().item()


@final
class Naswot:
    """`score` of encodings (N, L), on the first training images, with the weights of one supernet drawn by the seed."""

    def __init__(self, space: SearchSpace, data: Data, seed: int):
        net = quicken(model.build(space, torch.Generator().manual_seed(seed)))
        self.net = net.to(data.mean.device, memory_format=torch.channels_last).eval()
        self.images = data.normalise(data.train.images[:IMAGES])  # which are in random order

    def __call__(self, encodings: np.ndarray) -> np.ndarray:
        """(N, L) ints -> (N,) float64; equal to `one_by_one`. Kernels add up: equal first layers are counted once."""
        if not isinstance(self.net, ChainSupernet):
            return self.one_by_one(encodings)
        found = np.empty(len(encodings))
        for row, state in trie.walk(np.asarray(encodings), self._then(self.net.stem, (self.images, 0)), self._step):
            _, kernel = self._then(self.net.head, state)
            found[row] = score(kernel)
        return found

    def one_by_one(self, encodings: np.ndarray) -> np.ndarray:
        """The definition: each path as a network of its own."""
        kernels = (counted(self.net.path(encoding), self.images)[1] for encoding in encodings)
        return np.array([score(kernel) for kernel in kernels], dtype=np.float64)

    def _step(self, state: tuple, layer: int, option: int) -> tuple:
        return self._then(self.net.layers[layer][option], state)

    def _then(self, part: nn.Module, state: tuple) -> tuple:
        """The state, what is left of the images and the kernel so far, after another part of the network."""
        output, kernel = counted(part, state[0])
        return output, state[1] + kernel
