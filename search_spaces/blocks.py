"""The building blocks of mobile networks. Shapes: B batch, C channels, H height, W width.

Sources: MobileNetV2 (arXiv 1801.04381, section 3); the initialisation is that of the FairNAS authors' model code.
"""

import math
from collections.abc import Callable, Iterable
from functools import partial

import torch
from torch import nn

Block = Callable[[int, int, int], nn.Module]  # (in_channels, out_channels, stride) -> block


def conv_bn(in_channels: int, out_channels: int, kernel: int, stride: int = 1, groups: int = 1) -> list[nn.Module]:
    """Convolution without bias that keeps H and W up to its stride, then BatchNorm."""
    conv = nn.Conv2d(in_channels, out_channels, kernel, stride, kernel // 2, groups=groups, bias=False)
    return [conv, nn.BatchNorm2d(out_channels)]


def conv_bn_act(*args: int, activation: type[nn.Module] = nn.ReLU6, **kwargs: int) -> list[nn.Module]:
    """`conv_bn` and an activation that works in place."""
    return [*conv_bn(*args, **kwargs), activation(inplace=True)]


class InvertedResidual(nn.Module):
    """Expand 1x1, depthwise k x k, project 1x1; a residual where stride is 1 and the channels agree."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        stride: int,
        kernel: int,
        expansion: int,
        activation: type[nn.Module] = nn.ReLU6,
    ):
        super().__init__()
        hidden = in_channels * expansion
        self.residual = stride == 1 and in_channels == out_channels
        self.body = nn.Sequential(
            *(conv_bn_act(in_channels, hidden, 1, activation=activation) if expansion > 1 else []),
            *conv_bn_act(hidden, hidden, kernel, stride, groups=hidden, activation=activation),
            *conv_bn(hidden, out_channels, 1),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.body(x) if self.residual else self.body(x)


def inverted_residuals(kernels: Iterable[int], expansions: Iterable[int]) -> dict[str, Block]:
    """The options k{kernel}e{expansion}, kernels counting fastest, as FairNAS numbers them."""
    kernels = tuple(kernels)
    return {f"k{k}e{e}": partial(InvertedResidual, kernel=k, expansion=e) for e in expansions for k in kernels}


def identity(in_channels: int, out_channels: int, stride: int) -> nn.Module:
    """(B, C, H, W) as it is; legal where stride is 1 and the channels agree."""
    return nn.Identity()


def linear_skip(in_channels: int, out_channels: int, stride: int) -> nn.Module:
    """What stands for an identity while a supernet trains: a 1x1 convolution, no bias, BatchNorm or activation.

    It adds no power, for the next block begins with a convolution, but gives the skip weights to train
    (linearly equivalent transformation: SCARLET-NAS, arXiv 1908.06022, section 3).
    """
    return nn.Conv2d(in_channels, out_channels, 1, bias=False)


def separable_conv(in_channels: int, out_channels: int, stride: int = 1) -> nn.Sequential:
    """Depthwise 3x3, then 1x1: the fixed first bottleneck (t = 1) of MobileNetV2 and FairNAS, no residual."""
    depthwise = conv_bn_act(in_channels, in_channels, 3, stride, groups=in_channels)
    return nn.Sequential(*depthwise, *conv_bn(in_channels, out_channels, 1))


def classifier(
    in_channels: int,
    features: int,
    num_classes: int,
    dropout: float = 0.2,
    activation: type[nn.Module] = nn.ReLU6,
) -> nn.Sequential:
    """1x1 convolution to `features`, mean over H and W, dropout, linear: (B, C, H, W) -> (B, num_classes)."""
    conv = conv_bn_act(in_channels, features, 1, activation=activation)
    pool = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(dropout)]
    return nn.Sequential(*conv, *pool, nn.Linear(features, num_classes))


def initialise(module: nn.Module, generator: torch.Generator | None) -> None:
    """In place: conv N(0, sqrt(2 / (k k out / groups))), linear U(+-1 / sqrt(in)), biases 0, BatchNorm 1 and 0.

    The authors' code leaves out the groups and draws the linear layer from U(+-1 / sqrt(out)). That makes the
    gradients of depthwise filters needlessly large, and with ten classes instead of 1,000 logits that diverge.
    The last BatchNorm of a residual block starts at 0, so that every block starts as the identity (arXiv
    1706.02677, section 5.1): without it the shared weights of small supernets hardly train at all.
    """
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d):
            fan_out = layer.kernel_size[0] * layer.kernel_size[1] * layer.out_channels // layer.groups
            nn.init.normal_(layer.weight, 0.0, math.sqrt(2.0 / fan_out), generator=generator)
        elif isinstance(layer, nn.Linear):
            bound = 1.0 / math.sqrt(layer.in_features)
            nn.init.uniform_(layer.weight, -bound, bound, generator=generator)
        if isinstance(layer, nn.Conv2d | nn.Linear) and layer.bias is not None:
            nn.init.zeros_(layer.bias)
        elif isinstance(layer, nn.BatchNorm2d):
            layer.reset_parameters()
    for block in module.modules():
        if isinstance(block, InvertedResidual) and block.residual:
            nn.init.zeros_(block.body[-1].weight)
