"""Networks whose edges mix all of their options: what a relaxation trains. Alphas are arguments, never parameters.

Shapes: B batch, C channels, K options of a layer.
"""

from collections.abc import Mapping

import torch
from torch import nn
from torch.nn import functional as F

from evo.proposals.mixed_cell import MixedCell, norms_without, portion, shuffle
from evo.proposals.relaxation import Group, Mixture, Relaxation
from search_spaces import SearchSpace
from search_spaces.blocks import initialise
from search_spaces.cell import Cell
from search_spaces.chain import IDENTITY, Chain, Layer
from supernet.kernels import quicken


def check(space: SearchSpace, relaxation: Relaxation) -> None:
    """ValueError if there is nothing to weigh, or `partial` does not divide the channels: what `build` would find."""
    relaxation.groups(space)
    if isinstance(space, Cell):
        channels = [place.channels for place in space.skeleton.places]
    else:
        channels = [layer.in_channels for layer in space.layers if _partial(layer, relaxation) > 1]
    for number in channels:
        portion(number, relaxation.partial)


def _partial(layer: Layer, relaxation: Relaxation) -> int:
    return relaxation.partial if layer.in_channels == layer.out_channels else 1


def build(
    space: SearchSpace, relaxation: Relaxation, groups: Mapping[str, Group], generator: torch.Generator | None = None
) -> nn.Module:
    """The mixed network of a space, (B, C, H, W) and a mixture -> (B, classes); BatchNorms keep no statistics.

    ValueError if `partial` does not divide the channels.
    """
    net = MixedCells(space, relaxation, groups) if isinstance(space, Cell) else MixedChain(space, relaxation, groups)
    initialise(net, generator)
    return quicken(net)


class MixedCells(nn.Module):
    """A cell space with every edge mixed: the search network of DARTS (arXiv 1806.09055, section 3.2)."""

    def __init__(self, space: Cell, relaxation: Relaxation, groups: Mapping[str, Group]):
        super().__init__()
        self.kinds = [place.kind for place in space.skeleton.places]

        def mixed(i: int, preprocess: list[nn.Module]) -> nn.Module:
            kind, channels, stride, _ = space.skeleton.places[i]
            return MixedCell(preprocess, groups[kind], space.concat, channels, stride, relaxation)

        net = space.skeleton.assemble(dict.fromkeys(space.decisions.kinds, len(space.concat)), mixed)
        self.stem, self.entry, self.head = (norms_without(p, affine=True) for p in (net.stem, net.entry, net.head))
        self.cells = net.cells

    def forward(self, images: torch.Tensor, mixture: Mixture) -> torch.Tensor:
        states = self.entry(self.stem(images))
        for kind, cell in zip(self.kinds, self.cells, strict=True):
            states = (*states[1:], cell(states, mixture.options[kind], mixture.edges[kind], mixture.noise))
        return self.head(states[-1])


class MixedChain(nn.Module):
    """A chain with every layer mixed; with partial channels where a layer keeps their number, so that some can pass."""

    def __init__(self, space: Chain, relaxation: Relaxation, groups: Mapping[str, Group]):
        super().__init__()
        self.stem, self.head = (norms_without(part(), affine=True) for part in (space.stem, space.head))
        self.layers = nn.ModuleList(MixedLayer(layer, relaxation) for layer in space.layers)
        self.groups = list(groups)

    def forward(self, images: torch.Tensor, mixture: Mixture) -> torch.Tensor:
        x = self.stem(images)
        for name, layer in zip(self.groups, self.layers, strict=True):
            x = layer(x, mixture.options[name][0], mixture.noise)
        return self.head(x)


class MixedLayer(nn.Module):
    """A layer with all of its blocks."""

    def __init__(self, layer: Layer, relaxation: Relaxation):
        super().__init__()
        self.partial = _partial(layer, relaxation)
        self.portion, self.stride = portion(layer.in_channels, self.partial), layer.stride
        self.names, self.noise = tuple(layer.options), relaxation.noise
        layer = layer._replace(in_channels=self.portion, out_channels=layer.out_channels // self.partial)
        blocks = [layer.shared_block(k) for k in range(len(self.names))]
        self.blocks = norms_without(nn.ModuleList(blocks), affine=True)

    def forward(self, x: torch.Tensor, weights: torch.Tensor, noise: float) -> torch.Tensor:
        """Weights of options (K,); `noise` is its scale."""
        part, rest = x[:, : self.portion], x[:, self.portion :]
        terms = []
        for name, block, weight in zip(self.names, self.blocks, weights.unbind(), strict=True):
            y = block(part)
            noisy = name == IDENTITY and self.noise and self.training
            terms.append(weight * (self.noise(y, noise) if noisy else y))
        mixed = sum(terms[1:], terms[0])
        if self.partial == 1:
            return mixed
        return shuffle(torch.cat([mixed, F.max_pool2d(rest, 2) if self.stride == 2 else rest], dim=1), self.partial)
