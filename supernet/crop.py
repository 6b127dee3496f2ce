"""Depthwise kernels wider than the maps they see: the taps that can meet a pixel do all the work.

On a 2 x 2 map a 7 x 7 kernel with padding 3 meets pixels with its middle 3 x 3 taps; the other 40 multiply padding.
Small images make such maps in half of a network's layers.
"""

import torch
from torch import nn
from torch.nn import functional as F


class CroppedConv2d(nn.Conv2d):
    """A convolution that keeps H and W up to its stride, (B, C, H, W) -> (B, C', H', W'), without the idle taps.

    The result and the gradients equal `nn.Conv2d`'s to rounding; idle taps get the gradient zero, as there.
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        middle, reach = self.kernel_size[0] // 2, max(x.shape[-2:]) - 1
        if reach >= middle:
            return super().forward(x)
        near = slice(middle - reach, middle + reach + 1)
        return F.conv2d(x, self.weight[:, :, near, near], self.bias, self.stride, reach, 1, self.groups)


def crop_kernels(net: nn.Module) -> nn.Module:
    """In place: every depthwise convolution of `net` leaves its idle taps out. Weights and names stay as they are."""
    for module in net.modules():
        if type(module) is nn.Conv2d and module.groups > 1 and _same(module):
            module.__class__ = CroppedConv2d
    return net


def _same(conv: nn.Conv2d) -> bool:
    """Whether it is square, odd, not dilated, and padded by half its width."""
    k = conv.kernel_size[0]
    return conv.kernel_size == (k, k) and k % 2 == 1 and conv.dilation == (1, 1) and conv.padding == (k // 2, k // 2)
