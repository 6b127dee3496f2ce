"""Images that stay in their files until they are needed, decoded by worker processes: for sets as large as ImageNet.

Training images are random crops, as ImageNet's are made (arXiv 1409.4842, section 6); all others the centre of the
image, resized so that 224 pixels of 256 remain. Shapes: N images, B batch, C = 3 channels, H = W pixels.
"""

import hashlib
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as TF

from supernet.draws import seeded

CPU = torch.device("cpu")
KEPT = 224 / 256  # of the resized shorter side
LOADED = 64  # images that a worker decodes at a time where their order does not matter
BROKEN = (OSError, ValueError, SyntaxError, Image.DecompressionBombError)  # what Pillow raises
Crop = Callable[[Image.Image, int, int], Image.Image]  # (image, size, seed) -> (size, size)


def rgb(image: Image.Image) -> Image.Image:
    """Three channels of 8 bits; ValueError for what has no such values."""
    if image.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(image) // 256).astype(np.uint8)).convert("RGB")  # Pillow's own is clipped
    if image.mode in ("I", "F"):
        raise ValueError("its values have 32 bits, of which nobody says the range; save it with 8 or 16")
    return image.convert("RGB")


def centre(image: Image.Image, size: int, seed: int = 0) -> Image.Image:
    """The middle of the image, its shorter side resized to size / KEPT before."""
    resized = TF.resize(image, round(size / KEPT), antialias=True)
    return TF.center_crop(resized, size)


def random_crop(image: Image.Image, size: int, seed: int) -> Image.Image:
    """8 to 100 % of the image, of a shape between 3:4 and 4:3, mirrored half the time: a function of the seed."""
    with seeded(seed, CPU):
        return v2.RandomHorizontalFlip()(v2.RandomResizedCrop(size, antialias=True)(image))


def check_classes(samples: Sequence[tuple[str, int]], skipped: Collection[str]) -> None:
    """ValueError if of the samples, (path, label) each, none of a class is left without those skipped."""
    left = {label for path, label in samples if path not in skipped}
    for path, label in samples:
        if label not in left:
            raise ValueError(f"{path} cannot be read, nor any other image of its class beside it; mend them")


def _size(path: str) -> int:
    """Bytes; 0 of a link that leads nowhere, which cannot be read either."""
    try:
        return Path(path).stat().st_size
    except OSError:
        return 0


class _Files(Dataset):
    """Item i: the i-th file as (3, size, size) uint8, or what is wrong with it; its label; its path."""

    def __init__(self, samples: Sequence[tuple[str, int]], size: int, crop: Crop, seed: int):
        self.samples, self.size, self.crop, self.seed = samples, size, crop, seed

    def __getitem__(self, i: int) -> tuple[np.ndarray | str, int, str]:
        path, label = self.samples[i]
        seed = int(np.random.SeedSequence((self.seed, i)).generate_state(1, np.uint64)[0] >> 1)
        try:
            with Image.open(path) as image:
                cropped = self.crop(rgb(image), self.size, seed)
        except BROKEN as error:
            return f"{path} is no readable image ({error})", label, path
        return np.ascontiguousarray(np.asarray(cropped).transpose(2, 0, 1)), label, path


class _Batch(NamedTuple):
    """`images` and `labels` of the readable files, paths of the others, and what is wrong with the first of them."""

    images: torch.Tensor  # (n, 3, H, W) uint8
    labels: torch.Tensor  # (n,)
    broken: list[str]
    wrong: str


def _collate(items: list[tuple[np.ndarray | str, int, str]]) -> _Batch:
    good = [(image, label) for image, label, _ in items if not isinstance(image, str)]
    bad = [(path, image) for image, _, path in items if isinstance(image, str)]
    images = torch.from_numpy(np.stack([image for image, _ in good])) if good else torch.empty(0)
    labels = torch.tensor([label for _, label in good], dtype=torch.int64)
    return _Batch(images, labels, [path for path, _ in bad], bad[0][1] if bad else "")


def _alive(batches: Iterable[_Batch]) -> Iterator[_Batch]:
    """The batches; ValueError if a process that makes them is killed, as Linux does where memory runs out."""
    try:
        yield from batches
    except RuntimeError as error:
        if "DataLoader worker" not in str(error):
            raise
        raise ValueError(f"a process that decodes images was ended ({error}); use fewer --workers") from error


class Stream:
    """Files with the face of `Images`: `labels` (N,), and slices of `images` (N, 3, H, W) uint8, centres, in memory.

    A file that cannot be read ends it in ValueError; with `skip` it is left out, and `skipped` holds its path.
    """

    def __init__(
        self,
        samples: Sequence[tuple[str, int]],
        size: int,
        workers: int,
        device: torch.device | None = None,
        skip: bool = False,
    ):
        self.samples, self.size, self.workers, self.skip = list(samples), size, workers, skip
        self.device = device or CPU
        self.labels = torch.tensor([label for _, label in self.samples], device=self.device)
        self.skipped: set[str] = set()

    @property
    def images(self) -> "Stream":
        return self

    @property
    def shape(self) -> tuple[int, int, int, int]:
        return len(self.samples), 3, self.size, self.size

    def __getitem__(self, wanted: slice) -> torch.Tensor:
        """(n, 3, H, W) uint8, on the device: of the files that can be read."""
        none = torch.empty(0, *self.shape[1:], dtype=torch.uint8, device=self.device)
        return torch.cat([none, *(images for images, _ in self.chunks(LOADED, range(len(self.samples))[wanted]))])

    def chunks(self, size: int, wanted: range | None = None) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Centres (n, 3, H, W) uint8 and labels (n,), n <= size, of the readable files, all or `wanted`."""
        wanted = range(len(self.samples)) if wanted is None else wanted
        groups = [wanted[start : start + size] for start in range(0, len(wanted), size)]
        for batch in self._load(groups, centre, 0):
            yield batch.images, batch.labels

    def digest(self) -> bytes:
        """Of the files' names, within their folders of one class, and sizes; no image is read."""
        lines = (f"{Path(path).parent.name}/{Path(path).name} {_size(path)}" for path, _ in self.samples)
        return hashlib.blake2b("\n".join(lines).encode(), digest_size=16).digest()

    def take(self, indices: np.ndarray) -> "Stream":
        return Stream([self.samples[i] for i in indices], self.size, self.workers, self.device, self.skip)

    def to(self, device: torch.device) -> "Stream":
        return Stream(self.samples, self.size, self.workers, device, self.skip)

    def batches(self, groups: Sequence[Sequence[int]], seed: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Random crops (B, 3, H, W) uint8 and labels (B,) of each group of indices, whatever the number of workers.

        In the place of files that are skipped, others of the batch come again: its shape never changes.
        """
        for group, batch in zip(groups, self._load(groups, random_crop, seed), strict=True):
            again = torch.arange(len(group), device=self.device) % len(batch.labels)
            yield (batch.images[again], batch.labels[again]) if batch.broken else (batch.images, batch.labels)

    def _load(self, groups: Sequence[Sequence[int]], crop: Crop, seed: int) -> Iterator[_Batch]:
        files, known = _Files(self.samples, self.size, crop, seed), len(self.skipped)
        own = torch.Generator().manual_seed(seed)  # the loader would draw from the global one
        how = {"num_workers": self.workers, "pin_memory": self.device.type == "cuda", "generator": own}
        for batch in _alive(DataLoader(files, batch_sampler=groups, collate_fn=_collate, **how)):
            if batch.broken and not (self.skip and len(batch.labels)):
                raise ValueError(f"{batch.wrong}; mend or remove it{'' if self.skip else ', or pass --skip-corrupt'}")
            self.skipped |= set(batch.broken)
            images, labels = (part.to(self.device, non_blocking=True) for part in batch[:2])
            yield batch._replace(images=images, labels=labels)
        if len(self.skipped) > known:
            check_classes(self.samples, self.skipped)
            print(f"skipped {len(self.skipped)} unreadable images so far, one is {min(self.skipped)}")
