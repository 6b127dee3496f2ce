"""The training loop of supernets: SGD, cosine, a checkpoint after every epoch (stand-alone: results/stand_alone.py).

All randomness of an epoch comes from (seed, epoch), a step's paths from (seed, step), so a resumed training is
the uninterrupted one, bit for bit on CPU, and no generator's state needs saving.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from supernet import checkpoint
from supernet.command import Real, Whole
from supernet.data import Data
from supernet.draws import seeded
from supernet.progress import Progress
from supernet.ranks import Team
from supernet.steps import Steps

MEND = "begin again in another --run with a smaller --lr"  # what to do if a loss is no number


@dataclass(frozen=True)
class Recipe:
    """How to train. `lr` falls to zero along a half cosine; batches are single passes' images."""

    epochs: int
    batch_size: int
    lr: float
    weight_decay: float
    label_smoothing: float = 0.1
    momentum: float = 0.9

    def __post_init__(self):
        check(self)

    def rate(self, epoch: float) -> float:
        """The learning rate after so many epochs, parts of one counted."""
        return self.lr * cosine(epoch / self.epochs)

    @property
    def loss(self) -> Callable[[torch.Tensor, torch.Tensor], torch.Tensor]:
        """logits (B, classes), labels (B,) -> scalar."""
        return partial(F.cross_entropy, label_smoothing=self.label_smoothing)


def cosine(progress: float) -> float:
    """The share of the initial learning rate after this share of the training."""
    return 0.5 * (1 + math.cos(math.pi * progress))


def check(recipe) -> None:
    """ValueError names the flags of a recipe, this one or a stand-alone network's, that cannot train."""
    if recipe.epochs < 1 or recipe.batch_size < 2:
        raise ValueError(f"need --epochs >= 1 and --batch-size >= 2, got {recipe.epochs} and {recipe.batch_size}")
    if not (recipe.lr > 0 and recipe.weight_decay >= 0 and 0 <= recipe.label_smoothing < 1):
        raise ValueError(
            "need --lr > 0, --weight-decay >= 0 and 0 <= --label-smoothing < 1, "
            f"got {recipe.lr}, {recipe.weight_decay} and {recipe.label_smoothing}"
        )


@dataclass(frozen=True)
class Training:
    """How; what is left out is the data set's recipe (RECIPES of the script)."""

    epochs: Whole = None
    """Passes over the images."""
    batch_size: Whole = None
    """Images per step."""
    lr: Real = None
    """Initial learning rate, falling along a cosine."""
    weight_decay: Real = None
    """L2 penalty on all weights."""
    label_smoothing: Real = None
    """Share of the label spread over all classes."""

    def over(self, recipe: Recipe) -> Recipe:
        """The recipe with what was asked for in place of its own; ValueError if that cannot train."""
        return replace(recipe, **{name: value for name, value in vars(self).items() if value is not None})


Backward = Callable[[torch.Tensor, torch.Tensor, int], torch.Tensor]  # (images, labels, step) -> losses


def fit(
    net: nn.Module,
    backward: Backward,
    evaluate: Callable[[nn.Module], float],
    data: Data,
    recipe: Recipe,
    seed: int,
    path: Path,
    meta: dict,
    title: str,
    keep: int = 0,
    team: Team | None = None,
) -> list[dict]:
    """Trains `net` in place, from `path` if it holds a checkpoint; returns one row of figures per epoch.

    Each process of the `team` computes its share of every batch; the first one writes.
    The weights of every `keep`-th epoch stay as a snapshot beside it, see `snapshots`; 0: of none.
    `backward(images, labels, step)` leaves the gradients of one update in `net` and gives its losses, detached;
    `step` counts from 0 over all epochs. FloatingPointError if a loss is no number: `path` then holds the last
    good epoch.
    """
    settings = {"momentum": recipe.momentum, "weight_decay": recipe.weight_decay, "fused": True}
    optimizer = torch.optim.SGD(net.parameters(), recipe.lr, **settings)
    for parameter in net.parameters():  # PyTorch's fused SGD wants them all from the first step on
        optimizer.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)
    (_snapshot(path, 0).parent if keep else path.parent).mkdir(parents=True, exist_ok=True)
    team = team or Team()
    history = team.in_turn(lambda: _restore(net, optimizer, path, meta))
    with Progress(title, recipe.epochs, len(history)) as progress:
        for epoch in range(len(history), recipe.epochs):
            start, rng = time.monotonic(), np.random.default_rng((seed, epoch))
            steps = Steps(progress, epoch, data, recipe, MEND)
            loss = team.mean(_epoch(net, backward, optimizer, data, steps, rng, team))
            team.average_statistics(net)
            figures = {"loss": loss, "accuracy": evaluate(net)}
            history.append({"epoch": epoch + 1, **figures, "seconds": time.monotonic() - start})
            if keep and (epoch + 1) % keep == 0 and team.first:
                checkpoint.save(_snapshot(path, epoch + 1), _state(net), {**meta, "history": history})
            if team.first:
                tensors = _state(net) | _momentum(net, optimizer)
                checkpoint.save(path, tensors, {**meta, "history": history}, True)
            progress.advance(1, **figures)
    return history


def _epoch(net, backward: Backward, optimizer, data: Data, steps: Steps, rng, team: Team) -> float:
    """The mean loss of one epoch, of this process's images."""
    net.train()
    draws = int(rng.integers(2**63))
    with seeded(draws, data.mean.device):  # dropout
        for images, labels in data.batches(steps.recipe.batch_size, rng, share=team.share):
            optimizer.param_groups[0]["lr"] = steps.rate()
            optimizer.zero_grad()
            number = steps.number
            losses = team.step(net, lambda x, y, n=number: backward(x, y, n), images, labels, draws + number)
            optimizer.step()
            steps.passed(losses.mean())
    return steps.end(net)


def accuracy(
    forward: Callable[[torch.Tensor], torch.Tensor],
    images: torch.Tensor,
    labels: torch.Tensor,
    prepare: Callable[[torch.Tensor], torch.Tensor] = lambda images: images,
    chunk: int = 500,
) -> torch.Tensor:
    """Share of right answers: forward (B, C, H, W) -> (..., B, classes) gives (...). `prepare` makes its input."""
    right = torch.zeros((), dtype=torch.int64, device=labels.device)
    with torch.inference_mode():
        chunks = -(-len(labels) // chunk)  # nearly equal: one image alone would have no variance
        for x, y in zip(images.tensor_split(chunks), labels.tensor_split(chunks), strict=True):
            right = right + (forward(prepare(x)).argmax(-1) == y).sum(-1)
    return right / len(labels)


def _state(net: nn.Module) -> dict[str, torch.Tensor]:
    return {f"net.{name}": tensor for name, tensor in net.state_dict().items()}


def _momentum(net: nn.Module, optimizer: torch.optim.SGD) -> dict[str, torch.Tensor]:
    return {
        f"momentum.{name}": optimizer.state[parameter]["momentum_buffer"] for name, parameter in net.named_parameters()
    }


def _snapshot(path: Path, epoch: int) -> Path:
    return path.with_name("epochs") / f"{epoch:04}{path.suffix}"


def snapshots(path: Path) -> dict[int, Path]:
    """The snapshots beside the checkpoint `path`, by epoch; `weights` reads them as it reads a checkpoint."""
    return {int(found.stem): found for found in sorted(path.with_name("epochs").glob(f"[0-9]*{path.suffix}"))}


def weights(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The network's part of a checkpoint, as a state dict."""
    return {name.removeprefix("net."): tensor for name, tensor in tensors.items() if name.startswith("net.")}


def _restore(net: nn.Module, optimizer: torch.optim.SGD, path: Path, meta: dict) -> list[dict]:
    """The history; net and optimiser go on from there."""
    tensors, history = checkpoint.resume(path, meta, "--run")
    if history:
        checkpoint.fill(net, weights(tensors), path)
    for name, parameter in net.named_parameters():
        if f"momentum.{name}" in tensors:
            optimizer.state[parameter]["momentum_buffer"].copy_(tensors[f"momentum.{name}"])  # keeps its strides
    return history
