"""How densely weights are shared: by all architectures, within groups of them, or in the first layers or cells alone.

Fewer architectures to a weight disturb each other less (arXiv 2001.01431); each trains on fewer passes.
Shapes: B batch, C channels, H height, W width, P paths, N population, L layers, G groups.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from search_spaces import SearchSpace
from search_spaces.blocks import initialise
from search_spaces.chain import Chain
from supernet import model
from supernet.model import Supernet, divide
from supernet.oracle import SupernetOracle

GROUPINGS = ("similar", "random")


@dataclass(frozen=True)
class Sharing:
    """How many architectures share a weight."""

    groups: int = 1
    """Groups of architectures, each with weights of its own."""
    grouping: str = "similar"
    """similar: architectures that begin alike are a group (few-shot NAS, arXiv 2006.06863); random: any."""
    shared_prefix: int = 0
    """The stem and so many of the first layers, or cells, are shared by all groups even so."""

    def __post_init__(self):
        if self.groups < 1 or self.shared_prefix < 0:
            raise ValueError(
                "need --groups of at least 1 and --shared-prefix of at least 0, "
                f"got {self.groups} and {self.shared_prefix}"
            )
        if self.grouping not in GROUPINGS:
            raise ValueError(f"--grouping must be {' or '.join(GROUPINGS)}, got {self.grouping!r}")
        if self.groups == 1 and (self.shared_prefix or self.grouping != GROUPINGS[0]):
            raise ValueError(
                "--grouping and --shared-prefix are of groups: give --groups of at least 2, or leave them out"
            )


def group(space: SearchSpace, sharing: Sharing, seed: int, encodings: np.ndarray) -> np.ndarray:
    """The group of every encoding (N, L): (N,), from 0 to G - 1. Equal networks are in the same group.

    Similar ones are the equal parts of all encodings in their order; the seed is that of random ones.
    """
    rows = space.canonical(encodings)
    if sharing.grouping == "similar":
        return np.array(
            [_number(row, space.choices) * sharing.groups // space.size for row in rows.tolist()], dtype=int
        )
    digests = (hashlib.blake2b(row.tobytes(), digest_size=8, key=str(seed).encode()).digest() for row in rows)
    return np.array([int.from_bytes(digest) % sharing.groups for digest in digests], dtype=int)


def _number(encoding: Sequence[int], choices: Sequence[int]) -> int:
    """The place of an encoding among all, in their order."""
    number = 0
    for option, options in zip(encoding, choices, strict=True):
        number = number * options + option
    return number


class GroupedSupernet(Supernet):
    """A supernet per group; they have the stem and the first layers or cells in common, as far as the sharing says."""

    def __init__(self, space: SearchSpace, sharing: Sharing, seed: int):
        super().__init__()
        self.space, self.sharing, self.seed = space, sharing, seed
        self.stem = self.head = nn.Identity()  # nothing is on every path
        self.members = tuple(model.build(space) for _ in range(sharing.groups))
        for member in self.members[1:]:
            _share(self.members[0], member, sharing.shared_prefix)
        parts = [part for member in self.members for part in _parts(member)]
        self.parts = nn.ModuleList(dict.fromkeys(parts))  # each once, whoever shares it

    def train(self, mode: bool = True) -> "GroupedSupernet":
        for member in self.members:  # whose parts alone are registered, since some stand in several
            member.train(mode)
        return super().train(mode)

    def groups(self, encodings) -> np.ndarray:
        """(N, L) -> (N,)."""
        return group(self.space, self.sharing, self.seed, np.asarray(encodings))

    def _member(self, encoding: Sequence[int]) -> Supernet:
        return self.members[self.groups([encoding])[0]]

    def follow(self, x: torch.Tensor, path: Sequence[int]) -> torch.Tensor:
        member = self._member(path)
        return member.follow(member.stem(x), path)

    def path(self, encoding: Sequence[int]) -> nn.Module:
        return self._member(encoding).path(encoding)

    def extract(self, encoding: Sequence[int]) -> nn.Module:
        return self._member(encoding).extract(encoding)

    def average(self, paths: np.ndarray) -> None:
        """What every path of a group uses gets its mean over the passes of all groups that share it."""
        passes: Counter[nn.Module] = Counter()
        for g in self.groups(paths).tolist():
            passes.update(self.members[g].common)
        for module, times in passes.items():
            divide([module], times)


def _share(first: Supernet, other: Supernet, prefix: int) -> None:
    """From now on `other` has the opening and so many layers or cells of `first`; with a prefix of 0, nothing."""
    for name in first.opening if prefix else ():
        setattr(other, name, getattr(first, name))
    for i in range(prefix):
        getattr(other, other.trunk)[i] = getattr(first, first.trunk)[i]


def _parts(net: Supernet) -> list[nn.Module]:
    return [*(getattr(net, name) for name in net.opening), *getattr(net, net.trunk), net.head]


class GroupedOracle:
    """The supernet oracle's face: every architecture is scored by its group's oracle, which `make` makes."""

    def __init__(self, net: GroupedSupernet, make: Callable[[Supernet], SupernetOracle]):
        self.net, self.make = net, make

    def accuracy(self, encodings: np.ndarray) -> np.ndarray:
        """(N, L) ints -> (N,) float64, each in [0, 1]."""
        encodings = np.asarray(encodings)
        groups, scores = self.net.groups(encodings), np.empty(len(encodings))
        for g in np.unique(groups):
            scores[groups == g] = self.make(self.net.members[g]).accuracy(encodings[groups == g])
        return scores


def build(space: SearchSpace, sharing: Sharing, seed: int) -> Supernet:
    """The untrained supernet of the space; ValueError if it cannot be shared so."""
    generator = torch.Generator().manual_seed(seed)
    if sharing.groups == 1:
        return model.build(space, generator)
    deep, what = (len(space.layers), "layers") if isinstance(space, Chain) else (len(space.skeleton.places), "cells")
    if sharing.shared_prefix > deep or sharing.groups > space.size:
        raise ValueError(
            f"{space.name} has {deep} {what} and {space.size:,} encodings: --shared-prefix and --groups cannot be more"
        )
    net = GroupedSupernet(space, sharing, seed)
    initialise(net, generator)
    return net
