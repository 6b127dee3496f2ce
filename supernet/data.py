"""Images and labels, held as uint8 on the device and augmented there as whole batches.

Three parts: train (weights learn on it), score (held out of training, ranks architectures), test (never used
by a search; stand-alone networks report on it). Shapes: N images, B batch, C channels, H = W pixels.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch.nn import functional as F

from supernet.command import Text, Whole
from supernet.memory import send
from supernet.sources import SOURCES, Files, Images, check_memory, read
from supernet.stream import LOADED, Stream

SCORE_SHARE = {"digits": 0.2}  # of the training images; elsewhere a tenth
TEST_SHARE = 0.2  # where a data set brings no test images of its own


@dataclass(frozen=True)
class DataConfig:
    """Which images."""

    data: str = "digits"
    """digits, folder (one subfolder per class, by itself or in train/ and val/ or test/), cifar10 or cifar100."""
    data_root: Text = None
    """Where the images lie; cifar10 and cifar100 are downloaded there if they are missing."""
    image_size: Whole = None
    """Pixels. Default: the images' own size, at most 224."""
    train_images: Whole = None
    """Use only so many training images. Default: all."""
    score_images: Whole = None
    """Held out of training to score architectures, or so many of val/, if there is test/ too. Default: a tenth (digits:
    a fifth) of the training images, or all of val/."""
    skip_corrupt: bool = False
    """Leave out images that cannot be read, instead of stopping."""
    stream: bool = False
    """Decode a folder's training and test images while they are needed: for sets larger than memory."""
    workers: Whole = None
    """Processes that decode for --stream. Default: one per core that this process may use; torchrun's processes share
    them."""

    def __post_init__(self):
        if self.data not in SOURCES:
            raise ValueError(f"unknown data set {self.data!r}; known are {', '.join(SOURCES)}")
        if self.data != "digits" and self.data_root is None:
            raise ValueError(f"--data {self.data} needs --data-root DIR")
        if self.stream and self.data != "folder":
            raise ValueError(f"--stream is for --data folder, not for {self.data}")
        if self.workers is not None and self.workers < 0:
            raise ValueError(f"--workers must not be negative, got {self.workers}")
        for flag in ("image_size", "train_images", "score_images"):
            if getattr(self, flag) is not None and getattr(self, flag) < 1:
                raise ValueError(f"--{flag.replace('_', '-')} must be at least 1, got {getattr(self, flag)}")


class Data(NamedTuple):
    """`mean` and `std` (C,) are the training images', in units of 0..255."""

    name: str
    classes: tuple[str, ...]
    train: Images | Stream
    score: Images
    test: Images | Stream
    mean: torch.Tensor
    std: torch.Tensor
    pad: int  # pixels of random shift
    flip: bool  # whether a mirrored image is still of its class

    @property
    def image_size(self) -> int:
        return self.train.images.shape[-1]

    @property
    def channels(self) -> int:
        return self.train.images.shape[1]

    def to(self, device: torch.device) -> "Data":
        parts = {part: getattr(self, part).to(device) for part in ("train", "score", "test", "mean", "std")}
        return self._replace(**parts)

    def normalise(self, images: torch.Tensor) -> torch.Tensor:
        """(B, C, H, W) uint8 -> float32, mean 0 and deviation 1 per channel, channels last in memory."""
        mean, std = self.mean[:, None, None], self.std[:, None, None]
        return ((images.float() - mean) / std).contiguous(memory_format=torch.channels_last)

    def augment(self, images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """(B, C, H, W) uint8 -> the same, each shifted by up to `pad` pixels and, if `flip`, mirrored half the time."""
        b, _, h, w = images.shape
        corner = torch.randint(0, 2 * self.pad + 1, (2, b, 1), generator=generator)
        flip = torch.rand(b, 1, generator=generator) < (0.5 if self.flip else 0.0)
        rows = corner[0] + torch.arange(h)
        columns = corner[1] + torch.where(flip, torch.arange(w).flip(0), torch.arange(w))
        rows, columns = send(rows, images.device), send(columns, images.device)
        padded = F.pad(images, [self.pad] * 4)
        batch = torch.arange(b, device=images.device)[:, None, None]
        # The two slices around the index arrays move C to the end: (B, H, W, C), as channels-last memory wants it.
        return padded[batch, :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)

    def steps(self, size: int) -> int:
        """Mini-batches in an epoch."""
        return max(1, len(self.train.labels) // size)

    def batches(
        self,
        size: int,
        rng: np.random.Generator,
        also: Callable[[torch.Tensor], torch.Tensor] | None = None,
        share: Callable[[torch.Tensor], torch.Tensor] = lambda batch: batch,
    ) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """One epoch of augmented, normalised mini-batches in random order; an incomplete last one is left out.

        `also` is done to the augmented uint8 images; of every batch only the `share` is given.
        """
        generator = torch.Generator().manual_seed(int(rng.integers(2**63)))
        order = torch.randperm(len(self.train.labels), generator=generator)
        size = min(size, len(order))
        groups = [order[start : start + size] for start in range(0, len(order) - size + 1, size)]
        for images, labels in self._read(groups, generator, share):
            yield self.normalise(also(images) if also else images), labels

    def _read(self, groups: Sequence[torch.Tensor], generator: torch.Generator, share: Callable) -> Iterator[Images]:
        """The share of the training images of each of these groups of indices, augmented, and their labels."""
        if isinstance(self.train, Stream):
            seed = int(torch.randint(2**62, (), generator=generator))
            yield from self.train.batches([share(group).tolist() for group in groups], seed)
            return
        for group in groups:
            chosen = send(group, self.train.labels.device)
            yield Images(share(self.augment(self.train.images[chosen], generator)), share(self.train.labels[chosen]))

    def fingerprint(self) -> dict:
        """What makes two data sets the same: names, sizes and a digest of all images but the test ones, with labels."""
        digest = hashlib.blake2b(digest_size=16)
        for part in (self.train, self.score):
            streamed = isinstance(part, Stream)
            digest.update(part.digest() if streamed else part.images.cpu().numpy().data)
            digest.update(part.labels.cpu().numpy().data)
        sizes = {part: len(getattr(self, part).labels) for part in ("train", "score", "test")}
        return {"classes": list(self.classes), **sizes, "image_size": self.image_size, "digest": digest.hexdigest()}


def load(config: DataConfig) -> Data:
    """Reads, splits and measures the images; ValueError or OSError says what is wrong with them.

    The split depends on which images there are alone, never on a run's seed, nor on whether they are streamed or can be
    read, so that no run trains on another one's test images.
    """
    classes, parts = SOURCES[config.data](config)
    rng = np.random.default_rng(0)
    if "test" not in parts:
        parts["train"], parts["test"] = _split(parts["train"], TEST_SHARE, rng, classes)
    wanted = config.score_images
    if "score" not in parts:
        share = wanted / len(parts["train"].labels) if wanted else SCORE_SHARE.get(config.data, 0.1)
        parts["train"], parts["score"] = _split(parts["train"], share, rng, classes)
    elif wanted:
        parts["score"] = parts["score"].take(rng.permutation(len(parts["score"].labels))[:wanted])
    parts["train"] = parts["train"].take(rng.permutation(len(parts["train"].labels))[: config.train_images])
    train, score, test = map(read(parts).get, ("train", "score", "test"))
    score = _in_memory(score)
    mean, std = _moments(train.images[: 2000 if config.stream else 20_000])
    pad = max(1, train.images.shape[-1] // 8)
    return Data(config.data, classes, train, score, test, mean, std, pad, config.data != "digits")


def _moments(images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and deviation (C,) of the channels of uint8 images (N, C, H, W); counted, in no more memory than theirs."""
    counts = torch.stack([torch.bincount(channel.flatten(), minlength=256) for channel in images.unbind(1)]).double()
    values, n = torch.arange(256.0, dtype=torch.float64), counts.sum(1)
    mean = counts @ values / n
    variance = (counts * (values - mean[:, None]).square()).sum(1) / (n - 1)
    return mean.float(), variance.sqrt().float().clamp(min=1.0)


def _in_memory(images: Images | Stream) -> Images:
    """Decoded, if it is not yet; ValueError if it does not fit."""
    if not isinstance(images, Stream):
        return images
    check_memory(*images.shape[::2], "use fewer --score-images or a smaller --image-size")
    return Images(*map(torch.cat, zip(*images.chunks(LOADED), strict=True)))


def _split(images: Images | Files | Stream, share: float, rng: np.random.Generator, classes: tuple[str, ...]) -> tuple:
    """Sets `share` of every class apart: (what stays, what was set apart), each with every class in it."""
    labels = images.labels.numpy()
    apart = np.zeros(len(labels), dtype=bool)
    for k, name in enumerate(classes):
        members = rng.permutation(np.flatnonzero(labels == k))
        n = max(1, round(share * len(members)))
        if n >= len(members):
            raise ValueError(f"class {name!r} has {len(members)} images: too few to hold {n} out of training")
        apart[members[:n]] = True
    return images.take(np.flatnonzero(~apart)), images.take(np.flatnonzero(apart))
