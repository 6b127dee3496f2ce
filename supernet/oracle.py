"""The fitness oracle: how accurate is an architecture with the supernet's weights?

Shapes: N population, L layers, B images, P paths.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from torch import nn

from supernet.fit import accuracy

CHUNK = 500  # images at once
STATISTICS = ("running_mean", "running_var", "num_batches_tracked")


class SupernetOracle:
    """Scores encodings on held-out images (B, C, H, W) and labels (B,) with inherited weights, no fine-tuning.

    `prepare` makes a chunk of images what the net takes, for example `Data.normalise`. With `calibration`
    images (never the held-out ones) the BatchNorm statistics of each path are measured afresh on them (SPOS,
    arXiv 1904.00420, section 3.4), and no candidate touches another's; without, the training's running ones serve.
    """

    def __init__(
        self,
        net: nn.Module,
        images: torch.Tensor,
        labels: torch.Tensor,
        prepare: Callable[[torch.Tensor], torch.Tensor] = lambda images: images,
        calibration: torch.Tensor | None = None,
        paths_at_once: int = 16,
    ):
        self.net, self.paths_at_once = net.eval(), paths_at_once
        self.images, self.labels, self.prepare = images, labels, prepare
        chunks = () if calibration is None else calibration.split(CHUNK)
        self.calibration = [prepare(chunk) for chunk in chunks]

    def accuracy(self, encodings: np.ndarray) -> np.ndarray:
        """(N, L) ints -> (N,) float64, each in [0, 1]."""
        encodings = np.asarray(encodings)
        if self.calibration:
            scores = [self._recalibrated(encoding) for encoding in encodings]
        else:
            chunks = range(0, len(encodings), self.paths_at_once)
            scores = [self._running(encodings[i : i + self.paths_at_once]) for i in chunks]
        return np.concatenate([np.empty(0), *(score.double().cpu().numpy().reshape(-1) for score in scores)])

    def _running(self, paths: np.ndarray) -> torch.Tensor:
        return accuracy(lambda images: self.net(images, paths), self.images, self.labels, self.prepare, CHUNK)

    def _recalibrated(self, encoding: Sequence[int]) -> torch.Tensor:
        model = self.net.path(encoding)
        with fresh_statistics(model, self.calibration):
            return accuracy(model, self.images, self.labels, self.prepare, CHUNK)


@contextmanager
def fresh_statistics(model: nn.Module, batches: Sequence[torch.Tensor]) -> Iterator[None]:
    """While open, the model's BatchNorms have their statistics from `batches` (B, C, H, W) alone, batches weighing
    the same, and the model is in eval mode; afterwards they have their own again, which were never written."""
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    kept = [([getattr(norm, name) for name in STATISTICS], norm.momentum) for norm in norms]
    try:
        for norm in norms:
            for name in STATISTICS:
                setattr(norm, name, torch.zeros_like(getattr(norm, name)))
            norm.momentum = None  # the mean over all batches
            norm.train()
        with torch.no_grad():
            for images in batches:
                model(images)
        model.eval()
        yield
    finally:
        for norm, (statistics, momentum) in zip(norms, kept, strict=True):
            for name, tensor in zip(STATISTICS, statistics, strict=True):
                setattr(norm, name, tensor)
            norm.momentum = momentum
