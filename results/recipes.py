"""How stand-alone networks are trained: recipes by name, each beside its source.

A figure marked [memory] is quoted from memory of its paper.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from math import cos, floor, pi

import torch
from torch import nn

from supernet import fit

OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "sgd": torch.optim.SGD,
    "nesterov": partial(torch.optim.SGD, nesterov=True),
    # TensorFlow's epsilon, 0.001, stands inside the root; PyTorch's outside it.
    "rmsprop": partial(torch.optim.RMSprop, alpha=0.9, eps=0.001**0.5),
    "adamw": torch.optim.AdamW,
}


@dataclass(frozen=True)
class Recipe:
    """Rates are per update of `batch_size` images; probabilities and shares lie in 0..1."""

    source: str
    epochs: int
    batch_size: int
    lr: float
    weight_decay: float
    optimizer: str = "sgd"
    momentum: float = 0.9  # of sgd and rmsprop
    decay: str = "cosine"  # of the rate: a half cosine to zero, or "steps": 0.97 every 2.4 epochs
    warmup: float = 0.0  # epochs in which the rate rises from zero
    decay_norms: bool = True  # whether BatchNorms and biases decay too
    label_smoothing: float = 0.1
    clip: float = 0.0  # largest norm of all gradients together; 0: any
    ema: float = 0.0  # decay of the mean of all weights (at first less), which is kept; 0: the weights themselves
    cutout: float = 0.0  # side of the square cut out, as a share of the image's
    drop_path: float = 0.0  # of the last residual; the earlier ones less, linearly
    drop_path_grows: bool = False  # from zero to its value over the training, at every residual the same
    auxiliary: float = 0.0  # weight of a second classifier's loss, at two thirds of the depth
    mixup: float = 0.0  # alpha
    cutmix: float = 0.0  # alpha; with mixup each batch takes one of the two
    randaugment: int = 0  # operations per image, at magnitude 9

    def __post_init__(self):
        fit.check(self)

    def rate(self, epoch: float) -> float:
        """The learning rate after so many epochs, parts of one counted."""
        rising = min(1.0, epoch / self.warmup) if self.warmup else 1.0
        falling = 0.5 * (1 + cos(pi * epoch / self.epochs)) if self.decay == "cosine" else 0.97 ** floor(epoch / 2.4)
        return self.lr * rising * falling

    def mean_decay(self, updates: int) -> float:
        """Of the mean of the weights, after so many updates: as TensorFlow's `num_updates`, which MnasNet's code sets
        [memory]. Else a short training would keep little but the weights it began with.
        """
        return min(self.ema, (1 + updates) / (10 + updates))

    def make_optimizer(self, net: nn.Module) -> torch.optim.Optimizer:
        """Of all parameters, those that do not decay in a group of their own."""
        parameters = list(net.parameters())
        free = [] if self.decay_norms else [p for p in parameters if p.ndim < 2]
        rest = [p for p in parameters if self.decay_norms or p.ndim >= 2]
        groups = [{"params": rest, "weight_decay": self.weight_decay}, {"params": free, "weight_decay": 0.0}]
        momentum = {} if self.optimizer == "adamw" else {"momentum": self.momentum}
        return OPTIMIZERS[self.optimizer]([group for group in groups if group["params"]], lr=self.lr, **momentum)


RECIPES = {
    "digits": Recipe("ours, for 8-pixel digits", epochs=40, batch_size=64, lr=0.1, weight_decay=1e-3),
    "cifar": Recipe(
        "cutout (arXiv 1708.04552, section 4.2) with label smoothing and stochastic depth (arXiv 1603.09382)",
        epochs=200,
        batch_size=128,
        lr=0.1,
        weight_decay=5e-4,
        optimizer="nesterov",
        cutout=0.5,
        drop_path=0.1,
    ),
    "darts_cifar": Recipe(
        "DARTS (arXiv 1806.09055, section 3.2 and appendix A.2)",
        epochs=600,
        batch_size=96,
        lr=0.025,
        weight_decay=3e-4,
        label_smoothing=0.0,
        clip=5.0,
        cutout=0.5,
        drop_path=0.2,
        drop_path_grows=True,
        auxiliary=0.4,
    ),
    "imagenet_mnasnet": Recipe(
        "MnasNet (arXiv 1807.11626, section 5), which FairNAS follows [memory]",
        epochs=350,
        batch_size=4096,
        lr=0.256,
        weight_decay=1e-5,
        optimizer="rmsprop",
        decay="steps",
        warmup=5,
        ema=0.9999,
    ),
    "imagenet_modern": Recipe(
        "after ResNet strikes back (arXiv 2110.00476, table 2), AdamW in place of LAMB [memory]",
        epochs=300,
        batch_size=1024,
        lr=1e-3,
        weight_decay=0.05,
        optimizer="adamw",
        warmup=5,
        decay_norms=False,
        clip=1.0,
        ema=0.9998,
        drop_path=0.05,
        mixup=0.2,
        cutmix=1.0,
        randaugment=2,
    ),
}


def find(name: str | None, data: str) -> Recipe:
    """The recipe called `name`; None: that of the data set. ValueError lists what is known."""
    name = name or ("digits" if data == "digits" else "cifar")
    if name not in RECIPES:
        raise ValueError(f"unknown --recipe {name!r}; known are {', '.join(RECIPES)}")
    return RECIPES[name]
