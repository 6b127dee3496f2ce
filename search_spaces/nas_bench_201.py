"""NAS-Bench-201 (arXiv 2001.00326, section 2): one cell of 6 edges x 5 operations, 15 times in three stages.

Encodings follow the benchmark's strings |op~0|+|op~0|op~1|+|op~0|op~1|op~2|, edge by edge, and are all of their own, as
there, where each was trained: some are equal networks, such as those with a skip, a pool or `none` after a `none`;
a convolution there still gives its BatchNorm's bias. Costs count every operation, as the benchmark does; its
multiply-adds are higher by num_classes, the last layer's biases.
"""

import torch
from torch import nn

from search_spaces.cell import Cell
from search_spaces.cell_net import Entry, Place, Skeleton, Widths
from search_spaces.cell_ops import conv_bn, relu_conv_bn
from search_spaces.decisions import Edge, EveryEdge

OPTIONS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
NODES, CELLS = 3, 5  # nodes after the input; cells of a stage
STAGES = (1, 2, 4)  # times the channels; the image halves between them


class Residual(nn.Module):
    """The block between two stages: it doubles the channels and halves the image."""

    def __init__(self, in_channels: int, out_channels: int):
        super().__init__()
        self.body = nn.Sequential(
            relu_conv_bn(in_channels, out_channels, 3, 2), relu_conv_bn(out_channels, out_channels, 3)
        )
        self.short = nn.Sequential(nn.AvgPool2d(2), nn.Conv2d(in_channels, out_channels, 1, bias=False))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.body(x) + self.short(x)


def _head(channels: int, num_classes: int) -> nn.Module:
    pool = [nn.BatchNorm2d(channels), nn.ReLU(inplace=True), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    return nn.Sequential(*pool, nn.Linear(channels, num_classes))


def nas_bench_201(
    image_size: int = 32, num_classes: int = 10, in_channels: int = 3, channels: int = 16, cells: int = CELLS
) -> Cell:
    """5^6 networks; `cells` of each stage."""
    if channels < 1 or cells < 1:
        raise ValueError(f"nas_bench_201 needs at least 1 channel and 1 cell, got {channels} and {cells}")
    stages = [(times * channels, image_size // times) for times in STAGES]
    places = tuple(Place("cell", c, 1, size) for c, size in stages for _ in range(cells))

    def preprocess(i: int, widths: Widths) -> list[nn.Module]:
        before, here = places[max(i - 1, 0)].channels, places[i].channels
        return [nn.Identity() if before == here else Residual(before, here)]

    skeleton = Skeleton(
        stem=lambda: conv_bn(in_channels, channels),
        entry=lambda: Entry(1),
        places=places,
        preprocess=preprocess,
        head=lambda c: _head(c, num_classes),
    )
    shape = {"image_size": image_size, "num_classes": num_classes, "in_channels": in_channels}
    edges = [Edge("cell", to, source, OPTIONS) for to in range(1, NODES + 1) for source in range(to)]
    return Cell(
        spec={"name": "nas_bench_201", **shape, "channels": channels, "cells": cells},
        decisions=EveryEdge(edges),
        concat=(NODES,),
        skeleton=skeleton,
        stride=STAGES[-1],
    )
