"""The published methods, each a relaxation times a level with its settings, and any other such product.

Settings are those of the authors' CIFAR-10 search: 50 epochs, half of the training images for the weights, half for
the alphas.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

from evo.proposals.levels import Level
from evo.proposals.relaxation import Noise, Relaxation

BILEVEL = Level()


@dataclass(frozen=True)
class Method:
    """Weights: SGD, `lr` to `lr_min` along a half cosine, momentum 0.9, gradients clipped to norm 5. Alphas: Adam.

    Alphas rest for the first `warmup` share of the epochs, but for the last; options below `threshold` are dropped at
    the end.
    """

    name: str
    relaxation: Relaxation
    level: Level = BILEVEL
    epochs: int = 50
    batch_size: int = 64
    lr: float = 0.025
    lr_min: float = 0.001
    decay: float = 3e-4
    alpha_lr: float = 3e-4
    alpha_betas: tuple[float, float] = (0.5, 0.999)
    alpha_decay: float = 1e-3
    warmup: float = 0.0
    threshold: float = 0.0

    @property
    def resting(self) -> int:
        """Epochs before the first one in which the alphas learn."""
        return min(math.ceil(self.warmup * self.epochs), self.epochs - 1)


def darts() -> Method:
    """DARTS, first order (arXiv 1806.09055): softmax x bilevel."""
    return Method("darts", Relaxation())


def darts2() -> Method:
    """DARTS, second order: softmax x bilevel unrolled."""
    return replace(darts(), name="darts2", level=Level(unrolled=True))


def pc_darts() -> Method:
    """PC-DARTS (arXiv 1907.05737): partial channels and edge normalisation x bilevel."""
    rates = {"lr": 0.1, "lr_min": 0.0, "alpha_lr": 6e-4}
    return Method("pc_darts", Relaxation(partial=4), batch_size=256, warmup=15 / 50, **rates)


def fair_darts() -> Method:
    """FairDARTS (arXiv 1911.12126): sigmoid and zero-one loss x bilevel."""
    relaxation = Relaxation("sigmoid", none=False, zero_one=10.0)
    rates = {"lr": 0.005, "alpha_lr": 3e-3, "alpha_betas": (0.9, 0.999)}
    return Method("fair_darts", relaxation, batch_size=128, threshold=0.85, **rates)


def noisy_darts() -> Method:
    """NoisyDARTS (arXiv 2005.03566): softmax and noise on the skip x bilevel."""
    return Method("noisy_darts", Relaxation(none=False, noise=Noise(std=0.2)), batch_size=128, lr=0.05)


def milenas() -> Method:
    """MiLeNAS (arXiv 2003.12238), first order: softmax x mixed-level."""
    return Method("milenas", Relaxation(), Level(train=1.0, val=1.0))


def milenas2() -> Method:
    """MiLeNAS, second order: softmax x mixed-level unrolled."""
    return replace(milenas(), name="milenas2", level=Level(train=1.0, val=1.0, unrolled=True))


METHODS: dict[str, Callable[[], Method]] = {
    method.__name__: method for method in (darts, darts2, pc_darts, fair_darts, noisy_darts, milenas, milenas2)
}
PARTS: dict[str, Callable[[], Method]] = {  # of relaxations: the method that brought each, softmax being the default
    "softmax": darts,
    "sigmoid": fair_darts,
    "noisy": noisy_darts,
    "partial": pc_darts,
}
LEVELS: dict[str, Level] = {
    "bilevel": BILEVEL,
    "bilevel2": Level(unrolled=True),
    "mixed": Level(train=1.0, val=1.0),
    "mixed2": Level(train=1.0, val=1.0, unrolled=True),
}


def method(text: str) -> Method:
    """A published method by name, or a product such as "partial+noisy x mixed"; ValueError lists what there is.

    Of several relaxations' settings the first one's hold, in everything that they all set.
    """
    if text in METHODS:
        return METHODS[text]()
    relaxations, cross, level = text.partition(" x ")
    words = [word.strip() for word in relaxations.split("+")]
    if not cross or level.strip() not in LEVELS or not set(words) <= set(PARTS) or len(set(words)) < len(words):
        raise ValueError(
            f"unknown proposer {text!r}; known are {', '.join(METHODS)}, and products of {'+'.join(PARTS)} "
            f'x {"|".join(LEVELS)}, for example "partial+noisy x mixed"'
        )
    if {"softmax", "sigmoid"} <= set(words):
        raise ValueError(f"proposer {text!r}: an edge is a softmax or sigmoids, not both; leave out one of them")
    made, plain = [PARTS[word]() for word in words], Relaxation()
    own = [{k: v for k, v in vars(m.relaxation).items() if v != getattr(plain, k)} for m in made]
    relaxation = replace(plain, **{k: v for parts in reversed(own) for k, v in parts.items()})
    name = f"{'+'.join(words)} x {level.strip()}"
    threshold = made[0].threshold if relaxation.partial == 1 else 0.0  # weights x betas reach no threshold
    return replace(made[0], name=name, relaxation=relaxation, level=LEVELS[level.strip()], threshold=threshold)
