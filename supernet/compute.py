"""On what a script computes, and how fast. What is left alone is chosen by the device."""

import os
from collections.abc import Iterable
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial

import torch

from supernet import memory
from supernet.command import Text
from supernet.memory import Context
from supernet.model import ChainSupernet
from supernet.static import Loss, StaticStep

PRECISIONS = {"float32": None, "bfloat16": torch.bfloat16}
COMPILE = ("off", "graphs", "full")
THREADS = 8  # a core; thousands would hold up the whole machine


@dataclass(frozen=True)
class Compute:
    """On what."""

    device: str = "auto"
    """auto, cpu, cuda, cuda:1, ..."""
    threads: int = 0
    """CPU threads. 0: one for images up to 16 pixels, where more only stall on busy cores, else PyTorch's choice."""
    precision: str = "auto"
    """float32, or bfloat16 in the forward passes. auto: bfloat16 on GPUs that have it, else float32."""

    def __post_init__(self):
        most = THREADS * (os.cpu_count() or 1)
        if not 0 <= self.threads <= most:
            raise ValueError(f"--threads must be from 0 to {most}, {THREADS} for every core, got {self.threads}")
        _one_of("precision", self.precision, PRECISIONS)

    def target(self) -> torch.device:
        """The device; "auto" is a GPU if there is one. ValueError if it cannot be used."""
        automatic = "cuda" if torch.cuda.is_available() else "cpu"
        name = automatic if self.device == "auto" else self.device
        try:
            torch.empty(0, device=name).cpu()  # from "meta" nothing comes back
        except (RuntimeError, AssertionError) as error:
            raise ValueError(f"--device {name} cannot be used here ({error}); use cpu or auto") from error
        if torch.device(name).type == "cuda" and torch.device(name).index is not None:
            torch.cuda.set_device(name)  # streams and graphs are of the current one
        torch.backends.cudnn.benchmark = True  # shapes never change here
        torch.backends.cudnn.allow_tf32 = False  # float32 means it: ten bits leave nothing of a small difference
        return torch.device(name)

    def set_threads(self, image_size: int) -> None:
        """For images of so many pixels, as the flag says; PyTorch keeps the number for the whole process."""
        threads = self.threads or (1 if image_size <= 16 else 0)
        if threads:
            torch.set_num_threads(threads)

    def context(self, device: torch.device) -> Context:
        """What every forward pass on the device is entered with: autocast, or nothing for float32."""
        able = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
        automatic = "bfloat16" if able else "float32"
        dtype = PRECISIONS[automatic if self.precision == "auto" else self.precision]
        return nullcontext if dtype is None else partial(torch.autocast, device.type, dtype)


def precision(context: Context) -> dict[str, str]:
    """What a checkpoint should say of the forward passes: nothing of float32."""
    return {} if context is nullcontext else {"precision": "bfloat16"}


@dataclass(frozen=True)
class Speed:
    """How fast the supernet is trained and read; the results are the same to rounding."""

    paths_per_pass: int = 0
    """Paths of a step that are in memory at a time. 0: one on a CPU, on a GPU as many as fit."""
    memory: Text = None
    """Bytes that activations may take, for example 2G. Default: half of what is free."""
    compile: str = "auto"
    """The strictly fair step: off, graphs (a CUDA graph), full (its blocks compiled too). auto: graphs on a GPU. On a
    CPU, where off is fastest, they hold all paths of a step at a time."""

    def __post_init__(self):
        if self.paths_per_pass < 0:
            raise ValueError(f"--paths-per-pass must not be negative, got {self.paths_per_pass}")
        if self.memory is not None:
            memory.parse(self.memory)
        _one_of("compile", self.compile, COMPILE)

    def static(self, net: ChainSupernet, loss: Loss, context: Context, device: torch.device) -> StaticStep | None:
        """The step as one static graph, as --compile says; None for off, which is auto on a CPU."""
        how = ("graphs" if device.type == "cuda" else "off") if self.compile == "auto" else self.compile
        return None if how == "off" else StaticStep(net, loss, context, {} if how == "full" else None)

    def budget(self, device: torch.device) -> int:
        """Bytes that activations may take."""
        return memory.free(device) // 2 if self.memory is None else memory.parse(self.memory)


def _one_of(flag: str, value: str, known: Iterable[str]) -> None:
    if value not in ("auto", *known):
        raise ValueError(f"--{flag} must be auto, {', '.join(known)}, got {value!r}")
