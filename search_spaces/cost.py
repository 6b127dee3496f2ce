"""What a network costs: multiply-adds of its convolutions and linear layers, and its parameters.

The field's convention for mobile networks: no BatchNorm, bias, pooling or activation in the multiply-adds;
every trained number in the parameters. PyTorch's own counter is the source.
Shapes: N population, L layers, K options of a layer.
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

COLUMNS = ("madds", "params")
FREE = (nn.BatchNorm2d, nn.ReLU, nn.ReLU6)  # no multiply-adds, shape kept; left out, for they take most of the time


def measure(build: Callable[[], nn.Module], shape: Sequence[int]) -> tuple[np.ndarray, tuple[int, ...]]:
    """Cost int64 (2,) of the module that `build` makes, for one input of `shape`, and its output's shape.

    Runs on the meta device: nothing is computed and no memory is taken.
    """
    with torch.device("meta"):
        module, x = build().eval(), torch.empty(1, *shape)
    for part in module.modules():
        if isinstance(part, FREE):
            part.forward = lambda x: x
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        y = module(x)
    params = sum(p.numel() for p in module.parameters())
    return np.array([counter.get_total_flops() // 2, params], dtype=np.int64), tuple(y.shape[1:])


def gather(tables: Sequence[np.ndarray], encodings: np.ndarray) -> np.ndarray:
    """Sum over the layers: tables L x (K, 2) int64, encodings (N, L) -> (N, 2) int64."""
    total = np.zeros((len(encodings), len(COLUMNS)), dtype=np.int64)
    for options, table in zip(np.ascontiguousarray(encodings.T), tables, strict=True):
        total += table.take(options, axis=0)
    return total
