"""The operations on the edges of cells. Shapes: B batch, C channels, H height, W width.

Sources: DARTS (arXiv 1806.09055, section 3.1), the NASNet operations that its code knows, NAS-Bench-201
(arXiv 2001.00326, section 2.1), and the noise of RobustDARTS (arXiv 1909.09656, section 3).
"""

from collections.abc import Callable

import torch
from torch import nn

NONE, SKIP, NOISE = "none", "skip_connect", "noise"  # no edge at all; the input as it is; nothing of the input


def with_norms(module: nn.Module, **settings) -> nn.Module:
    """In place: every BatchNorm inside made anew, with these settings of `nn.BatchNorm2d`."""
    for name, child in module.named_children():
        if isinstance(child, nn.BatchNorm2d):
            setattr(module, name, nn.BatchNorm2d(child.num_features, **settings))
        else:
            with_norms(child, **settings)
    return module


def conv_bn(in_channels: int, out_channels: int) -> nn.Sequential:
    """3x3, for stems."""
    conv = nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(out_channels))


def relu_conv_bn(in_channels: int, out_channels: int, kernel: int = 1, stride: int = 1) -> nn.Sequential:
    """The activation comes first and never works in place: other edges read the same input."""
    conv = nn.Conv2d(in_channels, out_channels, kernel, stride, kernel // 2, bias=False)
    return nn.Sequential(nn.ReLU(), conv, nn.BatchNorm2d(out_channels))


def _depthwise_pointwise(channels: int, kernel: int, stride: int = 1, dilation: int = 1) -> list[nn.Module]:
    padding = dilation * (kernel // 2)
    depthwise = nn.Conv2d(channels, channels, kernel, stride, padding, dilation, groups=channels, bias=False)
    return [nn.ReLU(), depthwise, nn.Conv2d(channels, channels, 1, bias=False), nn.BatchNorm2d(channels)]


def _separable(kernel: int) -> Callable[[int, int], nn.Module]:
    """Twice depthwise and pointwise; the stride is the first one's."""

    def make(channels: int, stride: int) -> nn.Module:
        first = _depthwise_pointwise(channels, kernel, stride)
        return nn.Sequential(*first, *_depthwise_pointwise(channels, kernel))

    return make


def _dilated(kernel: int) -> Callable[[int, int], nn.Module]:
    return lambda channels, stride: nn.Sequential(*_depthwise_pointwise(channels, kernel, stride, dilation=2))


def _normal(kernel: int) -> Callable[[int, int], nn.Module]:
    return lambda channels, stride: relu_conv_bn(channels, channels, kernel, stride)


class FactorizedReduce(nn.Module):
    """Half of H and W: two 1x1 convolutions of half the channels, the second on the input shifted by one pixel."""

    def __init__(self, in_channels: int, out_channels: int):
        super().__init__()
        half = out_channels // 2
        self.relu = nn.ReLU()
        self.convs = nn.ModuleList(
            nn.Conv2d(in_channels, n, 1, stride=2, bias=False) for n in (half, out_channels - half)
        )
        self.bn = nn.BatchNorm2d(out_channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.relu(x)
        return self.bn(torch.cat([self.convs[0](x), self.convs[1](x[:, :, 1:, 1:])], dim=1))


def _skip(channels: int, stride: int) -> nn.Module:
    return nn.Identity() if stride == 1 else FactorizedReduce(channels, channels)


class Zero(nn.Module):
    """Nothing: zeros of the strided shape."""

    def __init__(self, channels: int, stride: int):
        super().__init__()
        self.stride = stride

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.zeros_like(x[:, :, :: self.stride, :: self.stride])


def normal_like(x: torch.Tensor) -> torch.Tensor:
    """N(0, 1) of the shape of x (B, C, H, W): with its channels last in memory, drawn as if they were not, which on a
    CPU takes a tenth of the time.
    """
    b, c, h, w = x.shape
    return torch.randn(b, h, w, c, dtype=x.dtype, device=x.device).permute(0, 3, 1, 2)


class Noise(nn.Module):
    """N(0, 1) of the strided shape, whatever the input; in eval mode always the same, so that scores repeat."""

    def __init__(self, channels: int, stride: int):
        super().__init__()
        self.stride = stride

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x[:, :, :: self.stride, :: self.stride]
        if self.training or x.is_meta:
            return normal_like(x)
        generator = torch.Generator().manual_seed(0)
        return torch.randn(x.shape[1:], generator=generator).to(x).expand(x.shape)


def _seven_by_one(channels: int, stride: int) -> nn.Module:
    row = nn.Conv2d(channels, channels, (1, 7), (1, stride), (0, 3), bias=False)
    column = nn.Conv2d(channels, channels, (7, 1), (stride, 1), (3, 0), bias=False)
    return nn.Sequential(nn.ReLU(), row, column, nn.BatchNorm2d(channels))


OPERATIONS: dict[str, Callable[[int, int], nn.Module]] = {  # (channels, stride) -> (B, C, H, W) to H / stride
    NONE: Zero,
    "max_pool_3x3": lambda channels, stride: nn.MaxPool2d(3, stride, 1),
    "avg_pool_3x3": lambda channels, stride: nn.AvgPool2d(3, stride, 1, count_include_pad=False),
    SKIP: _skip,
    "sep_conv_3x3": _separable(3),
    "sep_conv_5x5": _separable(5),
    "dil_conv_3x3": _dilated(3),
    "dil_conv_5x5": _dilated(5),
    "sep_conv_7x7": _separable(7),
    "conv_7x1_1x7": _seven_by_one,
    "nor_conv_1x1": _normal(1),
    "nor_conv_3x3": _normal(3),
    NOISE: Noise,
}


def operation(name: str, channels: int, stride: int) -> nn.Module:
    """As most cell spaces have it: (B, C, H, W) to H / stride."""
    return OPERATIONS[name](channels, stride)
