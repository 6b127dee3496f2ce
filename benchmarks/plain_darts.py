"""DARTS's search network and step written as the paper says it, one operation after the other: what ours is held to.

Every edge computes all of its operations and adds them up with their weights; a step computes all gradients twice.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import nn
from torch.nn import functional as F

from evo.proposals.mixed import MixedCells
from search_spaces import darts
from search_spaces.cell import Cell
from search_spaces.cell_ops import OPERATIONS
from search_spaces.genotype import KINDS

CLIP = 5.0


def _without_weights(module: nn.Module) -> nn.Module:
    """The search network's BatchNorms in cells have none."""
    for name, child in module.named_children():
        if isinstance(child, nn.BatchNorm2d):
            setattr(module, name, nn.BatchNorm2d(child.num_features, affine=False))
        else:
            _without_weights(child)
    return module


class MixedOperation(nn.Module):
    """An edge: all operations, each times its weight."""

    def __init__(self, channels: int, stride: int):
        super().__init__()
        self.operations = nn.ModuleList()
        for name in darts.OPTIONS:
            operation = OPERATIONS[name](channels, stride)
            if "pool" in name:
                operation = nn.Sequential(operation, nn.BatchNorm2d(channels))
            self.operations.append(_without_weights(operation))

    def forward(self, x: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        return sum(w * operation(x) for w, operation in zip(weights, self.operations, strict=True))


class PlainCell(nn.Module):
    """Two preprocessed inputs, four nodes, each the sum over all states before it."""

    def __init__(self, preprocess: Sequence[nn.Module], channels: int, stride: int):
        super().__init__()
        self.preprocess = _without_weights(nn.ModuleList(preprocess))
        ends = [(to, source) for to in range(2, 6) for source in range(to)]
        self.edges = nn.ModuleList(MixedOperation(channels, stride if source < 2 else 1) for _, source in ends)

    def forward(self, s0: torch.Tensor, s1: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        states, offset = [self.preprocess[0](s0), self.preprocess[1](s1)], 0
        for _ in range(4):
            total = sum(self.edges[offset + i](x, weights[offset + i]) for i, x in enumerate(states))
            offset += len(states)
            states.append(total)
        return torch.cat(states[2:], dim=1)


class PlainNetwork(nn.Module):
    """The search network with its alphas, (14, 8) each."""

    def __init__(self, space: Cell):
        super().__init__()
        self.kinds = [place.kind for place in space.skeleton.places]

        def cell(i: int, preprocess: list[nn.Module]) -> nn.Module:
            _, channels, stride, _ = space.skeleton.places[i]
            return PlainCell(preprocess, channels, stride)

        net = space.skeleton.assemble(dict.fromkeys(KINDS, 4), cell)
        self.stem, self.entry, self.cells, self.head = net.stem, net.entry, net.cells, net.head
        self.alphas = {kind: (1e-3 * torch.randn(14, 8)).requires_grad_() for kind in KINDS}

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        s0, s1 = self.entry(self.stem(images))
        weights = {kind: alpha.softmax(-1) for kind, alpha in self.alphas.items()}
        for kind, cell in zip(self.kinds, self.cells, strict=True):
            s0, s1 = s1, cell(s0, s1, weights[kind])
        return self.head(s1)


def same_weights(plain: PlainNetwork, net: MixedCells, alphas: Mapping[str, torch.Tensor]) -> None:
    """Gives the plain network the weights and alphas of ours."""
    with torch.no_grad():
        for ours, theirs in ((net.stem, plain.stem), (net.head, plain.head)):
            theirs.load_state_dict(ours.state_dict(), strict=False)  # the plain one keeps statistics besides
        for ours, theirs in zip(net.cells, plain.cells, strict=True):
            sources = [*convolutions(ours.preprocess), *convolutions(ours.bodies)]
            for source, target in zip(sources, convolutions(theirs), strict=True):
                target.copy_(source)
        for kind, alpha in alphas.items():
            plain.alphas[kind].copy_(alpha)


def convolutions(module: nn.Module) -> list[torch.Tensor]:
    """The weights of all convolutions, in order."""
    return [layer.weight for layer in module.modules() if isinstance(layer, nn.Conv2d)]


class PlainSearch:
    """First-order DARTS: `step(train, val)`, each a batch of images and labels."""

    def __init__(self, net: PlainNetwork):
        self.net = net.train()
        self.sgd = torch.optim.SGD(self.net.parameters(), 0.025, 0.9, weight_decay=3e-4)
        self.adam = torch.optim.Adam(self.net.alphas.values(), 3e-4, (0.5, 0.999), weight_decay=1e-3)

    def step(self, train: tuple[torch.Tensor, torch.Tensor], val: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
        """Returns the training loss."""
        self.adam.zero_grad()
        F.cross_entropy(self.net(val[0]), val[1]).backward()
        self.adam.step()
        self.sgd.zero_grad()
        loss = F.cross_entropy(self.net(train[0]), train[1])
        loss.backward()
        nn.utils.clip_grad_norm_(self.net.parameters(), CLIP)
        self.sgd.step()
        return loss.detach()
