"""A small chain for small images, scikit-learn's 8-pixel digits by default: 6 layers x 6, trained in a minute."""

from torch import nn

from search_spaces import chain
from search_spaces.blocks import classifier, conv_bn_act, inverted_residuals

OPTIONS = inverted_residuals(kernels=(3, 5), expansions=(1, 2, 4))

STAGES = (  # channels, repeats, stride of the first
    (16, 3, 2),  # 8 -> 4 with images of 8
    (32, 3, 2),  # 2
)


def digits(image_size: int = 8, num_classes: int = 10, in_channels: int = 1) -> chain.Chain:
    """6^6 networks."""
    options = {"image_size": image_size, "num_classes": num_classes, "in_channels": in_channels}
    return chain.Chain(
        spec={"name": "digits", **options},
        stem=lambda: nn.Sequential(*conv_bn_act(in_channels, 16, 3)),
        stages=chain.layers(STAGES, 16, OPTIONS),
        head=lambda: classifier(32, 64, num_classes),
    )
