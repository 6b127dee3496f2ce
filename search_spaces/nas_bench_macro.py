"""NAS-Bench-Macro (arXiv 2103.11922, appendix A): 8 layers x 3 on CIFAR-10, each of the 6,561 nets trained thrice.

Its keys are our encodings: 0 Identity, 1 MB3_K3, 2 MB6_K5. In a stage's first layer "Identity" is a 1x1 convolution.
Where the identities stand among a stage's other layers does not matter: 3,969 networks are distinct.
"""

from functools import partial

from torch import nn

from search_spaces import chain
from search_spaces.blocks import InvertedResidual, classifier, conv_bn, conv_bn_act, identity

MOBILE = {
    "k3e3": partial(InvertedResidual, kernel=3, expansion=3, activation=nn.ReLU),
    "k5e6": partial(InvertedResidual, kernel=5, expansion=6, activation=nn.ReLU),
}
FIRST = {"conv1": lambda i, o, stride: nn.Sequential(*conv_bn(i, o, 1, stride)), **MOBILE}
OTHERS = {chain.IDENTITY: identity, **MOBILE}

STAGES = (  # channels, repeats, stride of the first
    (64, 2, 2),  # 32 -> 16 with images of 32
    (128, 3, 2),  # 8
    (256, 3, 2),  # 4
)


def nas_bench_macro(image_size: int = 32, num_classes: int = 10, in_channels: int = 3) -> chain.Chain:
    """3^8 networks."""
    options = {"image_size": image_size, "num_classes": num_classes, "in_channels": in_channels}
    return chain.Chain(
        spec={"name": "nas_bench_macro", **options},
        stem=lambda: nn.Sequential(*conv_bn_act(in_channels, 32, 3, activation=nn.ReLU)),
        stages=chain.layers(STAGES, 32, OTHERS, FIRST),
        head=lambda: classifier(256, 1280, num_classes, dropout=0.0, activation=nn.ReLU),
    )
