"""ProxylessNAS's table (arXiv 1812.00332), as FairNAS's authors search it: 21 layers x 6, and skips in 15 of them.

While a supernet trains, a skip is a 1x1 convolution (`blocks.linear_skip`); the stand-alone network has the identity.
"""

from search_spaces.chain import Chain
from search_spaces.mobile import mobile

STAGES = (  # channels, repeats, stride of the first
    (24, 4, 2),  # 112 -> 56 with images of 224
    (40, 4, 2),  # 28
    (80, 4, 2),  # 14
    (96, 4, 1),  # 14
    (192, 4, 2),  # 7
    (320, 1, 1),  # 7
)


def proxyless(image_size: int = 224, num_classes: int = 1000, in_channels: int = 3, stem_stride: int = 2) -> Chain:
    """6^6 x 7^15 networks."""
    return mobile("proxyless", STAGES, image_size, num_classes, in_channels, stem_stride, skip=True)
