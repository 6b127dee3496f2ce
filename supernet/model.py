"""The supernet: every block of every layer once, shared by all architectures that use it.

Shapes: B batch, C channels, H height, W width, P paths, L layers.
"""

import copy
from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from search_spaces.blocks import initialise
from search_spaces.chain import Chain, ChainNet
from search_spaces.space import SearchSpace


class ChainSupernet(nn.Module):
    """Shared weights of a chain space."""

    def __init__(self, space: Chain):
        super().__init__()
        self.stem = space.stem()
        options = ([layer.shared_block(k) for k in range(len(layer.options))] for layer in space.layers)
        self.layers = nn.ModuleList(nn.ModuleList(blocks) for blocks in options)
        self.head = space.head()

    def forward(self, images: torch.Tensor, paths: np.ndarray | torch.Tensor | Sequence) -> torch.Tensor:
        """Images (B, C, H, W), paths (P, L) ints -> logits (P, B, classes), in the order of the paths."""
        x = self.stem(images)
        paths = paths if isinstance(paths, torch.Tensor) else np.asarray(paths)
        return torch.stack([self._follow(x, path) for path in paths.tolist()])

    def _follow(self, x: torch.Tensor, path: Sequence[int]) -> torch.Tensor:
        for blocks, option in zip(self.layers, path, strict=True):
            x = blocks[option](x)
        return self.head(x)

    def average_shared_gradients(self, passes: int) -> None:
        """From now on stem and head, which each of the `passes` of a step uses, get their mean gradient, not their sum.

        Blocks, used by one pass each, get that pass's. Summed, the head's step grows m-fold: on small images, whose
        pooled features are large, that diverges. FairNAS (Algorithm 1) sums.
        """
        for module in (self.stem, self.head):
            for parameter in module.parameters():
                parameter.register_hook(lambda gradient: gradient / passes)

    def path(self, encoding: Sequence[int]) -> ChainNet:
        """One path as a stand-alone network, (B, C, H, W) -> (B, classes), that shares the supernet's modules."""
        blocks = [blocks[option] for blocks, option in zip(self.layers, encoding, strict=True)]
        return ChainNet(self.stem, blocks, self.head)

    def extract(self, encoding: Sequence[int]) -> ChainNet:
        """A copy of one path: what `space.build` makes, with the supernet's weights and statistics.

        Where the space has other blocks in its supernet (the linearly equivalent skip), the copy has these.
        """
        return copy.deepcopy(self.path(encoding))


def build(space: SearchSpace, generator: torch.Generator | None = None) -> nn.Module:
    """The untrained supernet of `space`, its weights drawn from `generator` (None: PyTorch's global one)."""
    if not isinstance(space, Chain):
        raise ValueError(f"no supernet for the space {space.name}")
    net = ChainSupernet(space)
    initialise(net, generator)
    return net
