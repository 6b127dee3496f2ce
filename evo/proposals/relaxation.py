"""How an edge mixes its options. A layer of a chain is an edge.

A group is what one tensor of alphas belongs to: the edges of one kind of cell, or one layer.
Shapes: E edges of a group, K options of an edge.
"""

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import torch

from search_spaces import SearchSpace
from search_spaces.cell import Cell
from search_spaces.cell_ops import NONE, normal_like

SCALE = 1e-3  # of the first alphas and betas
BETA = "beta:"  # betas stand among the alphas under the group's name with this before it

Alphas = dict[str, torch.Tensor]  # group -> (E, K); "beta:" + group -> (E,)


class Group(NamedTuple):
    """`to` and `options` have an entry per edge; `source` too, where edges have one."""

    to: tuple[int, ...]
    source: tuple[int, ...]
    options: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Noise:
    """What NoisyDARTS (arXiv 2005.03566, section 3.3) adds to skips, in training alone: without it they win too easily.

    `kind`: "additive" Gaussian, "multiplicative" Gaussian, or "uniform" additive. `std` is relative to the input's
    where the noise is added. With `decay` it falls to zero along a half cosine. No gradient flows through the noise.
    The authors' code scales uniform noise by nothing, takes `std` for its variance, and drops whole paths of every
    skip with probability 0.3, in eval mode too; the paper has none of this.
    """

    kind: str = "additive"
    std: float = 0.2
    mean: float = 0.0
    decay: bool = False

    def __post_init__(self):
        if self.kind not in ("additive", "multiplicative", "uniform") or self.std < 0:
            raise ValueError(f"noise must be additive, multiplicative or uniform of a std >= 0, got {self}")

    def scale(self, progress: float) -> float:
        """Of noise and mean after this share of the epochs."""
        return (1 + math.cos(math.pi * progress)) / 2 if self.decay else 1.0

    def __call__(self, x: torch.Tensor, scale: float) -> torch.Tensor:
        """x (B, C, H, W) with its noise, times `scale`."""
        if self.kind == "multiplicative":
            return x * (1 + scale * (self.mean + self.std * normal_like(x)))
        unit = normal_like(x) if self.kind == "additive" else (2 * torch.rand_like(x) - 1) * math.sqrt(3)
        return x + scale * (self.mean + self.std * x.detach().std() * unit)


class Mixture(NamedTuple):
    """The weights of all options: group -> (E, K), of edges: group -> (E,), and the scale of the noise now."""

    options: dict[str, torch.Tensor]
    edges: dict[str, torch.Tensor]
    noise: float


@dataclass(frozen=True)
class Relaxation:
    """`gate`: "softmax" over an edge's options, or a "sigmoid" for each. `none` is an option if it is one of the space.

    `zero_one` is the weight of FairDARTS's loss (arXiv 1911.12126, section 3.3), which drives sigmoids to 0 or 1;
    `norm` its kind, "l1" or "l2". `partial` K sends 1/K of the channels through the operations and the others past
    them, with a softmax of betas over a node's edges (PC-DARTS, arXiv 1907.05737, section 3).
    """

    gate: str = "softmax"
    none: bool = True
    noise: Noise | None = None
    zero_one: float = 0.0
    norm: str = "l2"
    partial: int = 1

    def __post_init__(self):
        if self.gate not in ("softmax", "sigmoid") or self.norm not in ("l1", "l2"):
            raise ValueError(f"need a gate softmax or sigmoid and a norm l1 or l2, got {self.gate} and {self.norm}")
        if self.partial < 1:
            raise ValueError(f"partial channels 1/K need a whole K >= 1, got {self.partial}")

    def groups(self, space: SearchSpace) -> dict[str, Group]:
        """What there is to weigh; ValueError if nothing."""
        groups = _cell_groups(space, self.none) if isinstance(space, Cell) else _chain_groups(space)
        lone = [name for name, group in groups.items() if min(map(len, group.options)) < 2]
        if lone:
            raise ValueError(f"{space.name} cannot be relaxed: {lone[0]} has an edge with one option, nothing to weigh")
        return groups

    def alphas(self, groups: Mapping[str, Group], generator: torch.Generator) -> Alphas:
        """The first ones: exactly 0 for sigmoids, else N(0, 1e-6); they belong to no module."""
        scale = 0.0 if self.gate == "sigmoid" else SCALE
        alphas = {
            name: torch.randn(len(g.to), len(g.options[0]), generator=generator) * scale for name, g in groups.items()
        }
        if self.partial > 1:
            betas = {BETA + name: torch.randn(len(g.to), generator=generator) * SCALE for name, g in groups.items()}
            alphas |= {name: beta for name, beta in betas.items() if len(beta) > 1}  # a lone edge is no choice
        return alphas

    def mixture(self, alphas: Alphas, groups: Mapping[str, Group], progress: float = 0.0) -> Mixture:
        """The weights after this share of the epochs; an option's holds its edge's."""
        options, edges = {}, {}
        for name, group in groups.items():
            alpha = alphas[name]
            gate = alpha.softmax(-1) if self.gate == "softmax" else alpha.sigmoid()
            edges[name] = _per_node(alphas[BETA + name], group) if BETA + name in alphas else alpha.new_ones(len(alpha))
            options[name] = gate * edges[name][:, None] if BETA + name in alphas else gate
        return Mixture(options, edges, self.noise.scale(progress) if self.noise else 0.0)

    def penalty(self, alphas: Alphas) -> torch.Tensor:
        """The zero-one loss with its weight: 0 where all sigmoids are 1/2, lowest where all are 0 or 1.

        The mean over all options, as in the authors' code.
        """
        distance = torch.cat([a.flatten() for name, a in alphas.items() if not name.startswith(BETA)]).sigmoid() - 0.5
        return -self.zero_one * (distance.square() if self.norm == "l2" else distance.abs()).mean()


def _per_node(betas: torch.Tensor, group: Group) -> torch.Tensor:
    """Softmax over the edges of each node: (E,) -> (E,)."""
    sizes = list(Counter(group.to).values())  # edges stand in the order of their nodes
    return torch.cat([part.softmax(0) for part in betas.split(sizes)])


def _cell_groups(space: Cell, none: bool) -> dict[str, Group]:
    keep = none and getattr(space.decisions, "own_none", True)
    groups = {}
    for kind in space.decisions.kinds:
        edges = [edge for edge in space.decisions.edges if edge.kind == kind]
        options = [tuple(name for name in edge.options if keep or name != NONE) for edge in edges]
        groups[kind] = Group(tuple(e.to for e in edges), tuple(e.source for e in edges), tuple(options))
    return groups


def _chain_groups(space: SearchSpace) -> dict[str, Group]:
    return {f"layer {i}": Group((1,), (0,), (tuple(layer.options),)) for i, layer in enumerate(space.layers)}
