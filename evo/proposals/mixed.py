"""Networks whose edges mix all of their options: what a relaxation trains. Alphas are arguments, never parameters.

Shapes: B batch, C channels, E edges of a cell, K options of an edge.
"""

from collections.abc import Mapping, Sequence
from functools import cached_property

import torch
from torch import nn
from torch.nn import functional as F

from evo.proposals.relaxation import Group, Mixture, Relaxation
from search_spaces import SearchSpace
from search_spaces.blocks import initialise
from search_spaces.cell import Cell
from search_spaces.cell_ops import NONE, OPERATIONS, SKIP, FactorizedReduce
from search_spaces.chain import IDENTITY, Chain, Layer

POOLS = ("max_pool_3x3", "avg_pool_3x3")


def build(
    space: SearchSpace, relaxation: Relaxation, groups: Mapping[str, Group], generator: torch.Generator | None = None
) -> nn.Module:
    """The mixed network of a space, (B, C, H, W) and a mixture -> (B, classes); BatchNorms keep no statistics.

    ValueError if `partial` does not divide the channels.
    """
    net = MixedCells(space, relaxation, groups) if isinstance(space, Cell) else MixedChain(space, relaxation, groups)
    initialise(net, generator)
    return net


def shuffle(x: torch.Tensor, groups: int) -> torch.Tensor:
    """(B, C, H, W): channels dealt round over the groups, so that the next edge takes some of each (PC-DARTS)."""
    return x.unflatten(1, (groups, -1)).transpose(1, 2).flatten(1, 2) if groups > 1 else x


def _portion(channels: int, partial: int) -> int:
    if channels % partial:
        raise ValueError(f"partial channels 1/{partial} do not divide {channels} channels; choose a divisor")
    return channels // partial


def _norms_without(module: nn.Module, affine: bool) -> nn.Module:
    """Every BatchNorm without running statistics, and, as in the authors' cells, without weights."""
    for name, child in module.named_children():
        if isinstance(child, nn.BatchNorm2d):
            setattr(module, name, nn.BatchNorm2d(child.num_features, affine=affine, track_running_stats=False))
        else:
            _norms_without(child, affine)
    return module


class MixedCells(nn.Module):
    """A cell space with every edge mixed: the search network of DARTS (arXiv 1806.09055, section 3.2)."""

    def __init__(self, space: Cell, relaxation: Relaxation, groups: Mapping[str, Group]):
        super().__init__()
        self.kinds = [place.kind for place in space.skeleton.places]

        def mixed(i: int, preprocess: list[nn.Module]) -> nn.Module:
            kind, channels, stride, _ = space.skeleton.places[i]
            return MixedCell(preprocess, groups[kind], space.concat, channels, stride, relaxation)

        net = space.skeleton.assemble(dict.fromkeys(space.decisions.kinds, len(space.concat)), mixed)
        self.stem, self.entry, self.head = (_norms_without(p, affine=True) for p in (net.stem, net.entry, net.head))
        self.cells = net.cells

    def forward(self, images: torch.Tensor, mixture: Mixture) -> torch.Tensor:
        states = self.entry(self.stem(images))
        for kind, cell in zip(self.kinds, self.cells, strict=True):
            states = (*states[1:], cell(states, mixture.options[kind], mixture.edges[kind], mixture.noise))
        return self.head(states[-1])


class MixedCell(nn.Module):
    """One cell. `bodies` hold what has weights, by edge "to-source" and option: the operation without its first ReLU,
    which all that leave a state share, and without its last BatchNorm, whose scale is the option's weight. Pools,
    followed by a BatchNorm as in the authors' code, are computed once for all edges that leave a state.
    """

    def __init__(
        self,
        preprocess: Sequence[nn.Module],
        group: Group,
        concat: Sequence[int],
        channels: int,
        stride: int,
        relaxation: Relaxation,
    ):
        super().__init__()
        self.group, self.concat, self.stride, self.inputs = group, concat, stride, len(preprocess)
        self.partial, self.noise = relaxation.partial, relaxation.noise
        self.portion = _portion(channels, relaxation.partial)
        self.preprocess = _norms_without(nn.ModuleList(preprocess), affine=False)
        self.bodies = nn.ModuleDict()
        for to, source, options in zip(*group, strict=True):
            made = {name: _body(name, self.portion, self._stride(source)) for name in options}
            self.bodies[f"{to}-{source}"] = nn.ModuleDict({name: body for name, body in made.items() if body})

    def _stride(self, source: int) -> int:
        return self.stride if source < self.inputs else 1

    def forward(
        self, inputs: Sequence[torch.Tensor], options: torch.Tensor, edges: torch.Tensor, noise: float
    ) -> torch.Tensor:
        """Weights of options (E, K) and of edges (E,); `noise` is its scale."""
        states = [layer(x) for layer, x in zip(self.preprocess, inputs, strict=True)]
        scales = options[..., None].repeat(1, 1, self.portion)  # BatchNorms misread an expanded one with channels last
        nodes: dict[int, list[torch.Tensor]] = {to: [] for to in self.group.to}  # [mixed channels, those past them]
        for source in range(max(nodes) + 1):
            if source >= self.inputs:
                states.append(shuffle(torch.cat(nodes[source], dim=1), self.partial))
            leaving = [e for e, start in enumerate(self.group.source) if start == source]
            if leaving:
                share = _Shared(states[source], self.portion, self._stride(source))
            for e in leaving:
                parts = [self._mix(e, share, options[e], scales[e], noise)]
                if self.partial > 1:
                    parts.append(edges[e] * share.past)
                node = nodes[self.group.to[e]]
                node[:] = [old + new for old, new in zip(node, parts, strict=True)] if node else parts
        return torch.cat([states[node] for node in self.concat], dim=1)

    def _mix(self, e: int, share: "_Shared", weights: torch.Tensor, scales: torch.Tensor, noise: float) -> torch.Tensor:
        """Of one edge: weights (K,), and the same for every channel, (K, C)."""
        to, source, names = (column[e] for column in self.group)
        bodies = self.bodies[f"{to}-{source}"]
        terms = []
        for name, weight, scale in zip(names, weights.unbind(), scales.unbind(), strict=True):
            if name == SKIP and self.noise and self.training:
                y = _normalised(bodies[name](share.active)) if name in bodies else share.x
                terms.append(weight * self.noise(y, noise))
            elif name in bodies:
                terms.append(_normalised(bodies[name](share.active), scale))
            elif name != NONE:
                terms.append(weight * share.free(name, self.training))
        return sum(terms[1:], terms[0])


class _Shared:
    """What the edges that leave a state have in common, each made when it is first asked for."""

    def __init__(self, state: torch.Tensor, portion: int, stride: int):
        self.x, self.rest, self.stride = state[:, :portion], state[:, portion:], stride
        self.pooled: dict[str, torch.Tensor] = {}

    @cached_property
    def active(self) -> torch.Tensor:
        return self.x.relu()

    @cached_property
    def past(self) -> torch.Tensor:
        """The channels that pass by the operations."""
        return F.max_pool2d(self.rest, 2) if self.stride == 2 else self.rest

    def free(self, name: str, training: bool) -> torch.Tensor:
        """The output of an operation without weights."""
        if name not in POOLS:
            return OPERATIONS[name](self.x.shape[1], self.stride).train(training)(self.x)
        if name not in self.pooled:
            self.pooled[name] = _normalised(OPERATIONS[name](self.x.shape[1], self.stride)(self.x))
        return self.pooled[name]


def _normalised(x: torch.Tensor, scale: torch.Tensor | None = None) -> torch.Tensor:
    """BatchNorm without weights, then times `scale` (C,), in one."""
    return F.batch_norm(x, None, None, scale, None, training=True)


def _body(name: str, channels: int, stride: int) -> nn.Module | None:
    """An operation without its first ReLU and last BatchNorm; None if it has no weights."""
    operation = OPERATIONS[name](channels, stride)
    if isinstance(operation, FactorizedReduce):
        operation.relu, operation.bn = nn.Identity(), nn.Identity()
        return operation
    return _norms_without(operation[1:-1], affine=False) if isinstance(operation, nn.Sequential) else None


class MixedChain(nn.Module):
    """A chain with every layer mixed; with partial channels where a layer keeps their number, so that some can pass."""

    def __init__(self, space: Chain, relaxation: Relaxation, groups: Mapping[str, Group]):
        super().__init__()
        self.stem, self.head = (_norms_without(part(), affine=True) for part in (space.stem, space.head))
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
        self.partial = relaxation.partial if layer.in_channels == layer.out_channels else 1
        self.portion, self.stride = _portion(layer.in_channels, self.partial), layer.stride
        self.names, self.noise = tuple(layer.options), relaxation.noise
        layer = layer._replace(in_channels=self.portion, out_channels=layer.out_channels // self.partial)
        blocks = [layer.shared_block(k) for k in range(len(self.names))]
        self.blocks = _norms_without(nn.ModuleList(blocks), affine=True)

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
