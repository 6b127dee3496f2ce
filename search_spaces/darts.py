"""The space of DARTS (arXiv 1806.09055, section 3.1): a normal and a reduction cell of 4 nodes, 8 operations.

An encoding gives every node two slots, each an earlier state and an operation, `none` being no edge: so FairDARTS's
cells, with 0 to 2 edges at a node, fit. Genotypes (see `genotype.read`) may have more nodes, edges and operations.
Nodes keep their numbers: cells that are alike but for those have encodings of their own, as in a supernet weights.
By default the networks are as large as DARTS's search network, 16 channels and 8 cells; published figures are those
of 36 and 20 on CIFAR-10, 48 and 14 on ImageNet. The second network has another stem and another auxiliary head.
"""

from collections.abc import Mapping, Sequence
from functools import cache

import torch
from torch import nn

from search_spaces.cell import Cell
from search_spaces.cell_net import Entry, Place, Skeleton, Widths
from search_spaces.cell_ops import NONE, FactorizedReduce, conv_bn, relu_conv_bn
from search_spaces.decisions import Edge, Slots
from search_spaces.genotype import KINDS, NODES

OPTIONS = (
    NONE, "max_pool_3x3", "avg_pool_3x3", "skip_connect",
    "sep_conv_3x3", "sep_conv_5x5", "dil_conv_3x3", "dil_conv_5x5",
)  # fmt: skip
INPUTS = 2
STEM = 3  # times the channels, on small images
LARGE = 128  # images of so many pixels take ImageNet's network: three strides of 2 before the first cell


def _large_stem(in_channels: int, channels: int) -> nn.Module:
    """Two 3x3 convolutions of stride 2."""
    half = nn.Conv2d(in_channels, channels // 2, 3, 2, 1, bias=False)
    return nn.Sequential(half, nn.BatchNorm2d(channels // 2), *relu_conv_bn(channels // 2, channels, 3, 2))


class LargeEntry(nn.Module):
    """A third convolution of stride 2; the first cell reads what it makes, and what it reads itself."""

    def __init__(self, channels: int):
        super().__init__()
        self.body = relu_conv_bn(channels, channels, 3, 2)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return x, self.body(x)


def _head(channels: int, num_classes: int) -> nn.Module:
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, num_classes))


def _auxiliary(channels: int, size: int, num_classes: int, large: bool) -> nn.Module:
    """DARTS's second classifier, for maps of 8 pixels, or 7 in ImageNet's network, which lacks the last BatchNorm."""
    stride = 2 if large else 3
    if (size - 5) // stride != 1:
        raise ValueError(
            f"the auxiliary head needs maps of {'7 or 8' if large else '8 to 10'} pixels where it stands, "
            f"that is images of {'224' if large else '32'} pixels; here they have {size}"
        )
    last = [] if large else [nn.BatchNorm2d(768)]
    return nn.Sequential(
        nn.ReLU(),
        nn.AvgPool2d(5, stride, count_include_pad=False),
        *(nn.Conv2d(channels, 128, 1, bias=False), nn.BatchNorm2d(128), nn.ReLU(inplace=True)),
        *(nn.Conv2d(128, 768, 2, bias=False), *last, nn.ReLU(inplace=True)),
        *(nn.Flatten(), nn.Linear(768, num_classes)),
    )


def skeleton(channels: int, cells: int, image_size: int, num_classes: int, in_channels: int) -> Skeleton:
    """Reduction cells at one and two thirds of the depth; there the channels double and the images halve."""
    large = image_size >= LARGE
    reductions, size = {cells // 3, 2 * cells // 3}, image_size // (8 if large else 1)
    places = []
    for i in range(cells):
        c = channels * 2 ** sum(i >= r for r in reductions)
        places.append(Place(KINDS[i in reductions], c, 2 if i in reductions else 1, size))
        size //= places[-1].stride
    stem = [channels, channels] if large else [STEM * channels] * INPUTS

    def preprocess(i: int, widths: Widths) -> list[nn.Module]:
        made = [*stem, *(widths[place.kind] * place.channels for place in places)]
        older, newer = made[i : i + INPUTS]  # channels of the two states before cell i
        halved = places[i - 1].stride == 2 if i else large  # between the two
        c = places[i].channels
        return [FactorizedReduce(older, c) if halved else relu_conv_bn(older, c), relu_conv_bn(newer, c)]

    return Skeleton(
        stem=lambda: _large_stem(in_channels, channels) if large else conv_bn(in_channels, STEM * channels),
        entry=lambda: LargeEntry(channels) if large else Entry(INPUTS),
        places=tuple(places),
        preprocess=preprocess,
        head=lambda c: _head(c, num_classes),
        auxiliary=lambda c, size: _auxiliary(c, size, num_classes, large),
        tap=2 * cells // 3,
    )


def edges(options: Mapping[str, Sequence[Sequence[str]]]) -> list[Edge]:
    """Every edge of both cells with its options, `none` first; they are given by kind in the order of the edges."""
    ends = [(to, source) for to in range(INPUTS, INPUTS + NODES) for source in range(to)]
    return [
        Edge(kind, *end, (NONE, *(name for name in own if name != NONE)))
        for kind in KINDS
        for end, own in zip(ends, options[kind], strict=True)
    ]


def cell_space(
    name: str,
    options: Mapping[str, Sequence[Sequence[str]]],
    image_size: int,
    num_classes: int,
    in_channels: int,
    channels: int,
    cells: int,
) -> Cell:
    """The space of these options (see `edges`) along DARTS's skeleton."""
    if channels < 2 or channels % 2 or cells < 1:
        raise ValueError(f"{name} needs an even number of channels and at least 1 cell, got {channels} and {cells}")
    shape = {"image_size": image_size, "num_classes": num_classes, "in_channels": in_channels}
    halvings = len({cells // 3, 2 * cells // 3}) + (3 if image_size >= LARGE else 0)
    return Cell(
        spec={"name": name, **shape, "channels": channels, "cells": cells},
        decisions=Slots(edges(options), INPUTS, own_none=NONE in options[KINDS[0]][0]),
        concat=range(INPUTS, INPUTS + NODES),
        skeleton=skeleton(channels, cells, image_size, num_classes, in_channels),
        stride=2**halvings,
    )


def darts(
    image_size: int = 32, num_classes: int = 10, in_channels: int = 3, channels: int = 16, cells: int = 8
) -> Cell:
    """(2 x 8)^4 (3 x 8)^4 (4 x 8)^4 (5 x 8)^4 encodings of fewer networks."""
    options = {kind: [OPTIONS] * 14 for kind in KINDS}
    return cell_space("darts", options, image_size, num_classes, in_channels, channels, cells)


def cost(
    genotype: Mapping, channels: int, cells: int, image_size: int, num_classes: int, auxiliary: bool = False
) -> tuple[int, int]:
    """Multiply-adds and params of a genotype's network; the auxiliary head has params, but does not run in use."""
    return _space(image_size, num_classes, channels=channels, cells=cells).cost_of(genotype, auxiliary)


_space = cache(darts)  # what is measured once need not be measured again
