"""The chain family: a stem, then layers that each choose one block, then a head.

Shapes: B batch, C channels, H height, W width, N population, L layers, K options of a layer.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, partial
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from search_spaces import cost
from search_spaces.blocks import Block
from search_spaces.space import Part, SearchSpace, split

IDENTITY = "identity"  # the option that changes nothing


class Layer(NamedTuple):
    """One decision of a chain: the shape is given, the block is chosen by name.

    `shared` holds what stands in a supernet in place of an option, where that is something else.
    """

    in_channels: int
    out_channels: int
    stride: int
    options: Mapping[str, Block]
    shared: Mapping[str, Block]

    def block(self, option: int) -> nn.Module:
        return list(self.options.values())[option](self.in_channels, self.out_channels, self.stride)

    def shared_block(self, option: int) -> nn.Module:
        block = list({**self.options, **self.shared}.values())[option]
        return block(self.in_channels, self.out_channels, self.stride)


def layers(
    stages: Sequence[tuple[int, int, int]],
    in_channels: int,
    options: Mapping[str, Block],
    first: Mapping[str, Block] | None = None,
    shared: Mapping[str, Block] | None = None,
) -> list[list[Layer]]:
    """A table of (channels, repeats, stride of the first) as layers, stage by stage.

    `first` are the options of each stage's first layer, where they are others; `shared`: see `Layer`.
    """
    table = []
    for channels, repeats, stride in stages:
        opening = Layer(in_channels, channels, stride, first or options, {})
        table.append([opening] + [Layer(channels, channels, 1, options, shared or {})] * (repeats - 1))
        in_channels = channels
    return table


class ChainNet(nn.Module):
    """A stand-alone network of a chain space: (B, C, H, W) -> (B, classes)."""

    def __init__(self, stem: nn.Module, blocks: Sequence[nn.Module], head: nn.Module):
        super().__init__()
        self.stem, self.blocks, self.head = stem, nn.ModuleList(blocks), head

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        x = self.stem(images)
        for block in self.blocks:
            x = block(x)
        return self.head(x)


class Chain(SearchSpace):
    """A chain of choice blocks. `stem` and `head` build the fixed parts; `stages` holds the layers.

    ValueError if the strides cannot halve the images exactly or there are fewer than two classes.
    """

    def __init__(
        self,
        spec: dict,
        stem: Callable[[], nn.Module],
        stages: Sequence[Sequence[Layer]],
        head: Callable[[], nn.Module],
        stem_stride: int = 1,
    ):
        self.spec, self.stem, self.stages, self.head = spec, stem, stages, head
        self.image_size, self.num_classes = spec["image_size"], spec["num_classes"]
        self.in_channels = spec["in_channels"]
        self.layers = [layer for stage in stages for layer in stage]
        self.choices = tuple(len(layer.options) for layer in self.layers)
        self._check_spec(stem_stride * int(np.prod([layer.stride for layer in self.layers])))

    def canonical(self, encodings) -> np.ndarray:
        """Among a stage's layers of equal shape it is the same network wherever its identities stand: they go last."""
        encodings = self.check(encodings)
        start = 0
        for stage in self.stages:
            first, end = start + 1, start + len(stage)  # a stage's first layer has a shape of its own
            start = end
            if IDENTITY in stage[-1].options:
                identity = encodings[:, first:end] == list(stage[-1].options).index(IDENTITY)
                order = np.argsort(identity, axis=1, kind="stable")
                encodings[:, first:end] = np.take_along_axis(encodings[:, first:end], order, axis=1)
        return encodings

    @cached_property
    def _cost_tables(self) -> tuple[np.ndarray, list[np.ndarray]]:
        """Fixed cost (2,), and per layer the cost of its options (K, 2), each distinct one measured once."""
        known: dict[tuple, tuple] = {}
        fixed, shape = cost.measure(self.stem, (self.in_channels, self.image_size, self.image_size))
        tables = []
        for layer in self.layers:
            key = (*layer[:3], tuple(layer.options), shape)
            if key not in known:
                known[key] = self._measure_layer(layer, shape)
            table, shape = known[key]
            tables.append(table)
        return fixed + cost.measure(self.head, shape)[0], tables

    @staticmethod
    def _measure_layer(layer: Layer, shape: tuple[int, ...]) -> tuple[np.ndarray, tuple[int, ...]]:
        rows = [cost.measure(lambda k=k: layer.block(k), shape) for k in range(len(layer.options))]
        return np.stack([row for row, _ in rows]), rows[0][1]

    def cost(self, encodings) -> np.ndarray:
        fixed, tables = self._cost_tables
        return fixed + cost.gather(tables, self.check(encodings))

    def cost_range(self) -> np.ndarray:
        fixed, tables = self._cost_tables
        return np.stack([fixed + sum(t.min(0) for t in tables), fixed + sum(t.max(0) for t in tables)])

    @cached_property
    def _shapes(self) -> list[tuple[int, ...]]:
        """What each layer is given, (C, H, W)."""
        shapes = [cost.measure(self.stem, (self.in_channels, self.image_size, self.image_size))[1]]
        for layer in self.layers[:-1]:
            shapes.append(cost.measure(partial(layer.block, 0), shapes[-1])[1])
        return shapes

    def parts(self) -> list[list[list[Part]]]:
        return [
            [[Part(partial(layer.block, k), shape)] for k in range(len(layer.options))]
            for layer, shape in zip(self.layers, self._shapes, strict=True)
        ]

    def picked(self, encodings) -> tuple[np.ndarray, np.ndarray]:
        encodings = self.check(encodings)
        return np.broadcast_to(np.arange(len(self.layers)), encodings.shape), encodings

    def extremes(self, table: Sequence[Sequence[float]]) -> tuple[float, float]:
        return sum(map(min, table)), sum(map(max, table))

    def describe(self, encoding: Sequence[int]) -> str:
        """Names of the blocks, stages apart: 'k7e3 k3e3 | k7e3 k3e6 ...'."""
        (encoding,) = self.check([encoding])
        names = iter([list(layer.options)[k] for layer, k in zip(self.layers, encoding, strict=True)])
        return " | ".join(" ".join(next(names) for _ in stage) for stage in self.stages)

    def parse(self, text: str) -> tuple[int, ...]:
        """Reads block names or option numbers; single digits may stand together ('20 2350 0551')."""
        words = split(text, len(self.layers))
        if len(words) != len(self.layers):
            raise ValueError(f"{self.name} has {len(self.layers)} layers, got {len(words)} in {text!r}")
        return tuple(self._option(layer, word) for layer, word in enumerate(words))

    def _option(self, layer: int, word: str) -> int:
        names = list(self.layers[layer].options)
        if word in names:
            return names.index(word)
        if word.isascii() and word.isdigit() and int(word) < len(names):
            return int(word)
        raise ValueError(f"layer {layer} of {self.name} has no option {word!r}; it has {', '.join(names)}")

    def build(self, encoding: Sequence[int]) -> nn.Module:
        (encoding,) = self.check([encoding])
        blocks = [layer.block(option) for layer, option in zip(self.layers, encoding, strict=True)]
        return ChainNet(self.stem(), blocks, self.head())
