"""The supernet: every block of every layer once, shared by all architectures that use it.

Shapes: B batch, C channels, H height, W width, P paths, L layers, m options of a layer.
"""

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence

import numpy as np
import torch
from torch import nn

from search_spaces.blocks import initialise
from search_spaces.cell import Cell
from search_spaces.chain import Chain, ChainNet
from search_spaces.space import SearchSpace

Layers = Sequence[Sequence[Callable[[torch.Tensor], torch.Tensor]]]


class Supernet(nn.Module, ABC):
    """Shared weights: a stem and a head on every path, and between them what a path chooses.

    `opening` names what comes before the first choice, `trunk` names the list of what chooses, in its order.
    """

    space: SearchSpace
    stem: nn.Module
    head: nn.Module
    opening: tuple[str, ...] = ("stem",)
    trunk: str = "layers"

    @abstractmethod
    def follow(self, x: torch.Tensor, path: Sequence[int]) -> torch.Tensor:
        """What the stem made of the images (B, C, H, W), along one path -> logits (B, classes)."""

    @abstractmethod
    def path(self, encoding: Sequence[int]) -> nn.Module:
        """One path as a stand-alone network, (B, C, H, W) -> (B, classes), that shares the supernet's modules."""

    def forward(self, images: torch.Tensor, paths: np.ndarray | torch.Tensor | Sequence) -> torch.Tensor:
        """Images (B, C, H, W), paths (P, L) ints -> logits (P, B, classes), in the order of the paths.

        ValueError names the first path that is not in the space.
        """
        paths = self.space.check(paths.tolist() if isinstance(paths, torch.Tensor) else paths)
        if not len(paths):
            return images.new_empty(0, len(images), self.space.num_classes)
        x = self.stem(images)
        return torch.stack([self.follow(x, path) for path in paths.tolist()])

    @property
    def common(self) -> list[nn.Module]:
        """What every path uses."""
        return [self.stem, self.head]

    def average(self, paths: np.ndarray) -> None:
        """After a step of these paths (P, L): what all of them used, stem and head, gets its mean gradient, no sum.

        Blocks, used by one pass each, keep that pass's. Summed, the head's step grows m-fold: on small images, whose
        pooled features are large, that diverges. FairNAS (Algorithm 1) sums.
        """
        divide(self.common, len(paths))

    def extract(self, encoding: Sequence[int]) -> nn.Module:
        """A copy of one path: what `space.build` makes, with the supernet's weights and statistics.

        Where the space has other blocks in its supernet (the linearly equivalent skip), the copy has these.
        """
        return copy.deepcopy(self.path(encoding))


class ChainSupernet(Supernet):
    """Shared weights of a chain space."""

    def __init__(self, space: Chain):
        super().__init__()
        self.space = space
        self.stem = space.stem()
        options = ([layer.shared_block(k) for k in range(len(layer.options))] for layer in space.layers)
        self.layers = nn.ModuleList(nn.ModuleList(blocks) for blocks in options)
        self.head = space.head()

    def follow(self, x: torch.Tensor, path: Sequence[int]) -> torch.Tensor:
        for blocks, option in zip(self.layers, path, strict=True):
            x = blocks[option](x)
        return self.head(x)

    def path(self, encoding: Sequence[int]) -> ChainNet:
        (options,) = self.space.check([encoding])
        blocks = [blocks[option] for blocks, option in zip(self.layers, options.tolist(), strict=True)]
        return ChainNet(self.stem, blocks, self.head)

    def fair(self, images: torch.Tensor, order: torch.Tensor, layers: Layers | None = None) -> torch.Tensor:
        """All m paths of a strictly fair step as one static graph: images (B, C, H, W) -> logits (m, B, classes).

        Every layer runs its m blocks once, in the same order in every step; only which activation each of them
        gets is data: `order` (L, m), int64, from `fairness.order`. The logits come in the order of the paths.
        `layers`: compiled forms of the blocks, to run in their place.
        """
        inputs = [self.stem(images)] * order.shape[1]
        for blocks, source in zip(layers or self.layers, order.unbind(), strict=True):
            inputs = _route([block(x) for block, x in zip(blocks, inputs, strict=True)], source)
        return torch.stack([self.head(x) for x in inputs])


def divide(modules: Iterable[nn.Module], passes: int) -> None:
    """The gradients of these modules, where they have any, by the number of passes."""
    for module in modules:
        for parameter in module.parameters():
            if parameter.grad is not None:
                parameter.grad /= passes


def _route(outputs: list[torch.Tensor], source: torch.Tensor) -> list[torch.Tensor]:
    """outputs[source[j]] for every j; with channels last, so that stacking keeps that order in memory."""
    stacked = torch.stack([x.permute(0, 2, 3, 1) for x in outputs])  # (m, B, H, W, C)
    return [x.permute(0, 3, 1, 2) for x in stacked.index_select(0, source).unbind()]


def build(space: SearchSpace, generator: torch.Generator | None = None) -> Supernet:
    """The untrained supernet of `space`, its weights drawn from `generator` (None: PyTorch's global one)."""
    from supernet.cell_model import CellSupernet  # which needs this file's Supernet

    net = CellSupernet(space) if isinstance(space, Cell) else ChainSupernet(space)
    initialise(net, generator)
    return net
