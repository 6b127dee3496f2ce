"""The fitness oracle: how accurate is an architecture with the supernet's weights?

Shapes: N population, L layers, B images.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from torch import nn

from supernet import trie
from supernet.fit import accuracy

CHUNK = 500  # images at once
STATISTICS = ("running_mean", "running_var", "num_batches_tracked")
Activations = tuple[list[torch.Tensor], torch.Tensor]  # of the calibration batches, and of the images


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
        chunk: int = CHUNK,
    ):
        self.net, self.chunk = net.eval(), chunk
        self.images, self.labels, self.prepare = images, labels, prepare
        self.calibration = [] if calibration is None else [prepare(images) for images in calibration.split(chunk)]

    def accuracy(self, encodings: np.ndarray) -> np.ndarray:
        """(N, L) ints -> (N,) float64, each in [0, 1]. A whole population at once; equal to `one_by_one` bit for bit.

        Architectures with equal first layers share what these make, BatchNorm statistics included: a layer's
        depend only on the layers before it.
        """
        encodings = np.asarray(encodings)
        right = torch.zeros(len(encodings), dtype=torch.int64, device=self.labels.device)
        with torch.inference_mode():
            for images, labels in zip(self.images.split(self.chunk), self.labels.split(self.chunk), strict=True):
                root = self._through(self.net.stem, (self.calibration, self.prepare(images)))
                for row, state in trie.walk(encodings, root, self._step):
                    _, logits = self._through(self.net.head, state)
                    right[row] += (logits.argmax(-1) == labels).sum()
        return (right / len(self.labels)).double().cpu().numpy()

    def _step(self, state: Activations, layer: int, option: int) -> Activations:
        return self._through(self.net.layers[layer][option], state)

    def _through(self, module: nn.Module, state: Activations) -> Activations:
        calibration, images = state
        if not calibration:
            return [], module(images)
        with fresh_statistics(module, calibration) as outputs:
            return outputs, module(images)

    def one_by_one(self, encodings: np.ndarray) -> np.ndarray:
        """The definition of `accuracy`: each path as a network of its own."""
        return np.array([self._alone(self.net.path(encoding)) for encoding in encodings], dtype=np.float64)

    def _alone(self, model: nn.Module) -> float:
        images, labels = self.images, self.labels
        if not self.calibration:
            return accuracy(model.eval(), images, labels, self.prepare, self.chunk).item()
        with fresh_statistics(model, self.calibration):
            return accuracy(model, images, labels, self.prepare, self.chunk).item()


@contextmanager
def fresh_statistics(model: nn.Module, batches: Sequence[torch.Tensor]) -> Iterator[list[torch.Tensor]]:
    """Measures the statistics of the model's BatchNorms on `batches` (B, C, H, W), which weigh the same.

    While open the model, in eval mode, uses them alone, and the outputs of the batches are given; afterwards it
    has its own again, which were never written.
    """
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    kept = [([getattr(norm, name) for name in STATISTICS], norm.momentum) for norm in norms]
    try:
        for norm in norms:
            for name in STATISTICS:
                setattr(norm, name, torch.zeros_like(getattr(norm, name)))
            norm.momentum = None  # the mean over all batches
            norm.train()
        with torch.no_grad():
            outputs = [model(images) for images in batches]
        model.eval()
        yield outputs
    finally:
        model.eval()
        for norm, (statistics, momentum) in zip(norms, kept, strict=True):
            for name, tensor in zip(STATISTICS, statistics, strict=True):
                setattr(norm, name, tensor)
            norm.momentum = momentum
