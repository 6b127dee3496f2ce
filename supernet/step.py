"""One step of the supernet: the gradients of all its paths on one mini-batch, which make one update.

`plain` is the definition (FairNAS, arXiv 1907.01845, Algorithm 1). `chunked` and the static step leave the same
gradients to rounding, and the same BatchNorm statistics in blocks and head. The stem, which they run once instead of
once per path, moves its running statistics once per step: by choice, for every path of a step shows it the same batch.
Shapes: B batch, P paths, L layers, m options of a layer.
"""

import sys
from collections.abc import Sequence
from contextlib import nullcontext

import numpy as np
import torch

from supernet import memory
from supernet.memory import Context
from supernet.model import ChainSupernet, Supernet
from supernet.static import Loss, StaticStep, Unavailable


def plain(net: Supernet, loss: Loss, images: torch.Tensor, labels: torch.Tensor, paths: np.ndarray) -> torch.Tensor:
    """A forward and a backward pass per path: images (B, C, H, W), labels (B,), paths (P, L) -> losses (P,)."""
    losses = []
    for path in paths:
        value = loss(net(images, path[None])[0], labels)
        value.backward()
        losses.append(value.detach())
    return torch.stack(losses)


def chunked(
    net: Supernet, loss: Loss, images, labels, paths: np.ndarray, size: int, context: Context = nullcontext
) -> torch.Tensor:
    """As `plain`, but the stem runs once, and `size` paths hold their activations at a time."""
    with context():
        stem = net.stem(images)
    x, losses = stem.detach().requires_grad_(stem.requires_grad), []
    for start in range(0, len(paths), size):
        with context():
            logits = [net.follow(x, path) for path in paths[start : start + size].tolist()]
            values = torch.stack([loss(each, labels) for each in logits])
        values.sum().backward()
        losses.append(values.detach())
    _back_through(stem, x)
    return torch.cat(losses)


def _back_through(stem: torch.Tensor, x: torch.Tensor) -> None:
    """The gradient of `x`, what paths took for the stem's output, goes on into the stem.

    There is none if a grouped supernet has no stem that all paths share, or if no path leads from it to the end.
    """
    if stem.requires_grad and x.grad is not None:
        stem.backward(x.grad)


def can_be_static(net: Supernet, choices: Sequence[int]) -> bool:
    """Whether every block of every layer is on exactly one path of each strictly fair step."""
    return isinstance(net, ChainSupernet) and len(set(choices)) == 1


def paths_that_fit(net: Supernet, choices, images: torch.Tensor, batch: int, context: Context, budget: int) -> int:
    """How many paths a pass should hold for mini-batches of `batch` images; says so. `images`: two or more of them.

    On a GPU as many as the budget of bytes allows, at least one; on a CPU one, whose caches hold no more.
    """
    each = memory.per_path(net, choices, images, context) * batch
    size = 1 if images.device.type == "cpu" else min(max(choices), max(1, budget // each))
    _say(f"supernet: {size} of {max(choices)} paths at a time, {memory.show(each)} of activations each")
    return size


def _say(line: str) -> None:
    print(line, file=sys.stderr)


class FairStep:
    """Leaves the gradients of a step in `net`, in the fastest way that the device, its memory and the paths allow.

    `size` paths are held at a time; a step that holds all its paths is taken by `static`, if there is one. What
    fails falls back, and says so once: a compiler that is missing to the plain graph, too little GPU memory to half
    as many paths at a time, unless their number is `fixed`.
    """

    def __init__(
        self,
        net: Supernet,
        loss: Loss,
        size: int = 1,
        context: Context = nullcontext,
        static: StaticStep | None = None,
        fixed: bool = False,
    ):
        self.net, self.loss, self.size, self.context, self.static, self.fixed = net, loss, size, context, static, fixed

    def __call__(self, images: torch.Tensor, labels: torch.Tensor, paths: np.ndarray) -> torch.Tensor:
        """Images (B, C, H, W), labels (B,), paths (P, L) -> losses (P,), detached. ValueError if not even one fits."""
        while True:
            try:
                if self.static is not None and self.size >= len(paths):
                    return self.static(images, labels, paths)
                return chunked(self.net, self.loss, images, labels, paths, self.size, self.context)
            except torch.OutOfMemoryError as error:
                self._shrink(min(self.size, len(paths)), error)
            except Unavailable as error:
                self.static = None
                self.net.zero_grad()
                _say(f"{error}: going on without")

    def _shrink(self, size: int, error: Exception) -> None:
        """Half as many paths at a time, from no gradients; ValueError if there is but one."""
        self.static = None
        self.net.zero_grad()
        torch.cuda.empty_cache()
        if size == 1:
            raise ValueError("the GPU cannot hold one path's activations: use a smaller --batch-size") from error
        if self.fixed:
            raise ValueError(f"out of GPU memory: use --paths-per-pass {size // 2}, or a smaller --memory") from error
        self.size = size // 2
        _say(f"out of GPU memory: {self.size} paths at a time from now on")
