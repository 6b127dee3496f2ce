"""The small space of "Deeper Insights into Weight Sharing" (arXiv 2001.01431, section 3): a cell of 3 edges x 4.

Two 3x3 convolutions, then four equal cells of 2 nodes, both concatenated; no reduction. 64 networks. As in the authors'
code, a BatchNorm follows the pool, those of the cells have no weights, and all follow the images faster than usual.
"""

from torch import nn

from search_spaces.cell import Cell
from search_spaces.cell_net import Entry, Place, Skeleton, Widths
from search_spaces.cell_ops import conv_bn, operation, relu_conv_bn, with_norms
from search_spaces.decisions import Edge, EveryEdge

OPTIONS = ("max_pool_3x3", "sep_conv_3x3", "sep_conv_5x5", "dil_conv_5x5")
STEM = 3  # times the channels
MOMENTUM = 0.4  # of the BatchNorms' statistics


def _operation(name: str, channels: int, stride: int) -> nn.Module:
    made = operation(name, channels, stride)
    if isinstance(made, nn.MaxPool2d):
        made = nn.Sequential(made, nn.BatchNorm2d(channels))
    return with_norms(made, affine=False, momentum=MOMENTUM)


def _stem(in_channels: int, channels: int) -> nn.Module:
    convs = nn.Sequential(*conv_bn(in_channels, channels), *conv_bn(channels, channels))  # no activation between
    return with_norms(convs, momentum=MOMENTUM)


def _head(channels: int, num_classes: int) -> nn.Module:
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, num_classes))


def three_edge(
    image_size: int = 32, num_classes: int = 10, in_channels: int = 3, channels: int = 16, cells: int = 4
) -> Cell:
    """4^3 networks."""
    if channels < 1 or cells < 1:
        raise ValueError(f"three_edge needs at least 1 channel and 1 cell, got {channels} and {cells}")

    def preprocess(i: int, widths: Widths) -> list[nn.Module]:
        layer = relu_conv_bn((widths["cell"] if i else STEM) * channels, channels)
        return [with_norms(layer, affine=False, momentum=MOMENTUM)]

    shape = {"image_size": image_size, "num_classes": num_classes, "in_channels": in_channels}
    return Cell(
        spec={"name": "three_edge", **shape, "channels": channels, "cells": cells},
        decisions=EveryEdge([Edge("cell", to, source, OPTIONS) for to in (1, 2) for source in range(to)]),
        concat=(1, 2),
        skeleton=Skeleton(
            stem=lambda: _stem(in_channels, STEM * channels),
            entry=lambda: Entry(1),
            places=(Place("cell", channels, 1, image_size),) * cells,
            preprocess=preprocess,
            head=lambda c: _head(c, num_classes),
            operation=_operation,
        ),
        stride=1,
    )
