"""MobileNetV2's own table (arXiv 1801.04381, table 2) with free blocks: 16 layers x 6; all k3e6 is MobileNetV2."""

from search_spaces.chain import Chain
from search_spaces.mobile import mobile

STAGES = (  # channels, repeats, stride of the first
    (24, 2, 2),  # 112 -> 56 with images of 224
    (32, 3, 2),  # 28
    (64, 4, 2),  # 14
    (96, 3, 1),  # 14
    (160, 3, 2),  # 7
    (320, 1, 1),  # 7
)


def mobilenet_v2(image_size: int = 224, num_classes: int = 1000, in_channels: int = 3, stem_stride: int = 2) -> Chain:
    """6^16 networks."""
    return mobile("mobilenet_v2", STAGES, image_size, num_classes, in_channels, stem_stride)
