"""A cell whose edges mix all of their options. What is alike is done at once, for all edges that leave a state.

Shapes: B batch, C channels, E edges of a cell, K options of an edge, n edges that leave a state.
"""

from collections.abc import Sequence
from functools import cached_property
from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional as F

from evo.proposals.relaxation import Group, Relaxation
from search_spaces.cell_ops import NONE, OPERATIONS, SKIP, FactorizedReduce, with_norms
from supernet.kernels import DepthwiseConv2d, PointwiseConv2d, depthwise

POOLS = ("max_pool_3x3", "avg_pool_3x3")
FEW = 64  # channels of which a product of matrices wastes little on zeros


def shuffle(x: torch.Tensor, groups: int) -> torch.Tensor:
    """(B, C, H, W): channels dealt round over the groups, so that the next edge takes some of each (PC-DARTS)."""
    if groups == 1:
        return x
    x = x.permute(0, 2, 3, 1).unflatten(-1, (groups, -1))  # so the result has its channels last in memory
    return x.transpose(-1, -2).flatten(-2).permute(0, 3, 1, 2)


def portion(channels: int, partial: int) -> int:
    if channels % partial:
        raise ValueError(
            f"partial channels 1/{partial} do not divide {channels} channels; give the space a multiple of {partial}, "
            f"for example {-(-channels // partial) * partial}"
        )
    return channels // partial


def norms_without(module: nn.Module, affine: bool) -> nn.Module:
    """Every BatchNorm without running statistics, and, as in the authors' cells, without weights."""
    return with_norms(module, affine=affine, track_running_stats=False)


class _Leaving(NamedTuple):
    """The edges that leave a state, and how their options are done."""

    edges: tuple[int, ...]
    free: tuple[str, ...]  # without weights, so the same for all of them
    alike: dict[str, tuple[int, ...]]  # name -> edges; computed side by side
    alone: tuple[tuple[str, int], ...]  # name and edge


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
        self.portion = portion(channels, relaxation.partial)
        self.preprocess = norms_without(nn.ModuleList(preprocess), affine=False)
        self.bodies = nn.ModuleDict()
        for to, source, options in zip(*group, strict=True):
            made = {name: _body(name, self.portion, self._stride(source)) for name in options}
            self.bodies[f"{to}-{source}"] = nn.ModuleDict({name: body for name, body in made.items() if body})
        self.leaving = {source: self._leaving(source) for source in dict.fromkeys(group.source)}

    def _stride(self, source: int) -> int:
        return self.stride if source < self.inputs else 1

    def _body(self, e: int) -> nn.ModuleDict:
        return self.bodies[f"{self.group.to[e]}-{self.group.source[e]}"]

    def _leaving(self, source: int) -> _Leaving:
        edges = [e for e, start in enumerate(self.group.source) if start == source]
        free, alike, alone = [], {}, []
        for name in dict.fromkeys(name for e in edges for name in self.group.options[e] if name != NONE):
            having = tuple(e for e in edges if name in self.group.options[e])
            body = dict(self._body(having[0]).items()).get(name)
            if isinstance(body, nn.Sequential):
                alike[name] = having
            elif body is None and name in (SKIP, *POOLS) and not (name == SKIP and self.noise):
                free.append(name)
            else:
                alone += [(name, e) for e in having]
        return _Leaving(tuple(edges), tuple(free), alike, tuple(alone))

    def forward(
        self, inputs: Sequence[torch.Tensor], options: torch.Tensor, edges: torch.Tensor, noise: float
    ) -> torch.Tensor:
        """Weights of options (E, K) and of edges (E,); `noise` is its scale."""
        states = [layer(x) for layer, x in zip(self.preprocess, inputs, strict=True)]
        rows = zip(self.group.options, options.unbind(), strict=True)
        weights = [dict(zip(names, row.unbind(), strict=True)) for names, row in rows]
        nodes: dict[int, list[torch.Tensor]] = {to: [] for to in self.group.to}  # [mixed channels, those past them]
        for source in range(max(nodes) + 1):
            if source >= self.inputs:
                states.append(shuffle(torch.cat(nodes[source], dim=1), self.partial))
            if source not in self.leaving:
                continue
            share = _Shared(states[source], self.portion, self._stride(source))
            mixed = self._mix(self.leaving[source], share, weights, noise)
            for e, part in zip(self.leaving[source].edges, mixed, strict=True):
                parts = [part] if self.partial == 1 else [part, edges[e] * share.past]
                node = nodes[self.group.to[e]]
                node[:] = [old + new for old, new in zip(node, parts, strict=True)] if node else parts
        return torch.cat([states[node] for node in self.concat], dim=1)

    def _mix(
        self, leaving: _Leaving, share: "_Shared", weights: Sequence[dict[str, torch.Tensor]], noise: float
    ) -> list[torch.Tensor]:
        """What each edge makes of the state that they leave; weights by edge and name."""
        terms: dict[int, list[torch.Tensor]] = {e: [] for e in leaving.edges}
        for name, e in leaving.alone:
            terms[e].append(weights[e][name] * self._alone(name, e, share, noise))
        if leaving.free:
            for e, y in zip(leaving.edges, _free(leaving, share, weights), strict=True):
                terms[e].append(y)
        beside: dict[tuple[int, ...], torch.Tensor] = {}  # edges -> (B, n C, H, W): options that they all have, summed
        for name, having in leaving.alike.items():
            y = _side_by_side([self._body(e)[name] for e in having], share.beside(len(having)))
            scale = torch.stack([weights[e][name] for e in having])
            y = _normalised(y, scale[:, None].repeat(1, self.portion).flatten())  # BatchNorms misread expanded ones
            beside[having] = beside[having] + y if having in beside else y
        for having, total in beside.items():
            for e, y in zip(having, total.chunk(len(having), dim=1), strict=True):
                terms[e].append(y)
        return [sum(ys[1:], ys[0]) for ys in terms.values()]

    def _alone(self, name: str, e: int, share: "_Shared", noise: float) -> torch.Tensor:
        """The output of an option that no other edge shares."""
        body = self._body(e)
        y = _normalised(body[name](share.active)) if name in body else share.free(name, self.training)
        return self.noise(y, noise) if name == SKIP and self.noise and self.training else y


class _Shared:
    """What the edges that leave a state have in common, each made when it is first asked for."""

    def __init__(self, state: torch.Tensor, portion: int, stride: int):
        self.x, self.rest = state.split([portion, state.shape[1] - portion], dim=1)
        self.stride, self._beside = stride, {}

    @cached_property
    def active(self) -> torch.Tensor:
        return self.x.relu()

    @cached_property
    def past(self) -> torch.Tensor:
        """The channels that pass by the operations."""
        return F.max_pool2d(self.rest, 2) if self.stride == 2 else self.rest

    def beside(self, n: int) -> torch.Tensor:
        """What is active, n times side by side."""
        if n not in self._beside:
            self._beside[n] = torch.cat([self.active] * n, dim=1)
        return self._beside[n]

    def free(self, name: str, training: bool = True) -> torch.Tensor:
        """The output of an operation without weights."""
        y = OPERATIONS[name](self.x.shape[1], self.stride).train(training)(self.x)
        return _normalised(y) if name in POOLS else y


def _free(leaving: _Leaving, share: _Shared, weights: Sequence[dict[str, torch.Tensor]]) -> tuple[torch.Tensor, ...]:
    """The weighted sums of the free options, of all edges in one product of matrices: n of (B, C, H, W)."""
    outputs = torch.stack([share.free(name).permute(0, 2, 3, 1) for name in leaving.free])  # channels last in memory
    nothing = outputs.new_zeros(())
    mix = torch.stack([weights[e].get(name, nothing) for e in leaving.edges for name in leaving.free])
    mixed = mix.view(len(leaving.edges), -1) @ outputs.flatten(1)
    return mixed.view(-1, *outputs.shape[1:]).permute(0, 1, 4, 2, 3).unbind()


def _side_by_side(bodies: Sequence[nn.Sequential], x: torch.Tensor) -> torch.Tensor:
    """What n bodies of one kind make of x (B, n C, H, W) at once, each of its own channels."""
    for layers in zip(*bodies, strict=True):
        if isinstance(layers[0], nn.Conv2d):
            x = _convolved(layers, x)
        else:
            x = _normalised(x) if isinstance(layers[0], nn.BatchNorm2d) else layers[0](x)
    return x


def _convolved(convs: Sequence[nn.Conv2d], x: torch.Tensor) -> torch.Tensor:
    """n convolutions of one kind, each of its own channels of x (B, n C, H, W)."""
    first, weights = convs[0], [conv.weight for conv in convs]
    if isinstance(first, DepthwiseConv2d):
        return depthwise(x, torch.cat(weights), None, first.stride[0], first.dilation[0])
    if isinstance(first, PointwiseConv2d) and first.stride == (1, 1):
        return _products([weight.flatten(1) for weight in weights], x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
    groups = len(convs) * first.groups
    return F.conv2d(x, torch.cat(weights), None, first.stride, first.padding, first.dilation, groups)


def _products(weights: Sequence[torch.Tensor], x: torch.Tensor) -> torch.Tensor:
    """n products of matrices, (D, C) with (B, H, W, n C) -> (B, H, W, n D). Few channels: one, with zeros between."""
    if x.shape[-1] <= FEW:
        return F.linear(x, torch.block_diag(*weights))
    n, (d, c) = len(weights), weights[0].shape
    y = torch.bmm(x.reshape(-1, n, c).transpose(0, 1), torch.stack(weights).transpose(1, 2))
    return y.transpose(0, 1).reshape(*x.shape[:-1], n * d)


def _normalised(x: torch.Tensor, scale: torch.Tensor | None = None) -> torch.Tensor:
    """BatchNorm without weights, then times `scale` (C,), in one."""
    return F.batch_norm(x, None, None, scale, None, training=True)


def _body(name: str, channels: int, stride: int) -> nn.Module | None:
    """An operation without its first ReLU and last BatchNorm; None if it has no weights."""
    operation = OPERATIONS[name](channels, stride)
    if isinstance(operation, FactorizedReduce):
        operation.relu, operation.bn = nn.Identity(), nn.Identity()
        return operation
    return norms_without(operation[1:-1], affine=False) if isinstance(operation, nn.Sequential) else None
