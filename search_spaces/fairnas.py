"""FairNAS's space (arXiv 1907.01845, section 4.1): 19 layers x 6 inverted residuals, the skeleton of FairNAS-A/B/C.

The paper counts 6^16, MobileNetV2's layers (see mobilenet_v2.py); the released models have 19 free layers.
"""

from torch import nn

from search_spaces import chain
from search_spaces.blocks import classifier, conv_bn_relu6, inverted_residuals, separable_conv

OPTIONS = inverted_residuals(kernels=(3, 5, 7), expansions=(3, 6))

STAGES = (  # channels, repeats, stride of the first
    (32, 2, 2),  # 112 -> 56 with images of 224
    (40, 4, 2),  # 28
    (80, 4, 2),  # 14
    (96, 4, 1),  # 14
    (192, 4, 2),  # 7
    (320, 1, 1),  # 7
)


def fairnas(image_size: int = 224, num_classes: int = 1000, in_channels: int = 3, stem_stride: int = 2) -> chain.Chain:
    """6^19 networks. `stem_stride=1` keeps small images (CIFAR's 32 pixels) large."""
    if stem_stride not in (1, 2):
        raise ValueError(f"stem_stride must be 1 or 2, got {stem_stride}")
    return chain.Chain(
        spec={"name": "fairnas", **locals()},
        stem=lambda: nn.Sequential(*conv_bn_relu6(in_channels, 32, 3, stem_stride), separable_conv(32, 16)),
        stages=chain.layers(STAGES, 16, OPTIONS),
        head=lambda: classifier(320, 1280, num_classes),
        stem_stride=stem_stride,
    )
