"""The skeleton that MobileNetV2 and FairNAS share: everything but the table of their stages.

Stem 3x3 to 32 channels, fixed first bottleneck (t = 1) to 16, free inverted residuals, head 1,280, dropout 0.2.
"""

from collections.abc import Sequence

from torch import nn

from search_spaces import chain
from search_spaces.blocks import classifier, conv_bn_act, identity, inverted_residuals, linear_skip, separable_conv
from search_spaces.chain import IDENTITY

SHARED = {IDENTITY: linear_skip}
OPTIONS = inverted_residuals(kernels=(3, 5, 7), expansions=(3, 6))


def mobile(
    name: str,
    stages: Sequence[tuple[int, int, int]],
    image_size: int,
    num_classes: int,
    in_channels: int,
    stem_stride: int,
    skip: bool = False,
) -> chain.Chain:
    """The space of this table of (channels, repeats, stride of the first). `stem_stride` 1 keeps small images large.

    `skip` adds the identity where it is legal: in all but the first layer of a stage.
    """
    if stem_stride not in (1, 2):
        raise ValueError(f"stem_stride must be 1 or 2, got {stem_stride}")
    options = {**OPTIONS, IDENTITY: identity} if skip else OPTIONS
    shape = {"image_size": image_size, "num_classes": num_classes, "in_channels": in_channels}
    return chain.Chain(
        spec={"name": name, **shape, "stem_stride": stem_stride},
        stem=lambda: nn.Sequential(*conv_bn_act(in_channels, 32, 3, stem_stride), separable_conv(32, 16)),
        stages=chain.layers(stages, 16, options, OPTIONS, SHARED if skip else None),
        head=lambda: classifier(stages[-1][0], 1280, num_classes),
        stem_stride=stem_stride,
    )
