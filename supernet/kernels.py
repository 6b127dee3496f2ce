"""Convolutions that give the same with less work, to rounding. Weights, names and gradients stay as they are.

Shapes: B batch, C channels, H height, W width.
"""

import torch
from torch import nn
from torch.nn import functional as F


class DepthwiseConv2d(nn.Conv2d):
    """A depthwise convolution that keeps the size, but for its stride: see `depthwise`."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return depthwise(x, self.weight, self.bias, self.stride[0], self.dilation[0])


def depthwise(
    x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None = None, stride: int = 1, dilation: int = 1
) -> torch.Tensor:
    """(B, C, H, W) by (C, 1, k, k), padded so that only the stride makes it smaller.

    The taps that can meet a pixel do all the work: on a 2 x 2 map a 7 x 7 kernel meets pixels with its middle 3 x 3
    taps; the other 40 multiply padding. Small images make such maps in half of a network's layers. A dilation that is
    the stride meets every other pixel alone; of these it is a plain convolution, whose gradients libraries compute
    several times as fast.
    """
    if stride == dilation > 1:
        x, stride, dilation = x[:, :, ::stride, ::stride], 1, 1
    middle = weight.shape[-1] // 2
    reach = min(middle, (max(x.shape[-2:]) - 1) // dilation)
    near = slice(middle - reach, middle + reach + 1)
    return F.conv2d(x, weight[:, :, near, near], bias, stride, dilation * reach, dilation, x.shape[1])


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
        if type(module) is nn.Conv2d:
            if module.groups == module.in_channels == module.out_channels > 1 and _same(module):
                module.__class__ = DepthwiseConv2d
            elif module.groups == 1 and module.kernel_size == (1, 1) and module.padding == (0, 0):
                module.__class__ = PointwiseConv2d
    return net


def _same(conv: nn.Conv2d) -> bool:
    """Whether it is square, odd and padded by half its width."""
    k, d = conv.kernel_size[0], conv.dilation[0]
    square = conv.kernel_size == (k, k) and conv.dilation == (d, d) and conv.stride[0] == conv.stride[1]
    return square and k % 2 == 1 and conv.padding == (d * (k // 2),) * 2
