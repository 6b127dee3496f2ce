"""The fitness oracle: how accurate is an architecture with the supernet's weights?

Shapes: N population, L layers, B images, P paths.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from torch import nn

from supernet.data import Data
from supernet.fit import accuracy

STATISTICS = ("running_mean", "running_var", "num_batches_tracked")


class SupernetOracle:
    """Scores encodings on the held-out images with inherited weights, no fine-tuning.

    `recalibrate` > 0: the BatchNorm statistics of each path are measured afresh on that many training images
    (SPOS, arXiv 1904.00420, section 3.4), and no candidate touches another's; 0: the running ones of the training.
    """

    def __init__(self, net: nn.Module, data: Data, recalibrate: int = 0, paths_at_once: int = 16):
        self.net, self.data, self.paths_at_once = net.eval(), data, paths_at_once
        images = data.train.images[:recalibrate]  # the training images are in random order
        self.calibration = [data.normalise(chunk) for chunk in images.split(500)] if recalibrate else []

    def accuracy(self, encodings: np.ndarray) -> np.ndarray:
        """(N, L) ints -> (N,) float64, each in [0, 1]."""
        if self.calibration:
            scores = [self._recalibrated(encoding) for encoding in encodings]
        else:
            chunks = range(0, len(encodings), self.paths_at_once)
            scores = [self._running(encodings[i : i + self.paths_at_once]) for i in chunks]
        return np.concatenate([np.empty(0), *(score.double().cpu().numpy().reshape(-1) for score in scores)])

    def _running(self, paths: np.ndarray) -> torch.Tensor:
        return accuracy(lambda images: self.net(images, paths), self.data, "score")

    def _recalibrated(self, encoding: Sequence[int]) -> torch.Tensor:
        model = self.net.path(encoding)
        with fresh_statistics(model, self.calibration):
            return accuracy(model, self.data, "score")


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
