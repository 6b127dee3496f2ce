"""PyTorch's global generators, from which dropout, noise and augmentation draw."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """They begin at the seed, and go on afterwards where they were: the CPU's and this device's.

    The other GPUs are left alone: to look at a generator takes memory there, of which many processes would ask.
    """
    graphics = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(graphics):
        torch.default_generator.manual_seed(seed)  # torch.manual_seed takes a millisecond
        for each in graphics:
            with torch.cuda.device(each):
                torch.cuda.manual_seed(seed)
        yield
