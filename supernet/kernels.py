"""Convolutions that give the same with less work, to rounding. Weights, names and gradients stay as they are.

Shapes: B batch, C channels, H height, W width.
"""

import torch
from torch import nn
from torch.nn import functional as F


class CroppedConv2d(nn.Conv2d):
    """A depthwise convolution on a map smaller than its kernel: the taps that can meet a pixel do all the work.

    On a 2 x 2 map a 7 x 7 kernel with padding 3 meets pixels with its middle 3 x 3 taps; the other 40 multiply
    padding. Small images make such maps in half of a network's layers.
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        middle, reach = self.kernel_size[0] // 2, max(x.shape[-2:]) - 1
        if reach >= middle:
            return super().forward(x)
        near = slice(middle - reach, middle + reach + 1)
        return F.conv2d(x, self.weight[:, :, near, near], self.bias, self.stride, reach, 1, self.groups)


class PointwiseConv2d(nn.Conv2d):
    """A 1 x 1 convolution; on a CPU a product of matrices, which libraries do better, in channels-last memory."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if x.device.type != "cpu":
            return super().forward(x)
        x = x[:, :, :: self.stride[0], :: self.stride[1]].permute(0, 2, 3, 1)
        return F.linear(x, self.weight.flatten(1), self.bias).permute(0, 3, 1, 2)


def quicken(net: nn.Module) -> nn.Module:
    """In place: every convolution of `net` that has a quicker form takes it."""
    for module in net.modules():
        if type(module) is nn.Conv2d and module.dilation == (1, 1):
            if module.groups > 1 and _same(module):
                module.__class__ = CroppedConv2d
            elif module.groups == 1 and module.kernel_size == (1, 1) and module.padding == (0, 0):
                module.__class__ = PointwiseConv2d
    return net


def _same(conv: nn.Conv2d) -> bool:
    """Whether it is square, odd and padded by half its width."""
    k = conv.kernel_size[0]
    return conv.kernel_size == (k, k) and k % 2 == 1 and conv.padding == (k // 2, k // 2)
