"""MobileNetV2's own table (arXiv 1801.04381, table 2) with free blocks: 16 layers x 6; all k3e6 is MobileNetV2."""

from torch import nn

from search_spaces import chain
from search_spaces.blocks import classifier, conv_bn_relu6, inverted_residuals, separable_conv

OPTIONS = inverted_residuals(kernels=(3, 5, 7), expansions=(3, 6))

STAGES = (  # channels, repeats, stride of the first
    (24, 2, 2),  # 112 -> 56 with images of 224
    (32, 3, 2),  # 28
    (64, 4, 2),  # 14
    (96, 3, 1),  # 14
    (160, 3, 2),  # 7
    (320, 1, 1),  # 7
)


def mobilenet_v2(
    image_size: int = 224, num_classes: int = 1000, in_channels: int = 3, stem_stride: int = 2
) -> chain.Chain:
    """6^16 networks; the first bottleneck (t = 1, 16 channels) is fixed. `stem_stride=1` suits 32-pixel images."""
    if stem_stride not in (1, 2):
        raise ValueError(f"stem_stride must be 1 or 2, got {stem_stride}")
    return chain.Chain(
        spec={"name": "mobilenet_v2", **locals()},
        stem=lambda: nn.Sequential(*conv_bn_relu6(in_channels, 32, 3, stem_stride), separable_conv(32, 16)),
        stages=chain.layers(STAGES, 16, OPTIONS),
        head=lambda: classifier(320, 1280, num_classes),
        stem_stride=stem_stride,
    )
