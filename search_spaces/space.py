"""The one interface the rest of FairFront relies on.

An architecture is a tuple of small ints, its *encoding*: decision l takes one of choices[l] options.
Shapes: N population, L decisions.
"""

import math
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from torch import nn


class Part(NamedTuple):
    """A module of a network, and the shape (C, H, W) of what goes into it."""

    make: Callable[[], nn.Module]
    shape: tuple[int, ...]


class SearchSpace(ABC):
    """What exists, and what it costs. `spec` is what `search_spaces.load` takes to make this space again."""

    spec: dict
    choices: tuple[int, ...]
    image_size: int
    in_channels: int
    num_classes: int

    @property
    def name(self) -> str:
        return self.spec["name"]

    @property
    def size(self) -> int:
        """Number of encodings."""
        return math.prod(self.choices)

    def sample(self, rng: np.random.Generator, n: int) -> np.ndarray:
        """n encodings, each uniform over the space: (n, L) int64, canonical."""
        return self.canonical(rng.integers(self.choices, size=(n, len(self.choices))))

    def check(self, encodings) -> np.ndarray:
        """The encodings as (N, L) int64, of an empty list none; ValueError names the first that is not in the space."""
        try:
            array = np.asarray(encodings)
        except ValueError as error:
            raise ValueError(f"encodings of {self.name} must all have {len(self.choices)} numbers") from error
        return check(self.choices, array.reshape(0, len(self.choices)) if array.shape == (0,) else array, self.name)

    def _check_spec(self, stride: int) -> None:
        """ValueError if `stride`, that of all layers, does not divide the images, or for fewer than two classes."""
        if self.image_size < stride or self.image_size % stride:
            near = max(stride, round(self.image_size / stride) * stride)
            raise ValueError(
                f"{self.name} cannot take images of {self.image_size} pixels: its strides reduce them by {stride}, "
                f"so the image size must be a multiple of {stride}, for example {near}"
            )
        if self.num_classes < 2:
            raise ValueError(f"{self.name} needs at least 2 classes, got {self.num_classes}")
        if self.in_channels < 1:
            raise ValueError(f"{self.name} needs at least 1 image channel, got {self.in_channels}")

    @abstractmethod
    def canonical(self, encodings) -> np.ndarray:
        """Encodings (N, L) -> (N, L): equal networks get equal encodings; which do not, a space of cells says."""

    @abstractmethod
    def cost(self, encodings) -> np.ndarray:
        """Encodings (N, L) -> (N, 2) int64: multiply-adds, params. No model is built."""

    @abstractmethod
    def cost_range(self) -> np.ndarray:
        """(2, 2) int64: the lowest cost row and the highest, each column by itself."""

    @abstractmethod
    def parts(self) -> list[list[list[Part]]]:
        """Per place of the space and per option there: the modules that this choice adds to a network."""

    @abstractmethod
    def picked(self, encodings) -> tuple[np.ndarray, np.ndarray]:
        """Encodings (N, L) -> which of the `parts` they have: places (N, S) and options (N, S)."""

    @abstractmethod
    def extremes(self, table: Sequence[Sequence[float]]) -> tuple[float, float]:
        """The lowest and the highest sum of a number per place and option, as `picked` sums them."""

    def code(self, encoding: Sequence[int]) -> str:
        """An encoding as plain numbers, as short as can be; `parse` reads it back."""
        return ("" if max(self.choices) <= 10 else ",").join(str(int(option)) for option in encoding)

    @abstractmethod
    def describe(self, encoding: Sequence[int]) -> str:
        """An encoding in words, for people; `parse` reads it back."""

    @abstractmethod
    def parse(self, text: str) -> tuple[int, ...]:
        """An encoding from `describe`'s words or from its plain numbers; ValueError says what is wrong."""

    @abstractmethod
    def build(self, encoding: Sequence[int]) -> nn.Module:
        """The stand-alone network, (B, C, H, W) -> (B, classes), weights as PyTorch initialises them."""


def split(text: str, n: int) -> list[str]:
    """The words of `text`; if they are not n but digits alone, every digit by itself ('20 2350 0551')."""
    words = re.findall(r"-?\w+", text)
    return list("".join(words)) if len(words) != n and all(w.isdigit() for w in words) else words


def check(choices: Sequence[int], array: np.ndarray, name: str = "the space") -> np.ndarray:
    """`array` as int64 if it is (N, L) whole numbers with 0 <= array[:, l] < choices[l]; otherwise ValueError."""
    if array.ndim != 2 or array.shape[1] != len(choices):
        raise ValueError(f"encodings of {name} must have shape (N, {len(choices)}), got {array.shape}")
    if array.dtype.kind not in "iuf":
        raise ValueError(f"encodings of {name} must be whole numbers, got {array.dtype}")
    bad = (array < 0) | (array >= np.asarray(choices))
    if array.dtype.kind == "f":
        bad |= ~(array == np.floor(array))
    if bad.any():
        row, layer = np.argwhere(bad)[0]
        raise ValueError(
            f"encoding {row} is not in {name}: decision {layer} is {array[row, layer]}, "
            f"must be a whole number from 0 to {choices[layer] - 1}"
        )
    return array.astype(np.int64)
