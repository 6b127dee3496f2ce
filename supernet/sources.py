"""Where images come from: each source gives its class names and its parts (train, and score or test if it has them).

A new source is one function and one line in SOURCES. Shapes: N images, C channels, H = W pixels.
"""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from sklearn.datasets import load_digits
from torchvision import datasets

from supernet import memory
from supernet.progress import Progress
from supernet.stream import Stream, check_classes, rgb

DEFAULT_SIZE = 224
AHEAD = 1000  # images that are decoded while others are put where they belong


class Images(NamedTuple):
    images: torch.Tensor  # (N, C, H, W) uint8
    labels: torch.Tensor  # (N,) int64

    def take(self, indices: np.ndarray) -> "Images":
        indices = torch.from_numpy(indices)
        return Images(self.images[indices], self.labels[indices])

    def to(self, device: torch.device) -> "Images":
        return Images(self.images.to(device), self.labels.to(device))

    def chunks(self, size: int) -> Iterator["Images"]:
        """All of them, at most `size` at a time."""
        return map(Images, self.images.split(size), self.labels.split(size))


class Files(NamedTuple):
    """Images that are not read yet: which of them belong to which part must not depend on whether they can be."""

    samples: list[tuple[str, int]]  # path, label
    size: int
    skip: bool  # unreadable ones

    @property
    def labels(self) -> torch.Tensor:
        return torch.tensor([label for _, label in self.samples])

    def take(self, indices: np.ndarray) -> "Files":
        return self._replace(samples=[self.samples[i] for i in indices])


Parts = tuple[tuple[str, ...], dict[str, Images | Files | Stream]]


def _digits(config) -> Parts:
    """scikit-learn's bundled handwritten digits: 1,797 grey images of 8 x 8 pixels, values 0..16; larger on request."""
    bunch = load_digits()
    images = torch.from_numpy((bunch.images[:, None] * (255 / 16)).astype(np.uint8))
    times, rest = divmod(config.image_size or 8, 8)
    if rest:
        raise ValueError(f"the digits have 8 pixels, or a multiple of them: leave out --image-size {config.image_size}")
    images = images.repeat_interleave(times, 2).repeat_interleave(times, 3)
    return tuple("0123456789"), {"train": Images(images, torch.from_numpy(bunch.target.astype(np.int64)))}


def _cifar(config) -> Parts:
    dataset = {"cifar10": datasets.CIFAR10, "cifar100": datasets.CIFAR100}[config.data]
    if config.image_size not in (None, 32):
        raise ValueError(f"{config.data} has 32 pixels: leave out --image-size {config.image_size}")
    try:
        parts = {part: dataset(config.data_root, train=part == "train", download=True) for part in ("train", "test")}
    except (RuntimeError, OSError) as error:
        raise ValueError(
            f"{config.data} is not in {config.data_root} and could not be downloaded ({error}); "
            "put its archive there, or use --data folder with the images as files"
        ) from error
    images = {
        part: Images(torch.from_numpy(d.data).permute(0, 3, 1, 2).contiguous(), torch.tensor(d.targets))
        for part, d in parts.items()
    }
    return tuple(parts["train"].classes), images


def _folder(config) -> Parts:
    """train/ with val/ (then they test), or val/ and test/ (then val scores), or the classes at the top."""
    root = Path(config.data_root)
    if not root.is_dir():
        raise ValueError(f"--data-root {root} is no folder")
    found = {part: root / part for part in ("train", "val", "test") if (root / part).is_dir()}
    if "train" not in found:
        if found and {folder.name for folder in root.iterdir() if folder.is_dir()} == found.keys():
            raise ValueError(f"{root} has {' and '.join(found)}, but no train: there is nothing to learn from")
        found = {"train": root}
    if "val" in found:
        found["score" if "test" in found else "test"] = found.pop("val")
    listed = {part: _list_images(folder) for part, folder in found.items()}
    classes = listed["train"][0]
    for part, (names, _) in listed.items():
        if names != classes:
            odd = sorted(set(names) ^ set(classes))
            raise ValueError(f"{found[part]} and {found['train']} must hold the same classes; only one has {odd[0]!r}")
    size = config.image_size or _own_size(listed["train"][1])
    if config.stream:
        here = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))  # torchrun's processes on this host, which share its cores
        workers = -(-_cores() // here) if config.workers is None else config.workers
        how = {"size": size, "workers": workers, "skip": config.skip_corrupt}
        return classes, {part: Stream(samples, **how) for part, (_, samples) in listed.items()}
    return classes, {part: Files(samples, size, config.skip_corrupt) for part, (_, samples) in listed.items()}


def _cores() -> int:
    """That this process may use, where Python (3.13) can say it; else those there are."""
    return getattr(os, "process_cpu_count", os.cpu_count)() or 1


class _Classes(datasets.ImageFolder):
    """Without what computers leave there of their own: .ipynb_checkpoints, __MACOSX, ._1.jpg."""

    def find_classes(self, directory):
        names = [name for name in super().find_classes(directory)[0] if not name.startswith((".", "__MACOSX"))]
        if not names:
            raise FileNotFoundError("there is none")
        return names, {name: k for k, name in enumerate(names)}


def _is_image(path: str) -> bool:
    return datasets.folder.is_image_file(path) and not os.path.basename(path).startswith(".")


def _list_images(folder: Path) -> tuple[tuple[str, ...], list[tuple[str, int]]]:
    try:
        found = _Classes(folder, is_valid_file=_is_image)
    except FileNotFoundError as error:
        raise ValueError(
            f"no images in {folder}: expected one subfolder per class, with images in each ({error})"
        ) from error
    if len(found.classes) < 2:
        raise ValueError(f"{folder} has one class, {found.classes[0]!r}: a classifier needs at least two subfolders")
    return tuple(found.classes), found.samples


def _own_size(samples: list[tuple[str, int]]) -> int:
    for path, _ in samples:
        try:
            with Image.open(path) as image:
                return min(*image.size, DEFAULT_SIZE)
        except (OSError, ValueError):
            continue
    raise ValueError(f"no readable image beside {samples[0][0]}")


def check_memory(n: int, size: int, mend: str) -> None:
    """ValueError, with the `mend`, if so many images would take more than half of what is free."""
    needed, free = 3 * n * size * size, memory.free(torch.device("cpu"))
    if needed > free / 2:
        raise ValueError(
            f"{n:,} images of {size} pixels take {needed / 1e9:.1f} GB and {free / 1e9:.1f} GB are free: {mend}"
        )


def read(parts: dict[str, Images | Files | Stream]) -> dict[str, Images | Stream]:
    """Files among these as images; ValueError if they do not fit into memory."""
    waiting = [part for part in parts.values() if isinstance(part, Files)]
    if waiting:
        mend = "pass --stream, or use a smaller --image-size or fewer images"
        check_memory(sum(len(files.samples) for files in waiting), waiting[0].size, mend)
    return {name: _decoded(part, name) if isinstance(part, Files) else part for name, part in parts.items()}


def _decoded(files: Files, name: str) -> Images:
    images = torch.empty(len(files.samples), 3, files.size, files.size, dtype=torch.uint8)
    labels, corrupt = [], []
    with Progress(f"{name} images", len(files.samples)) as progress, ThreadPoolExecutor(_cores()) as threads:
        for start in range(0, len(files.samples), AHEAD):
            samples = files.samples[start : start + AHEAD]
            found = threads.map(partial(_try, size=files.size), (path for path, _ in samples))
            for (path, label), image in zip(samples, found, strict=True):
                if isinstance(image, np.ndarray):
                    images[len(labels)] = torch.from_numpy(image).permute(2, 0, 1)
                    labels.append(label)
                elif files.skip:
                    corrupt.append(path)
                else:
                    mend = "mend or remove it, or pass --skip-corrupt"
                    raise ValueError(f"{path} is no readable image ({image}); {mend}") from image
                progress.advance()
    if corrupt:
        check_classes(files.samples, set(corrupt))
        print(f"skipped {len(corrupt)} unreadable images of {name}, the first is {corrupt[0]}")
    return Images(images[: len(labels)], torch.tensor(labels))


def _try(path: str, size: int) -> np.ndarray | Exception:
    try:
        return _decode(path, size)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        return error


def _decode(path: str, size: int) -> np.ndarray:
    """(size, size, 3) uint8: the shorter side resized, the centre cut out."""
    with Image.open(path) as image:
        image = rgb(image)
    if image.size != (size, size):
        scale = size / min(image.size)
        image = image.resize([max(size, round(side * scale)) for side in image.size], Image.Resampling.BILINEAR)
        left, top = (image.width - size) // 2, (image.height - size) // 2
        image = image.crop((left, top, left + size, top + size))
    return np.array(image)


SOURCES: dict[str, Callable[..., Parts]] = {"digits": _digits, "folder": _folder, "cifar10": _cifar, "cifar100": _cifar}
