"""What cells cost, piece by piece, each measured once on the meta device.

Shapes: B batch, C channels, H height, W width.
"""

from collections.abc import Callable, Sequence
from functools import cache, partial

import numpy as np
import torch
from torch import nn

from search_spaces import cost
from search_spaces.cell_net import Skeleton, Widths


class _Hollow(nn.Module):
    """A cell without its edges: it makes the shape of the output, from nothing."""

    def __init__(self, preprocess: Sequence[nn.Module], width: int, stride: int):
        super().__init__()
        self.preprocess, self.width, self.stride = nn.ModuleList(preprocess), width, stride

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
        x = [layer(x) for layer, x in zip(self.preprocess, inputs, strict=True)][-1]
        return x.new_empty(len(x), self.width, x.shape[2] // self.stride, x.shape[3] // self.stride)


@cache
def maker(build: Callable[..., nn.Module], name: str, channels: int, stride: int) -> Callable[[], nn.Module]:
    """Makes an operation as `Skeleton.operation` does; the same for the same, so that it need be measured only once."""
    return partial(build, name, channels, stride)


@cache
def _operation(build: Callable[..., nn.Module], name: str, channels: int, stride: int, size: int) -> np.ndarray:
    return cost.measure(maker(build, name, channels, stride), (channels, size, size))[0]


def shapes(skeleton: Skeleton, kind: str, from_input: bool) -> list[tuple[int, int, int]]:
    """Channels, stride and input's H = W of an edge, in all cells of this kind."""
    return [
        (p.channels, p.stride, p.size) if from_input else (p.channels, 1, p.size // p.stride)
        for p in skeleton.places
        if p.kind == kind
    ]


def edge(skeleton: Skeleton, kind: str, operation: str, from_input: bool) -> np.ndarray:
    """(2,): of an operation on one edge, in all cells of this kind together."""
    each = [_operation(skeleton.operation, operation, *shape) for shape in shapes(skeleton, kind, from_input)]
    return sum(each, np.zeros(2, dtype=np.int64))


def fixed(skeleton: Skeleton, widths: Widths, shape: Sequence[int]) -> np.ndarray:
    """(2,): of everything but the edges, for images of this shape."""

    def hollow(i: int, preprocess: list[nn.Module]) -> nn.Module:
        return _Hollow(preprocess, skeleton.width(i, widths), skeleton.places[i].stride)

    return cost.measure(lambda: skeleton.assemble(widths, hollow), shape)[0]


def second_head(skeleton: Skeleton, widths: Widths) -> np.ndarray:
    """(2,): of the auxiliary head, which has params but does not run in use."""
    with torch.device("meta"):
        params = sum(p.numel() for p in skeleton.second_head(widths).parameters())
    return np.array([0, params], dtype=np.int64)
