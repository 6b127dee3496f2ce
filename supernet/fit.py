"""The training loop that supernets and stand-alone networks share: SGD, cosine, a checkpoint after every epoch.

All randomness of an epoch comes from (seed, epoch), a step's paths from (seed, step), so a resumed training is
the uninterrupted one, bit for bit on CPU, and no generator's state needs saving.
"""

import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from supernet import checkpoint
from supernet.command import Real, Whole
from supernet.data import Data
from supernet.progress import Progress


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
        if self.epochs < 1 or self.batch_size < 2:
            raise ValueError(f"need --epochs >= 1 and --batch-size >= 2, got {self.epochs} and {self.batch_size}")
        if not (self.lr > 0 and self.weight_decay >= 0 and 0 <= self.label_smoothing < 1):
            raise ValueError(
                "need --lr > 0, --weight-decay >= 0 and 0 <= --label-smoothing < 1, "
                f"got {self.lr}, {self.weight_decay} and {self.label_smoothing}"
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


Forward = Callable[[nn.Module, torch.Tensor, int], Iterable[torch.Tensor]]


def fit(
    net: nn.Module,
    forward: Forward,
    evaluate: Callable[[nn.Module], float],
    data: Data,
    recipe: Recipe,
    seed: int,
    path: Path,
    meta: dict,
    title: str,
) -> list[dict]:
    """Trains `net` in place, from `path` if it holds a checkpoint; returns one row of figures per epoch.

    `forward(net, images, step)` yields the logits (B, classes) of each pass, `step` counting from 0 over all
    epochs; the gradients of all passes on a mini-batch add up to one update. FloatingPointError if the loss is
    no number: `path` then holds the last good epoch.
    """
    optimizer = torch.optim.SGD(net.parameters(), recipe.lr, recipe.momentum, weight_decay=recipe.weight_decay)
    history = _restore(net, optimizer, path, meta)
    with Progress(title, recipe.epochs, len(history)) as progress:
        for epoch in range(len(history), recipe.epochs):
            start, rng = time.monotonic(), np.random.default_rng((seed, epoch))
            loss = _epoch(net, forward, optimizer, data, recipe, epoch, rng)
            figures = {"loss": loss, "accuracy": evaluate(net)}
            history.append({"epoch": epoch + 1, **figures, "seconds": time.monotonic() - start})
            checkpoint.save(path, _state(net, optimizer), {**meta, "history": history})
            progress.advance(1, **figures)
    return history


def _epoch(net, forward: Forward, optimizer, data: Data, recipe: Recipe, epoch: int, rng: np.random.Generator) -> float:
    """The mean loss of one epoch."""
    net.train()
    losses = []
    steps = data.steps(recipe.batch_size)
    with torch.random.fork_rng():  # dropout draws from PyTorch's global generator
        torch.manual_seed(int(rng.integers(2**63)))
        for step, (images, labels) in enumerate(data.batches(recipe.batch_size, rng)):
            lr = recipe.lr * 0.5 * (1 + math.cos(math.pi * (epoch + step / steps) / recipe.epochs))
            optimizer.param_groups[0]["lr"] = lr
            optimizer.zero_grad()
            for logits in forward(net, images, epoch * steps + step):
                loss = F.cross_entropy(logits, labels, label_smoothing=recipe.label_smoothing)
                loss.backward()
                losses.append(loss.item())
            if not math.isfinite(losses[-1]):
                raise FloatingPointError(
                    f"the loss became {losses[-1]} in epoch {epoch + 1}, step {step + 1}, at learning rate {lr:.3g}; "
                    "the last good checkpoint is kept: begin again in another --run with a smaller --lr"
                )
            optimizer.step()
    return sum(losses) / len(losses)


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
        for x, y in zip(images.split(chunk), labels.split(chunk), strict=True):
            right = right + (forward(prepare(x)).argmax(-1) == y).sum(-1)
    return right / len(labels)


def _state(net: nn.Module, optimizer: torch.optim.SGD) -> dict[str, torch.Tensor]:
    momentum = {
        f"momentum.{name}": optimizer.state[parameter]["momentum_buffer"]
        for name, parameter in net.named_parameters()
        if optimizer.state[parameter].get("momentum_buffer") is not None
    }
    return {f"net.{name}": tensor for name, tensor in net.state_dict().items()} | momentum


def weights(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The network's part of a checkpoint, as a state dict."""
    return {name.removeprefix("net."): tensor for name, tensor in tensors.items() if name.startswith("net.")}


def _restore(net: nn.Module, optimizer: torch.optim.SGD, path: Path, meta: dict) -> list[dict]:
    if not path.exists():
        return []
    tensors, saved = checkpoint.load(path, meta["kind"])
    for key in meta.keys() & saved.keys():
        if meta[key] != saved[key]:
            raise ValueError(f"{path} was trained with {key} {saved[key]}, not {meta[key]}; use another --run")
    net.load_state_dict(weights(tensors))
    for name, parameter in net.named_parameters():
        if f"momentum.{name}" in tensors:
            optimizer.state[parameter]["momentum_buffer"] = tensors[f"momentum.{name}"].to(parameter.device)
    return saved["history"]
