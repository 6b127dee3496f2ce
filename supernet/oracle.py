"""The fitness oracle: how accurate is an architecture with the supernet's weights?

The images of one network fill a device as well as those of many would, so a population is walked depth first, one
block at a time on as many images as the memory takes: exact, and bounded by a path's activations, not a population's.
Shapes: N population, L layers, B images.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from itertools import pairwise

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from supernet import memory, trie
from supernet.memory import Context
from supernet.model import ChainSupernet, Supernet
from supernet.table import TableOracle as TableOracle

CALIBRATION_BATCH = 500  # images; part of the definition: batches weigh the same
CPU_CHUNK, GPU_CHUNK = 500, 5000  # images at once: a GPU idles with few
INDEXED = 2**31  # bytes of the largest tensor: beyond, some kernels of GPUs fail
SOME = 8  # random networks that tell how much memory one of cells takes
TENSORS = 4  # of the largest size that one block has alive: its input, a convolution's, a BatchNorm's, an activation's
EARLY = 8  # the first 1/8 of the images tells the hopeless
SIGMAS = 3.0  # how sure it must be of that
STATISTICS = ("running_mean", "running_var", "num_batches_tracked")
Activations = tuple[list[torch.Tensor], list[torch.Tensor]]  # of the calibration batches, of the images' chunks


class SupernetOracle:
    """Scores encodings on held-out images (B, C, H, W) and labels (B,) with inherited weights, no fine-tuning.

    `prepare` makes a chunk of images what the net takes, for example `Data.normalise`. With `calibration`
    images (never the held-out ones) the BatchNorm statistics of each path are measured afresh on them (SPOS,
    arXiv 1904.00420, section 3.4), and no candidate touches another's; without, the training's running ones serve.
    With `batch` they are those of the held-out images' own batches.

    What is scored is the accuracy; or `by_loss` the likelihood exp(-cross-entropy), the geometric mean of what the true
    classes are given: an image tells more by it than right or wrong, so that fewer of them tell networks apart.

    Activations take at most `budget` bytes (None: half of what is free). What surely stays under the accuracy `cut`
    after the first images is not scored on the others: its score then is that of the first.
    """

    def __init__(
        self,
        net: Supernet,
        images: torch.Tensor,
        labels: torch.Tensor,
        prepare: Callable[[torch.Tensor], torch.Tensor] = lambda images: images,
        calibration: torch.Tensor | None = None,
        chunk: int | None = None,
        budget: int | None = None,
        cut: float | None = None,
        context: Context = nullcontext,
        batch: bool = False,
        by_loss: bool = False,
    ):
        if by_loss and cut is not None:
            raise ValueError("an accuracy to cut at says nothing of losses: leave out --cut or --by-loss")
        _check(images, labels, net.space.num_classes)
        self.net, self.context, self.cut, self.batch = net.eval(), context, cut, batch
        self.told, self.scale = (_log_likelihood, torch.exp) if by_loss else (_right, torch.clone)
        self.images, self.labels, self.prepare = images, labels, prepare
        self.calibration = [] if calibration is None else [prepare(batch) for batch in _even(calibration)]
        self.chunk, self.group = self._sizes(chunk, memory.free(images.device) // 2 if budget is None else budget)

    def _sizes(self, chunk: int | None, budget: int) -> tuple[int, int]:
        """How many images go through a block at once, and how many are kept at every layer; within the budget."""
        if not isinstance(self.net, ChainSupernet):
            return chunk or self._of_networks(budget), len(self.images)
        held, largest = memory.per_image(self.net, self.prepare(self.images[:1]), self.context)
        left = budget - held * sum(map(len, self.calibration))
        chunk = chunk or (CPU_CHUNK if self.images.device.type == "cpu" else min(GPU_CHUNK, INDEXED // largest))
        chunk = max(1, min(chunk, len(self.images), left // (2 * TENSORS * largest)))
        block = max([chunk, *map(len, self.calibration)]) * TENSORS * largest
        group = (left - block) // held
        if group < 1:
            raise ValueError(
                f"scoring needs {memory.show(budget - left + block + held)} for activations and may take "
                f"{memory.show(budget)}: use a larger --memory or a smaller --recalibrate"
            )
        chunk = min(chunk, group)
        return chunk, group // chunk * chunk

    def _of_networks(self, budget: int) -> int:
        """How many images go at once through networks of cells: on a GPU as many as the largest of some allows."""
        if self.images.device.type == "cpu":
            return CPU_CHUNK
        image, some = self.prepare(self.images[:1]), self.net.space.sample(np.random.default_rng(0), SOME)
        sizes = [memory.per_network(self.net.path(encoding), image, self.context) for encoding in some]
        held, largest = map(max, zip(*sizes, strict=True))
        return max(1, min(GPU_CHUNK, budget // held, INDEXED // largest))

    def accuracy(self, encodings: np.ndarray) -> np.ndarray:
        """(N, L) ints -> (N,) float64, each in [0, 1]. A whole population at once; equal to `one_by_one`.

        Architectures with equal first layers share what these make, BatchNorm statistics included: a layer's
        depend only on the layers before it. At most L + 1 layers' outputs are alive at any time.
        ValueError names the first encoding that is not in the space.
        """
        self.net.eval()  # it may have been trained since
        if self.batch or not isinstance(self.net, ChainSupernet):  # cells repeat their decisions in depth: no prefix
            return self.one_by_one(encodings)
        encodings, alive = self.net.space.check(encodings), np.arange(len(encodings))
        total = torch.zeros(len(encodings), dtype=torch.float64, device=self.labels.device)
        seen = torch.zeros_like(total)
        for start, end in pairwise(self._edges()):
            with torch.inference_mode(), self.context():
                for row, told in self._walk(encodings[alive], start, end):
                    total[alive[row]] += told
            seen[alive] = end
            if end == self._early():
                alive = alive[_upper(total[alive] / end, end).cpu().numpy() >= self.cut]
        return self._scores(total, seen).cpu().numpy()

    def _edges(self) -> list[int]:
        """Where the groups of images begin, and where the last one ends."""
        early, n = self._early(), len(self.labels)
        return [*range(0, early, self.group), *range(early, n, self.group), n]

    def _early(self) -> int:
        """How many images judge what is cut."""
        return 0 if self.cut is None else max(1, len(self.labels) // EARLY)

    def _walk(self, encodings: np.ndarray, start: int, end: int) -> Iterator[tuple[int, torch.Tensor]]:
        """Every row of the encodings with the sum of what the images from `start` to `end` tell."""
        images, labels = (part[start:end].split(self.chunk) for part in (self.images, self.labels))
        root = self._through(self.net.stem, (self.calibration, [self.prepare(chunk) for chunk in images]))
        for row, state in trie.walk(encodings, root, self._step):
            _, logits = self._through(self.net.head, state)
            yield row, sum(map(self.told, logits, labels))

    def _step(self, state: Activations, layer: int, option: int) -> Activations:
        return self._through(self.net.layers[layer][option], state)

    def _through(self, module: nn.Module, state: Activations) -> Activations:
        calibration, images = state
        if not calibration:
            return [], [module(chunk) for chunk in images]
        with fresh_statistics(module, calibration) as outputs:
            return outputs, [module(chunk) for chunk in images]

    def one_by_one(self, encodings: np.ndarray) -> np.ndarray:
        """The definition of `accuracy`: each path as a network of its own."""
        with self.context():
            return np.array([self.alone(self.net.path(encoding)) for encoding in encodings], dtype=np.float64)

    def alone(self, model: nn.Module) -> float:
        """The score of one network; its BatchNorm statistics are used as those of paths are."""
        images, labels, model = self.images, self.labels, model.eval()
        if self.batch:
            with fresh_statistics(model, [self.prepare(batch) for batch in _even(images)]) as outputs:
                return self._scores(self.told(torch.cat(outputs), labels), len(labels)).item()
        chunks = zip(images.split(self.chunk), labels.split(self.chunk), strict=True)
        with fresh_statistics(model, self.calibration) if self.calibration else nullcontext(), torch.inference_mode():
            total = sum(self.told(model(self.prepare(some)), right) for some, right in chunks)
        return self._scores(total, len(labels)).item()

    def _scores(self, total: torch.Tensor, images: torch.Tensor | int) -> torch.Tensor:
        """Of what so many images have told in all; with the digits of float32, as training tells accuracies."""
        return self.scale(total / images).float().double()


def _check(images: torch.Tensor, labels: torch.Tensor, classes: int) -> None:
    """ValueError if these are not images (B, C, H, W), B > 0, and the labels (B,) of each."""
    if not len(images) or labels.shape != (len(images),):
        raise ValueError(f"scoring needs images and a label of each, got {len(images)} and labels {(*labels.shape,)}")
    if labels.min() < 0 or labels.max() >= classes:
        raise ValueError(f"labels must be from 0 to {classes - 1}, got {int(labels.min())} to {int(labels.max())}")


def _right(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """How many answers (B, classes) are right, float64."""
    return (logits.argmax(-1) == labels).sum().double()


def _log_likelihood(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """The sum over answers (B, classes) of the logarithms of what they give the true classes, float64."""
    return -F.cross_entropy(logits.double(), labels, reduction="sum")


def _even(calibration: torch.Tensor) -> Sequence[torch.Tensor]:
    """Batches of nearly equal size: a last one of a single image would have no variance."""
    if len(calibration) < 2:
        raise ValueError(f"BatchNorm statistics need at least 2 images (--recalibrate), got {len(calibration)}")
    return calibration.tensor_split(-(-len(calibration) // CALIBRATION_BATCH))


def _upper(share: torch.Tensor, n: int) -> torch.Tensor:
    """The upper end of Wilson's interval for a share seen on n images."""
    z = SIGMAS**2 / n
    return (share + z / 2 + (z * share * (1 - share) + z**2 / 4).sqrt()) / (1 + z)


@contextmanager
def fresh_statistics(model: nn.Module, batches: Sequence[torch.Tensor]) -> Iterator[list[torch.Tensor]]:
    """Measures the statistics of the model's BatchNorms on `batches` (B, C, H, W), which weigh the same.

    While open the model, in eval mode, uses them alone, and the outputs of the batches are given; afterwards it
    has its own again, which were never written.
    """
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d | nn.SyncBatchNorm)]
    kept = [([getattr(norm, name) for name in STATISTICS], norm.momentum) for norm in norms]
    try:
        for norm in norms:
            for name in STATISTICS:
                setattr(norm, name, torch.zeros_like(getattr(norm, name)))
            norm.train()
        outputs = []
        for i, images in enumerate(batches, start=1):
            for norm in norms:
                norm.momentum = 1 / i  # the mean over all batches; None means this too, but makes a GPU wait
            with torch.no_grad():
                outputs.append(model(images))
        model.eval()
        yield outputs
    finally:
        model.eval()
        for norm, (statistics, momentum) in zip(norms, kept, strict=True):
            for name, tensor in zip(STATISTICS, statistics, strict=True):
                setattr(norm, name, tensor)
            norm.momentum = momentum
