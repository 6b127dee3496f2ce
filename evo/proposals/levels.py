"""Who is optimised on which data: the gradient of the alphas.

DARTS (arXiv 1806.09055, sections 2.3 and 2.4) descends the validation loss at the present weights, or at those after
one more step of training. MiLeNAS (arXiv 2003.12238, section 3.2) descends training plus validation loss. One rule:
    gradient = train * G(training batch) + val * G(validation batch)
with G the plain gradient, or the one through an unrolled step of the weights.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch

from supernet.draws import seeded

Tensors = Mapping[str, torch.Tensor]
Loss = Callable[[Tensors, Tensors, Any], torch.Tensor]  # (weights, alphas, batch) -> ()


class Step(NamedTuple):
    """The step of SGD that the weights would take; `momentum` are the buffers times the factor, missing at first."""

    lr: float
    decay: float
    momentum: Tensors


@dataclass(frozen=True)
class Level:
    """Bilevel: train 0, val 1. Mixed-level: train 1, val lambda. Single-level: train 1, val 0.

    `unrolled` is second order, whose product of Hessian and vector is a central difference at `epsilon` / its norm.
    MiLeNAS's released code ignores lambda and puts its factor on the training term, zeroes the momentum in the
    unrolled step and moves the alphas within it; the paper has none of this.
    """

    train: float = 0.0
    val: float = 1.0
    unrolled: bool = False
    epsilon: float = 0.01

    def __post_init__(self):
        if min(self.train, self.val) < 0 or self.train + self.val == 0 or self.epsilon <= 0:
            raise ValueError(f"a level needs factors of train and val >= 0, not both 0, and an epsilon > 0: {self}")

    def gradient(
        self, loss: Loss, weights: Tensors, alphas: Tensors, train: Any, val: Any, step: Step
    ) -> list[torch.Tensor]:
        """Of the alphas, in their order. Costs one pass for each term, unrolled three and one more for all."""
        terms = [(factor, batch) for factor, batch in ((self.train, train), (self.val, val)) if factor]
        if self.unrolled:
            loss = repeated(loss, next(iter(weights.values())).device)
            ahead = unroll(loss, weights, alphas, train, step)
            parts = [through(loss, weights, ahead, alphas, train, b, step.lr, self.epsilon) for _, b in terms]
        else:
            parts = [gradients(loss(weights, alphas, batch), alphas) for _, batch in terms]
        return [sum(f * g for (f, _), g in zip(terms, gs, strict=True)) for gs in zip(*parts, strict=True)]


def repeated(loss: Loss, device: torch.device) -> Loss:
    """The loss with the same dropout and noise in every pass: what passes differ by is divided by a small radius."""
    seed = int(torch.randint(2**62, ()))

    def again(weights: Tensors, alphas: Tensors, batch: Any) -> torch.Tensor:
        with seeded(seed, device):
            return loss(weights, alphas, batch)

    return again


def unroll(loss: Loss, weights: Tensors, alphas: Tensors, train: Any, step: Step) -> dict[str, torch.Tensor]:
    """The weights after the step: w - lr (momentum + dL/dw + decay w), free of their history."""
    fixed = {name: alpha.detach() for name, alpha in alphas.items()}
    slope = gradients(loss(weights, fixed, train), weights)
    ahead = {}
    with torch.no_grad():
        for (name, weight), gradient in zip(weights.items(), slope, strict=True):
            direction = gradient + step.decay * weight
            ahead[name] = weight - step.lr * (direction + step.momentum.get(name, 0.0))
    return {name: weight.requires_grad_() for name, weight in ahead.items()}


def through(
    loss: Loss, weights: Tensors, ahead: Tensors, alphas: Tensors, train: Any, batch: Any, lr: float, epsilon: float
) -> list[torch.Tensor]:
    """dL(batch) / d alphas at the weights `ahead`, through the step that led there (DARTS, equations 7 and 8)."""
    both = gradients(loss(ahead, alphas, batch), {**alphas, **ahead})
    direct, vector = both[: len(alphas)], both[len(alphas) :]
    radius = epsilon / torch.nn.utils.get_total_norm(vector)
    with torch.no_grad():
        pairs = list(zip(weights.items(), vector, strict=True))
        above, below = ({name: w + sign * radius * v for (name, w), v in pairs} for sign in (1, -1))
    above, below = (gradients(loss(shifted, alphas, train), alphas) for shifted in (above, below))
    return [g - lr * (a - b) / (2 * radius) for g, a, b in zip(direct, above, below, strict=True)]


def gradients(loss: torch.Tensor, tensors: Tensors) -> tuple[torch.Tensor, ...]:
    """Of the loss by each of the tensors, 0 where it does not depend on one."""
    return torch.autograd.grad(loss, list(tensors.values()), materialize_grads=True)
