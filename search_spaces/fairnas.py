"""FairNAS's space (arXiv 1907.01845, section 4.1): 19 layers x 6 inverted residuals, the skeleton of FairNAS-A/B/C.

The paper counts 6^16, MobileNetV2's layers (see mobilenet_v2.py); the released models have 19 free layers.
"""

from search_spaces.chain import Chain
from search_spaces.mobile import mobile

STAGES = (  # channels, repeats, stride of the first
    (32, 2, 2),  # 112 -> 56 with images of 224
    (40, 4, 2),  # 28
    (80, 4, 2),  # 14
    (96, 4, 1),  # 14
    (192, 4, 2),  # 7
    (320, 1, 1),  # 7
)


def fairnas(image_size: int = 224, num_classes: int = 1000, in_channels: int = 3, stem_stride: int = 2) -> Chain:
    """6^19 networks."""
    return mobile("fairnas", STAGES, image_size, num_classes, in_channels, stem_stride)
